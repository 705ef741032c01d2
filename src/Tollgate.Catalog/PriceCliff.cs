using System.Globalization;

namespace Tollgate.Catalog;

/// <summary>
/// A boundary of tiers above which the total is less than at it, as volume prices may have: a customer is better off
/// with one unit more. Allowed, and said at publication (money.md 4).
/// </summary>
public sealed record PriceCliff(decimal At, decimal Total, decimal TotalAbove)
{
    /// <summary>The cliffs of a price and of the cells of its matrix.</summary>
    public static IEnumerable<PriceCliff> Of(PriceComponent price) =>
        price.Matrix.Select(c => c.Price).Prepend(price.Price).SelectMany(Of);

    /// <summary>The cliffs of a price, from the lowest up.</summary>
    public static IEnumerable<PriceCliff> Of(Price price)
    {
        var tiers = price switch
        {
            Price.Volume volume => volume.Tiers,
            Price.Stairstep stairstep => stairstep.Tiers,
            _ => [],
        };
        for (var i = 0; i + 1 < tiers.Count; i++)
        {
            var at = tiers[i].UpTo!.Value;
            var (total, above) = (TotalOf(tiers[i], at), TotalOf(tiers[i + 1], at));
            if (above < total) yield return new PriceCliff(at, total, above);
        }
    }

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"At {At:0.#########} units the total is {Total:0.############}, and just above it is {TotalAbove:0.############}: " +
        $"a customer pays less for using more.");

    // an estimate is enough for a warning: nobody is charged by it
    private static decimal TotalOf(Tier tier, decimal quantity) => quantity * (tier.UnitAmount ?? 0) + tier.FlatAmount;
}
