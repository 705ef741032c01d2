using System.Data.Common;
using System.Text.Json;
using Dapper;

namespace Tollgate.Billing;

/// <summary>The names that lines of invoices may have: who names another one has misspelt it.</summary>
public static class PriceNames
{
    /// <summary>Those that no plan, no add-on and no agreement has, in whatever version: a coupon may be for a price that
    /// a newer one has not.</summary>
    public static async Task<IReadOnlySet<string>> UnknownAsync(DbConnection db, IEnumerable<string> names)
    {
        var unknown = new HashSet<string>(names, StringComparer.Ordinal);
        foreach (var (prices, terms) in await db.QueryAsync<(string, string)>("select prices, terms from plan_versions"))
        {
            unknown.ExceptWith(NamesIn(prices));
            unknown.ExceptWith(InPhases(terms));
        }

        foreach (var (name, prices) in await db.QueryAsync<(string, string)>("select name, prices from add_ons"))
            unknown.ExceptWith(NamesIn(prices).Select(p => $"{name}/{p}"));
        // last, since there is a row for each customer
        if (unknown.Count > 0)
            foreach (var agreed in await db.QueryAsync<string>("select distinct prices from entitlements where prices <> '{}'"))
                unknown.ExceptWith(NamesIn(agreed));
        return unknown;
    }

    private static IEnumerable<string> InPhases(string terms)
    {
        using var read = JsonDocument.Parse(terms);
        return !read.RootElement.TryGetProperty("phases", out var phases) ? []
            : [.. phases.EnumerateArray().SelectMany(p => p.TryGetProperty("prices", out var prices) ? Names(prices) : [])];
    }

    private static string[] NamesIn(string prices)
    {
        using var read = JsonDocument.Parse(prices);
        return [.. Names(read.RootElement)];
    }

    private static IEnumerable<string> Names(JsonElement prices) => prices.EnumerateObject().Select(p => p.Name);
}
