using System.Globalization;
using System.Text;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Web.V1;

/// <summary>Usage as a table for people.</summary>
internal static class UsageTable
{
    /// <summary>All digits, and none that says nothing.</summary>
    public static string Exact(decimal value) => value.ToString("0.#########", CultureInfo.InvariantCulture);

    public static string? MethodOf(UsageRow row) => row.Method is { } code ? MethodCode.NameOf((byte)code) : null;

    public static string Of(IReadOnlyList<UsageRow> rows, UsageQuery query)
    {
        var lines = rows.Where(r => r.Value != 0).Select(r => new[]
        {
            r.WindowStart is { } start && query.Window is not null ? Micros.ToText(start) : null,
            query.GroupBy.HasFlag(UsageGroups.Customer) ? r.Customer ?? "(nobody)" : null,
            query.GroupBy.HasFlag(UsageGroups.Consumer) ? r.Consumer ?? "(anonymous)" : null,
            query.GroupBy.HasFlag(UsageGroups.Operation) ? r.Operation : null,
            query.GroupBy.HasFlag(UsageGroups.Method) ? MethodOf(r) : null,
        }.OfType<string>().Concat(r.Dimensions.Select(d => d ?? "-")).Append(Shown(r.Value)).ToArray())
            .Prepend(Titles(query)).ToArray();
        if (rows.Count == 0) return "No usage.\n";
        var widths = Enumerable.Range(0, lines[0].Length).Select(i => lines.Max(l => l[i].Length)).ToArray();
        var text = new StringBuilder();
        foreach (var line in lines)
        {
            for (var i = 0; i < line.Length - 1; i++) text.Append(line[i].PadRight(widths[i] + 2));
            text.Append(line[^1].PadLeft(widths[^1])).Append('\n');
        }

        return query.Meter == UsageStore.Calls
            ? text.Append(CultureInfo.InvariantCulture, $"{rows.Sum(r => r.Value):N0} billable calls\n").ToString()
            : text.ToString();
    }

    private static string Shown(decimal value) => value.ToString("#,0.#########", CultureInfo.InvariantCulture);

    private static string[] Titles(UsageQuery query)
    {
        var titles = new List<string>();
        if (query.Window is not null) titles.Add("FROM");
        if (query.GroupBy.HasFlag(UsageGroups.Customer)) titles.Add("CUSTOMER");
        if (query.GroupBy.HasFlag(UsageGroups.Consumer)) titles.Add("CONSUMER");
        if (query.GroupBy.HasFlag(UsageGroups.Operation)) titles.Add("OPERATION");
        if (query.GroupBy.HasFlag(UsageGroups.Method)) titles.Add("METHOD");
        return [.. titles, .. query.GroupByDimensions.Select(d => d.ToUpperInvariant()), query.Meter.ToUpperInvariant()];
    }
}
