namespace Tollgate.Catalog;

/// <summary>A percentage of what is turned over within a band.</summary>
/// <param name="UpTo">Of the turnover of a calendar month, inclusive, major units; null for the last.</param>
/// <param name="Percent">0 to 100.</param>
public sealed record ShareBand(decimal? UpTo, decimal Percent);

/// <summary>
/// What others have of the net amount of a line: a percentage, or one for each band of the turnover that counted before
/// (money.md 15).
/// </summary>
public static class RevenueShare
{
    /// <summary>Splits a line: what each share has of it, the rest being the provider's. The parts sum to the line.</summary>
    /// <param name="net">After discounts, without tax; below zero for what is given back.</param>
    /// <param name="shares">The bands of each, and what counted in them before; together never more than the whole.</param>
    public static IReadOnlyList<Money> Split(Money net, IReadOnlyList<(IReadOnlyList<ShareBand> Bands, decimal Before)> shares)
    {
        if (net.MinorUnits == 0) return [.. shares.Select(_ => Money.Zero(net.Currency))];
        var exact = shares.Select(s => Math.Abs(
            Of(s.Bands, Exact.Add(s.Before, net.Amount)) - Of(s.Bands, s.Before))).ToArray();
        var rest = Math.Max(0, Math.Abs(net.Amount) - exact.Sum());
        if (rest == 0 && exact.Sum() == 0) return [.. shares.Select(_ => Money.Zero(net.Currency))];
        return net.Split([.. exact, rest])[..shares.Count];
    }

    /// <summary>What a turnover comes to; below zero as its first band says.</summary>
    private static decimal Of(IReadOnlyList<ShareBand> bands, decimal turnover)
    {
        var (sum, above) = (0m, 0m);
        foreach (var band in bands)
        {
            var within = Math.Min(turnover, band.UpTo ?? turnover) - above;
            if (within <= 0 && above > 0) break;
            sum = Exact.Add(sum, Exact.Multiply(within, Exact.Multiply(band.Percent, 0.01m)));
            if (band.UpTo is not { } upTo || turnover <= upTo) break;
            above = upTo;
        }

        return sum;
    }
}
