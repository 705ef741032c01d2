using System.Globalization;

namespace Tollgate.Catalog;

/// <summary>
/// HTTP statuses of answers that a plan bills. What the gate itself refused, and what the upstream never answered, is
/// not billed whatever the plan says.
/// </summary>
public sealed class StatusSet
{
    private const int First = 100, End = 600;

    /// <summary>For messages.</summary>
    public const string Forms = "a status as 404, a class as 2xx, or a range as 200-299";

    private readonly bool[] _has;

    private StatusSet(bool[] has) => _has = has;

    /// <summary>What a plan bills unless it says otherwise: everything that was answered below 500.</summary>
    public static StatusSet Below500 { get; } = Of(["1xx", "2xx", "3xx", "4xx"]);

    public bool Contains(int status) => status is >= First and < End && _has[status];

    /// <summary>The statuses of texts that <see cref="TryParse"/> takes.</summary>
    public static StatusSet Of(IEnumerable<string> texts)
    {
        var has = new bool[End];
        foreach (var text in texts)
        {
            var (from, to) = TryParse(text) ?? throw new FormatException($"'{text}' is not {Forms}.");
            for (var status = from; status <= to; status++) has[status] = true;
        }

        return new StatusSet(has);
    }

    /// <summary>The first and the last status that a text names, or null.</summary>
    public static (int From, int To)? TryParse(string text)
    {
        if (text.Length == 3 && text.EndsWith("xx", StringComparison.Ordinal) && text[0] is >= '1' and <= '5')
            return ((text[0] - '0') * 100, (text[0] - '0') * 100 + 99);
        var dash = text.IndexOf('-');
        var from = Status(dash < 0 ? text : text[..dash]);
        var to = dash < 0 ? from : Status(text[(dash + 1)..]);
        return from is null || to is null || from > to ? null : (from.Value, to.Value);

        static int? Status(string t) => t.Length == 3
            && int.TryParse(t, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n is >= First and < End ? n : null;
    }
}
