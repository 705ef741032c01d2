using System.Collections;
using System.Globalization;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway.Cost;

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
public abstract class Policy(string text, long count, string? unit, int scale = 0)
{
    private static readonly TextInfo s_case = CultureInfo.InvariantCulture.TextInfo;

    /// <summary>How it is written: <c>100/minute</c>.</summary>
    public string Text { get; } = text;

    /// <summary>Admissions, calls at a time, or units × 10^scale of the meter.</summary>
    public long Count { get; } = count;

    /// <summary>10^scale of the meter: what is one whole unit.</summary>
    public long One { get; } = (long)Meter.PowerOfTen(scale);

    /// <summary>Whole units, as headers tell them.</summary>
    public string CountText { get; } = (count / (long)Meter.PowerOfTen(scale)).ToString(CultureInfo.InvariantCulture);

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
    /// <summary>What a call has that a quota does not count.</summary>
    public const long NotCounted = -1;

    private readonly BitArray? _operations;
    private readonly int _meter;
    private readonly bool _fromEvents;

    /// <param name="quota">With the allowance that the subscription has.</param>
    /// <param name="keysOf">The keys of the operations of a name.</param>
    /// <param name="unit">Of its window, where the subscription's interval is meant.</param>
    /// <param name="meter">What it counts; null is <c>calls</c>.</param>
    public CompiledQuota(
        Quota quota, Func<string, IEnumerable<int>> keysOf, Interval unit, PublishedMeter? meter = null)
        : base(TextOf(quota, unit), Scaled(quota.Allowance, meter), (quota.Per.Unit ?? unit).ToText(),
            meter?.Meter.Scale ?? 0)
    {
        Quota = quota;
        _meter = meter?.Meter.Key ?? Meter.CallsKey;
        _fromEvents = meter is { Source: UnitSource.Event };
        // the draft's unit is requests where none is said
        var counted = meter?.Source switch
        {
            null or UnitSource.Call => "",
            UnitSource.ResponseBytes or UnitSource.RequestBytes => ";qu=\"content-bytes\"",
            _ => $";qu=\"{meter.Meter.Name}\"",
        };
        IetfPolicy = $"\"{Text}\";q={CountText}{counted}";
        if (quota.Operations is not { } names) return;
        int[] keys = [.. names.SelectMany(keysOf)];
        _operations = new BitArray(keys.Length == 0 ? 0 : keys.Max() + 1);
        foreach (var key in keys) _operations[key] = true;
    }

    public Quota Quota { get; }

    /// <summary>Whether it refuses; otherwise it only counts, and what is beyond is billed.</summary>
    public bool Blocks => Quota.Overage == Overage.Block;

    public override string IetfPolicy { get; }

    /// <summary>Whether usage of this meter and operation counts, as it stands in the store.</summary>
    public bool Covers(int meter, int operation) => meter == _meter && Names(operation);

    /// <summary>What is set aside for a call, × 10^scale; <see cref="NotCounted"/> for one that it does not count.
    /// </summary>
    public long UnitsOf(int operation, ref Decision decision)
    {
        if (!Names(operation)) return NotCounted;
        if (_meter == Meter.CallsKey) return decision.Units;
        // events have no operation: what they used up stops every call
        if (_fromEvents) return 0;
        var at = decision.Cost?.IndexOf(_meter) ?? -1;
        return at < 0 ? NotCounted : decision.IsFree ? 0 : decision.Cost!.Meters[at].Reserve;
    }

    /// <summary>What has to be left for a call: what it costs, or anything at all where that is known only afterwards.
    /// </summary>
    public long NeedOf(int operation, ref Decision decision)
    {
        var units = UnitsOf(operation, ref decision);
        return units == 0 && _meter != Meter.CallsKey && !decision.IsFree ? 1 : units;
    }

    /// <summary>Which of a call's meters it counts; −1 for <c>calls</c> and for none of them.</summary>
    public int IndexIn(OperationCost? cost) => cost?.IndexOf(_meter) ?? -1;

    public int MeterKey => _meter;

    /// <summary>Whether it counts whole calls, by their weight.</summary>
    public bool OfCalls => _meter == Meter.CallsKey;

    private bool Names(int operation) =>
        _operations is null || (operation < _operations.Length && _operations[operation]);

    private static string TextOf(Quota quota, Interval unit) => string.Create(CultureInfo.InvariantCulture,
        $"{quota.Allowance:0.#########} {quota.Name}/{(quota.Per.Unit ?? unit).ToText()}");

    // an allowance beyond what sums can hold is never reached
    private static long Scaled(decimal allowance, PublishedMeter? meter) =>
        (long)Math.Min(allowance * Meter.PowerOfTen(meter?.Meter.Scale ?? 0), MostUnits);

    private const decimal MostUnits = 4_000_000_000_000_000_000;
}
