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

        return new PlanVersion(row.PlanId, (int)row.Version, Currency.Of(row.Currency), prices.Value)
        {
            Quotas = row.ReadQuotas(),
            Terms = row.ReadTerms(),
        };
    }

    /// <summary>Trial, features, phases and currencies of a version, out of the store.</summary>
    /// <exception cref="InvalidDataException">What is stored was not written by <see cref="PlanTermsWriter"/>.</exception>
    public static PlanTerms ReadTerms(this PlanVersionRow row)
    {
        if (row.Terms == PlanTermsWriter.None) return PlanTerms.None;
        var tree = JsonTree.Read(row.Terms);
        var terms = tree.Ok ? PlanTermsReader.Read(tree.Value) : Result<PlanTerms>.Refused(tree.Problems);
        return terms.Ok ? terms.Value : throw new InvalidDataException(
            $"The stored terms of {row.PlanId}, version {row.Version}, cannot be read: " +
            string.Join("; ", terms.Problems));
    }

    /// <summary>The quotas of a version, out of the store.</summary>
    /// <exception cref="InvalidDataException">What is stored was not written by <see cref="QuotaWriter"/>.</exception>
    public static IReadOnlyList<Quota> ReadQuotas(this PlanVersionRow row)
    {
        if (row.Quotas == QuotaWriter.None) return [];
        var tree = JsonTree.Read(row.Quotas);
        var quotas = tree.Ok
            ? QuotaReader.Read(tree.Value)
            : Result<IReadOnlyList<Quota>>.Refused(tree.Problems);
        return quotas.Ok ? quotas.Value : throw new InvalidDataException(
            $"The stored quotas of {row.PlanId}, version {row.Version}, cannot be read: " +
            string.Join("; ", quotas.Problems));
    }
}
