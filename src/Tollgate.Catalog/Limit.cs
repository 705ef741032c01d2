using System.Globalization;

namespace Tollgate.Catalog;

/// <summary>How a limit counts.</summary>
public enum WindowKind : byte
{
    /// <summary>Windows aligned to the clock, half-open: exactly the limit in each. Two windows meet, so twice the limit
    /// may pass around their border.</summary>
    Fixed,

    /// <summary>Never more than the limit in any stretch of that length, wherever it begins.</summary>
    Sliding,

    /// <summary>A bucket that refills evenly (GCRA): smooth, with a burst.</summary>
    Bucket,

    /// <summary>Calls under way at the same time.</summary>
    Concurrent,
}

/// <summary>Whose calls a limit counts together, within one subscription.</summary>
public enum LimitScope : byte
{
    /// <summary>Each consumer for itself.</summary>
    Consumer,

    /// <summary>Each key for itself.</summary>
    Key,

    /// <summary>All consumers and keys of the customer together.</summary>
    Customer,

    /// <summary>Each operation for itself, over all consumers of the customer.</summary>
    Operation,

    /// <summary>Each client address for itself; of IPv6 the /64 that a client is given.</summary>
    Ip,
}

/// <summary>
/// At most <paramref name="Count"/> admissions in a window, or calls at a time. Admissions are never given back.
/// </summary>
/// <param name="Count">1 to <see cref="MaxCount"/>.</param>
/// <param name="Per">Sliding and bucket windows have a fixed length: second to day. Without meaning for
/// <see cref="WindowKind.Concurrent"/>.</param>
public sealed record Limit(long Count, WindowUnit Per)
{
    /// <summary>The largest count that a limit may have; far above what a window can hold.</summary>
    public const long MaxCount = 1_000_000_000_000;

    /// <summary>Limits and quotas that one plan or subscription may have together.</summary>
    public const int MostOfPlan = 10;

    public WindowKind Window { get; init; }

    /// <summary>Of a bucket: how many may come at once after a rest; 0 otherwise. What refills within a day at most.
    /// </summary>
    public long Burst { get; init; }

    public LimitScope By { get; init; }

    public static Limit Concurrent(long count, LimitScope by = LimitScope.Consumer) =>
        new(count, WindowUnit.Second) { Window = WindowKind.Concurrent, By = by };

    /// <summary>Whether a plan can only have one of both: the tighter says all.</summary>
    public bool IsLike(Limit other) => Window == other.Window && Per == other.Per && By == other.By;

    /// <summary>
    /// Reads what <see cref="ToString"/> writes: <c>100/minute</c>, <c>100/minute sliding by key</c>,
    /// <c>100/minute bucket burst 20</c>, <c>5 concurrent by customer</c>. Digits may be grouped by underscores.
    /// </summary>
    public static Limit? TryParse(string text)
    {
        var words = text.Split(' ');
        var at = 1;
        var limit = words.Length > 1 && words[1] == "concurrent"
            ? CountOf(words[0]) is { } calls ? Concurrent(calls) : null
            : ParseRate(words[0]);
        if (limit is null) return null;
        if (limit.Window == WindowKind.Concurrent || (at < words.Length && words[at] == "fixed")) at++;
        else if (at < words.Length && words[at] == "sliding")
            (limit, at) = (limit with { Window = WindowKind.Sliding }, at + 1);
        else if (at < words.Length && words[at] == "bucket")
        {
            at++;
            long? burst = limit.Count;
            if (at + 1 < words.Length && words[at] == "burst") (burst, at) = (CountOf(words[at + 1]), at + 2);
            if (burst is not { } size) return null;
            limit = limit with { Window = WindowKind.Bucket, Burst = size };
        }

        if (at + 1 < words.Length && words[at] == "by")
        {
            if (Limits.FindScope(words[at + 1]) is not { } by) return null;
            (limit, at) = (limit with { By = by }, at + 2);
        }

        return at == words.Length && limit.Fault is null ? limit : null;
    }

    /// <summary>What cannot be together; null when it is right.</summary>
    public string? Fault => Window switch
    {
        WindowKind.Sliding or WindowKind.Bucket when Per > WindowUnit.Day =>
            $"A {Limits.NameOf(Window)} window has a fixed length: second, minute, hour or day.",
        WindowKind.Bucket when Burst < 1 || Burst > MaxBurst =>
            $"The burst of {Count}/{LimitWindow.NameOf(Per)} is from 1 to {MaxBurst}: what refills within a day.",
        _ => null,
    };

    private long MaxBurst => (long)Int128.Min(MaxCount,
        (Int128)Count * LimitWindow.LengthOf(WindowUnit.Day) / LimitWindow.LengthOf(Per));

    public override string ToString()
    {
        var rate = Window switch
        {
            WindowKind.Concurrent => $"{Count} concurrent",
            WindowKind.Sliding => $"{Count}/{LimitWindow.NameOf(Per)} sliding",
            WindowKind.Bucket => $"{Count}/{LimitWindow.NameOf(Per)} bucket burst {Burst}",
            _ => $"{Count}/{LimitWindow.NameOf(Per)}",
        };
        return By == LimitScope.Consumer ? rate : $"{rate} by {Limits.NameOf(By)}";
    }

    private static Limit? ParseRate(string text)
    {
        var slash = text.IndexOf('/');
        return slash > 0 && CountOf(text[..slash]) is { } count
            && LimitWindow.TryParseUnit(text.AsSpan(slash + 1), out var unit)
            ? new Limit(count, unit)
            : null;
    }

    private static long? CountOf(string text) =>
        text.Length > 0 && text[0] != '_' && text[^1] != '_'
        && long.TryParse(text.Replace("_", "", StringComparison.Ordinal), NumberStyles.None,
            CultureInfo.InvariantCulture, out var count)
        && count is >= 1 and <= MaxCount
            ? count
            : null;
}

/// <summary>How the parts of limits are written in files, in the API and in the store.</summary>
public static class Limits
{
    private static readonly string[] s_windows = ["fixed", "sliding", "bucket", "concurrent"];
    private static readonly string[] s_scopes = ["consumer", "key", "customer", "operation", "ip"];

    public static IReadOnlyList<string> Scopes => s_scopes;

    public static string NameOf(WindowKind window) => s_windows[(int)window];

    public static string NameOf(LimitScope scope) => s_scopes[(int)scope];

    public static LimitScope? FindScope(string name) =>
        Array.IndexOf(s_scopes, name) is >= 0 and var i ? (LimitScope)i : null;

    public static WindowKind? FindWindow(string name) =>
        Array.IndexOf(s_windows, name) is >= 0 and var i ? (WindowKind)i : null;
}
