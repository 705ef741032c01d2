using System.Collections;
using System.Globalization;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Gateway;

/// <summary>
/// What a subscription may use, on the hot path: its limits, then its quotas. Immutable, and shared by all
/// subscriptions that have agreed on nothing of their own.
/// </summary>
public sealed class Terms
{
    public Terms(IEnumerable<Limit> limits, IEnumerable<CompiledQuota> quotas, HeaderFamilies families)
    {
        // of two that count alike only the tighter can ever refuse, and it is the one that the headers show
        Limits = [.. limits.GroupBy(l => (l.Window, l.Per, l.By)).Select(Tightest).OrderBy(l => l.Window)
            .ThenBy(l => l.Per).ThenBy(l => l.By).Select(l => new CompiledLimit(l))];
        Quotas = [.. quotas];
        Families = families;
        Concurrent = Array.Exists(Limits, l => l.Kind == WindowKind.Concurrent);
        if (Limits.Length + Quotas.Length > LimitStates.Capacity)
            throw new InvalidOperationException($"{Limits.Length + Quotas.Length} limits and quotas passed the checks.");
    }

    public CompiledLimit[] Limits { get; }

    public CompiledQuota[] Quotas { get; }

    public HeaderFamilies Families { get; }

    /// <summary>Whether calls under way are counted, so that each has to be given back.</summary>
    public bool Concurrent { get; }

    public int Count => Limits.Length + Quotas.Length;

    /// <summary>A limit, or after the limits a quota.</summary>
    public Policy PolicyAt(int index) => index < Limits.Length ? Limits[index] : Quotas[index - Limits.Length];

    private static Limit Tightest(IGrouping<(WindowKind, WindowUnit, LimitScope), Limit> alike) =>
        alike.First() with { Count = alike.Min(l => l.Count), Burst = alike.Min(l => l.Burst) };
}

/// <summary>A limit or a quota with the texts of its headers.</summary>
public abstract class Policy(string text, long count, string? unit)
{
    private static readonly TextInfo s_case = CultureInfo.InvariantCulture.TextInfo;

    /// <summary>How it is written: <c>100/minute</c>.</summary>
    public string Text { get; } = text;

    /// <summary>Admissions, calls at a time, or units × 10^scale of the meter.</summary>
    public long Count { get; } = count;

    public string CountText { get; } = count.ToString(CultureInfo.InvariantCulture);

    /// <summary>Which pair of Kong's headers shows it; −1 for none.</summary>
    public int HeaderUnit { get; } = unit is null ? -1 : Array.IndexOf(HeaderUnits, unit);

    public string LimitHeader { get; } = unit is null ? "" : "X-RateLimit-Limit-" + s_case.ToTitleCase(unit);

    public string RemainingHeader { get; } = unit is null ? "" : "X-RateLimit-Remaining-" + s_case.ToTitleCase(unit);

    /// <summary>An item of the IETF draft's <c>RateLimit-Policy</c>: the name, the quota, and the window in seconds where
    /// it has a fixed length.</summary>
    public abstract string IetfPolicy { get; }

    internal static string[] HeaderUnits { get; } =
        ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];

    public override string ToString() => Text;
}

/// <summary>A limit on the hot path.</summary>
public sealed class CompiledLimit(Limit limit) : Policy(
    limit.ToString(), limit.Count, limit.Window == WindowKind.Concurrent ? null : LimitWindow.NameOf(limit.Per))
{
    public WindowKind Kind { get; } = limit.Window;

    public WindowUnit Unit { get; } = limit.Per;

    public LimitScope By { get; } = limit.By;

    public long Burst { get; } = limit.Burst;

    /// <summary>Microseconds; 0 for months, years and calls at a time.</summary>
    public long Length { get; } = limit.Window == WindowKind.Concurrent || limit.Per > WindowUnit.Day
        ? 0 : LimitWindow.LengthOf(limit.Per);

    /// <summary>How long an admission can matter to a window that is not aligned to the clock; microseconds.</summary>
    public long Reach { get; } = limit.Window switch
    {
        WindowKind.Sliding => LimitWindow.LengthOf(limit.Per),
        WindowKind.Bucket => 2 * (long)((Int128)limit.Burst * LimitWindow.LengthOf(limit.Per) / limit.Count),
        _ => 0,
    };

    public override string IetfPolicy { get; } = limit.Window == WindowKind.Concurrent
        ? $"\"{limit}\";q={limit.Count};qu=\"concurrent-requests\""
        : limit.Per > WindowUnit.Day ? $"\"{limit}\";q={limit.Count}"
        : $"\"{limit}\";q={limit.Count};w={LimitWindow.LengthOf(limit.Per) / Micros.PerSecond}";
}

/// <summary>A quota on the hot path.</summary>
public sealed class CompiledQuota : Policy
{
    private readonly BitArray? _operations;

    /// <param name="quota">With the allowance that the subscription has.</param>
    /// <param name="keysOf">The keys of the operations of a name.</param>
    /// <param name="unit">Of its window, where the subscription's interval is meant.</param>
    public CompiledQuota(Quota quota, Func<string, IEnumerable<int>> keysOf, Interval unit)
        : base(TextOf(quota, unit), Scaled(quota.Allowance), (quota.Per.Unit ?? unit).ToText())
    {
        Quota = quota;
        IetfPolicy = $"\"{Text}\";q={CountText}";
        if (quota.Operations is not { } names) return;
        int[] keys = [.. names.SelectMany(keysOf)];
        _operations = new BitArray(keys.Length == 0 ? 0 : keys.Max() + 1);
        foreach (var key in keys) _operations[key] = true;
    }

    public Quota Quota { get; }

    /// <summary>Whether it refuses; otherwise it only counts, and what is beyond is billed.</summary>
    public bool Blocks => Quota.Overage == Overage.Block;

    public override string IetfPolicy { get; }

    public bool Covers(int operation) =>
        _operations is null || (operation < _operations.Length && _operations[operation]);

    private static string TextOf(Quota quota, Interval unit) =>
        $"{Scaled(quota.Allowance)} {quota.Name}/{(quota.Per.Unit ?? unit).ToText()}";

    // the meter 'calls' counts whole calls
    private static long Scaled(decimal allowance) => decimal.ToInt64(allowance);
}
