using System.Globalization;
using System.Text.Json;
using Tollgate.Catalog;
using Tollgate.Config.File;

namespace Tollgate.Config;

/// <summary>The overrides of a subscription as the store keeps them: JSON, decimals as text.</summary>
internal static class OverridesText
{
    private const string Nothing = "{}";

    public static string? WriteLimits(Overrides overrides) => overrides.Limits is null
        ? null
        : JsonSerializer.Serialize(overrides.Limits.Select(l => l.ToString()));

    public static string WriteAllowances(Overrides overrides) => overrides.Allowances.Count == 0
        ? Nothing
        : JsonSerializer.Serialize(overrides.Allowances.OrderBy(a => a.Key, StringComparer.Ordinal)
            .ToDictionary(a => a.Key, a => a.Value.ToString(CultureInfo.InvariantCulture)));

    public static string WritePrices(Overrides overrides) =>
        overrides.Prices.Count == 0 ? Nothing : PriceWriter.Write(overrides.Prices);

    /// <exception cref="InvalidDataException">What is stored was not written here.</exception>
    public static Overrides Read(string? limits, string allowances, string prices)
    {
        // nearly every subscription: a million of them share one
        if (limits is null && allowances == Nothing && prices == Nothing) return Overrides.None;
        try
        {
            return new Overrides(
                limits is null ? null : [.. JsonSerializer.Deserialize<string[]>(limits)!.Select(LimitOf)],
                JsonSerializer.Deserialize<Dictionary<string, string>>(allowances)!
                    .ToDictionary(a => a.Key, a => decimal.Parse(a.Value, CultureInfo.InvariantCulture)))
            {
                Prices = prices == Nothing ? [] : PricesOf(prices),
            };
        }
        catch (Exception e) when (e is JsonException or FormatException)
        {
            throw new InvalidDataException($"The stored overrides {limits} {allowances} cannot be read.", e);
        }
    }

    private static IReadOnlyList<PriceComponent> PricesOf(string text)
    {
        var tree = JsonTree.Read(text);
        var read = tree.Ok ? PriceReader.Read(tree.Value) : Result<IReadOnlyList<PriceComponent>>.Refused(tree.Problems);
        return read.Ok ? read.Value : throw new FormatException(string.Join("; ", read.Problems));
    }

    private static Limit LimitOf(string text) =>
        Limit.TryParse(text) ?? throw new FormatException($"'{text}' is not a limit.");
}
