using Tollgate.Catalog;

namespace Tollgate.Billing;

/// <summary>Credit that an invoice may burn.</summary>
/// <param name="Available">What is left of it, and not more than was used while it was valid.</param>
public sealed record UsableGrant(GrantRow Grant, Money Available);

/// <summary>What a customer agreed on beside prices: tax, coupons, credit, commitments.</summary>
public sealed record InvoiceTerms(CustomerTerms Customer)
{
    public static InvoiceTerms Plain { get; } = new(CustomerTerms.Plain);

    public IReadOnlyList<AppliedCoupon> Coupons { get; init; } = [];

    /// <summary>In the order in which they are burnt: priority, then what expires first, then what is oldest.</summary>
    public IReadOnlyList<UsableGrant> Grants { get; init; } = [];

    public IReadOnlyList<CommitmentRow> Commitments { get; init; } = [];

    public Tax Tax => (Customer.TaxPercent, Customer.TaxTreatment) == (0, CustomerTerms.Taxed)
        ? Tax.None
        : new Tax(Customer.TaxPercent, Customer.TaxInclusive, Customer.TaxTreatment switch
        {
            CustomerTerms.Exempt => TaxTreatment.Exempt,
            CustomerTerms.ReverseCharge => TaxTreatment.ReverseCharge,
            _ => TaxTreatment.Taxed,
        });

    /// <summary>Takes coupons of some prices off their lines: before minimum and maximum (money.md 6).</summary>
    /// <param name="currency">Of the invoice.</param>
    /// <param name="lines">Become those with their <see cref="DraftLine.Off"/>.</param>
    internal IReadOnlyList<TakenCoupon> TakeOff(Currency currency, DraftLine[] lines)
    {
        var coupons = CouponsIn(currency, ofLines: true);
        if (coupons.Length == 0) return [];
        var (off, taken) = InvoiceSum.LineDiscounts(
            currency, Array.ConvertAll(lines, Charge), Array.ConvertAll(coupons, c => c.Coupon.Discount));
        for (var i = 0; i < lines.Length; i++) lines[i] = lines[i] with { Off = off[i] };
        return Taken(coupons, taken);
    }

    /// <summary>What the lines come to: coupons, promotional credit, tax, prepaid credit (money.md 6).</summary>
    internal (InvoiceSum Sum, IReadOnlyList<Burn> Burns, IReadOnlyList<TakenCoupon> Taken) Sum(
        Currency currency, IReadOnlyList<DraftLine> lines)
    {
        var coupons = CouponsIn(currency, ofLines: false);
        var grants = Grants.Where(g => g.Grant.Currency == currency.Code).ToArray();
        var promotional = grants.Where(g => g.Grant.Kind == GrantRow.Promotional).ToArray();
        var sum = InvoiceSum.Of(new Charges(currency, [.. lines.Select(Charge)])
        {
            Coupons = [.. coupons.Select(c => c.Coupon.Discount)],
            Promotional =
            [
                .. promotional.Select(g =>
                    new Discount(g.Grant.Name, null, g.Available) { Prices = g.Grant.PriceNames }),
            ],
        });
        var burns = promotional.Zip(sum.Promotional, (g, amount) => new Burn(g.Grant, amount)).ToList();
        var left = sum.Total;
        foreach (var grant in grants.Where(g => g.Grant.Kind == GrantRow.Prepaid))
        {
            var part = Smallest(left, grant.Available, Gross(sum, lines, grant.Grant));
            burns.Add(new Burn(grant.Grant, part));
            left -= part;
        }

        return (sum with { Prepaid = sum.Total - left }, [.. burns.Where(b => b.Amount.MinorUnits > 0)],
            Taken(coupons, sum.Coupons));
    }

    private AppliedCoupon[] CouponsIn(Currency currency, bool ofLines) => [.. Coupons.Where(c =>
        (c.Coupon.Currency is null || c.Coupon.Currency == currency.Code) && c.Coupon.Prices is not null == ofLines)];

    private static TakenCoupon[] Taken(AppliedCoupon[] coupons, IReadOnlyList<Money> off) =>
        [.. coupons.Zip(off, (c, amount) => new TakenCoupon(c, amount)).Where(t => t.Off.MinorUnits > 0)];

    private ChargeLine Charge(DraftLine line) => new(line.Rated.PriceName, line.Amount)
    {
        Discount = line.Off,
        Tax = line.Tax ?? Tax,
        IsCredit = line.IsCredit,
    };

    /// <summary>What the lines that a grant is for come to, with tax.</summary>
    private static Money Gross(InvoiceSum sum, IReadOnlyList<DraftLine> lines, GrantRow grant)
    {
        var names = grant.PriceNames;
        return sum.Lines.Where(l => names is null || names.Contains(l.Name))
            .Aggregate(Money.Zero(sum.Currency), (total, l) => total + l.Gross);
    }

    private static Money Smallest(params Money[] amounts)
    {
        var smallest = amounts.MinBy(a => a.MinorUnits);
        return smallest.MinorUnits < 0 ? Money.Zero(smallest.Currency) : smallest;
    }
}

/// <summary>So much of a grant pays for an invoice.</summary>
public sealed record Burn(GrantRow Grant, Money Amount);

/// <summary>So much a coupon takes off an invoice.</summary>
public sealed record TakenCoupon(AppliedCoupon Coupon, Money Off);
