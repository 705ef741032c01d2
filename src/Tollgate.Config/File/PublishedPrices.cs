using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>The prices of published versions, out of the store.</summary>
public static class PublishedPrices
{
    /// <summary>The version as Rating wants it.</summary>
    /// <exception cref="InvalidDataException">What is stored was not written by <see cref="PriceWriter"/>.</exception>
    public static PlanVersion ToPlanVersion(this PlanVersionRow row)
    {
        var tree = JsonTree.Read(row.Prices);
        var prices = tree.Ok
            ? PriceReader.Read(tree.Value)
            : Result<IReadOnlyList<PriceComponent>>.Refused(tree.Problems);
        if (!prices.Ok)
        {
            throw new InvalidDataException($"The stored prices of {row.PlanId}, version {row.Version}, cannot be " +
                "read: " + string.Join("; ", prices.Problems));
        }

        return new PlanVersion(row.PlanId, (int)row.Version, Currency.Of(row.Currency), prices.Value);
    }
}
