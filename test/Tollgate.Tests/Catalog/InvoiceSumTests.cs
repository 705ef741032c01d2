using CsCheck;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>The order of money.md 6, and its worked numbers.</summary>
public sealed class InvoiceSumTests
{
    private static readonly Tax s_vat = new(20, false);

    [Fact]
    public void Discount_tax_and_prepaid_credit_come_in_this_order()
    {
        var sum = InvoiceSum.Of(new Charges(Currency.Usd,
        [
            Line("a", 80, s_vat) with { Discounts = [new Discount("ten", 10, null)] }, Line("b", 20, s_vat),
        ]) { Prepaid = Usd(30) });
        Assert.Equal(["92.00", "18.40", "110.40", "30.00", "80.40"], Texts(sum.Net, sum.Tax, sum.Total, sum.Prepaid, sum.Due));
    }

    [Fact]
    public void Promotional_credit_lowers_the_tax_and_prepaid_credit_does_not()
    {
        var lines = new[] { Line("a", 100, s_vat) };
        var promotional = InvoiceSum.Of(new Charges(Currency.Usd, lines) { Promotional = [Off(30)] });
        var prepaid = InvoiceSum.Of(new Charges(Currency.Usd, lines) { Prepaid = Usd(30) });
        Assert.Equal(["70.00", "14.00", "84.00"], Texts(promotional.Net, promotional.Tax, promotional.Due));
        Assert.Equal(["100.00", "20.00", "90.00"], Texts(prepaid.Net, prepaid.Tax, prepaid.Due));
    }

    [Fact]
    public void Thirds_of_a_coupon_sum_to_the_coupon()
    {
        var sum = InvoiceSum.Of(new Charges(Currency.Usd, [Line("a", 50), Line("b", 50), Line("c", 50)])
        {
            Coupons = [Off(100)],
        });
        Assert.Equal(["33.34", "33.33", "33.33"], sum.Lines.Select(l => l.Coupon.ToString()));
        Assert.Equal("50.00", sum.Due.ToString());
    }

    [Fact]
    public void The_maximum_holds_after_discounts_and_the_minimum_is_a_line_of_its_own()
    {
        var capped = Bounded(null, 50);
        var lifted = Bounded(100, null);
        var sum = InvoiceSum.Of(new Charges(Currency.Usd,
        [
            Line("capped", 80, s_vat) with { Price = capped, Discounts = [new Discount("half", 50, null)] },
            Line("capped", 30, s_vat) with { Price = capped },
            Line("lifted", 60, s_vat) with { Price = lifted },
        ]));
        Assert.Equal(
            ["Usage 80.00", "Usage 30.00", "Maximum -20.00", "Usage 60.00", "Minimum 40.00"],
            sum.Lines.Select(l => $"{l.Kind} {l.Amount}"));
        Assert.Equal(["150.00", "30.00", "180.00"], Texts(sum.Net, sum.Tax, sum.Total));
    }

    [Fact]
    public void A_true_up_counts_rounded_usage_and_its_minimum_is_prorated()
    {
        var price = Bounded(100, null);
        var usage = Money.Round(60.004m, Currency.Usd);
        var whole = InvoiceSum.Of(new Charges(Currency.Usd, [new ChargeLine("p", usage) { Price = price }]));
        var half = InvoiceSum.Of(new Charges(Currency.Usd,
            [new ChargeLine("p", usage) { Price = price, Part = new Proration(20, 30) }]));
        Assert.Equal("40.00", whole.Lines[1].Amount.ToString());
        Assert.Equal("6.67", half.Lines[1].Amount.ToString());
    }

    [Fact]
    public void A_commitment_adds_what_is_missing_and_a_maximum_spend_takes_off_what_is_too_much()
    {
        var charges = new Charges(Currency.Usd, [Line("a", 70, s_vat), Line("b", 35, new Tax(10, false))]);
        var committed = InvoiceSum.Of(charges with { Commitment = new Commitment("yearly", Usd(200), s_vat) });
        Assert.Equal(["200.00", "36.50"], Texts(committed.Net, committed.Tax));
        var capped = InvoiceSum.Of(charges with { MaximumSpend = Usd(60) });
        Assert.Equal(["30.00", "15.00"], capped.Lines.Select(l => l.Capped.ToString()));
        Assert.Equal(["60.00", "10.00", "70.00"], Texts(capped.Subtotal, capped.Tax, capped.Total));
    }

    [Fact]
    public void Coupons_follow_one_another_and_take_only_what_they_are_for()
    {
        var sum = InvoiceSum.Of(new Charges(Currency.Usd, [Line("a", 100), Line("b", 50)])
        {
            Coupons = [new Discount("tenth", 10, null), Off(200) with { Prices = ["b"] }],
        });
        Assert.Equal(["15.00", "45.00"], sum.Coupons.Select(c => c.ToString()));
        Assert.Equal(["90.00", "0.00"], sum.Lines.Select(l => l.Net.ToString()));
    }

    [Fact]
    public void Tax_is_rounded_per_line_and_told_per_rate()
    {
        var seven = new Tax(7, false);
        var sum = InvoiceSum.Of(new Charges(Currency.Usd,
            [Line("a", 0.33m, seven), Line("b", 0.33m, seven), Line("c", 119, new Tax(19, true)), Line("d", 5)]));
        // 0.0231 each: 0.02 + 0.02, not 0.05
        Assert.Equal(["19 % included: 19.00 of 100.00", "7 %: 0.04 of 0.66"],
            sum.Taxes.Select(t => $"{t.Tax}: {t.Amount} of {t.Net}"));
        Assert.Equal(["105.66", "19.04", "124.70"], Texts(sum.Net, sum.Tax, sum.Total));
    }

    [Theory]
    [InlineData(TaxTreatment.Exempt, "exempt")]
    [InlineData(TaxTreatment.ReverseCharge, "reverse charge")]
    public void A_tax_that_is_not_asked_for_is_shown(TaxTreatment treatment, string text)
    {
        var sum = InvoiceSum.Of(new Charges(Currency.Usd, [Line("a", 100, new Tax(20, false, treatment))]));
        Assert.Equal($"{text} 100.00 0.00", $"{sum.Taxes[0].Tax} {sum.Taxes[0].Net} {sum.Taxes[0].Amount}");
        Assert.Equal("100.00", sum.Total.ToString());
    }

    [Fact]
    public void A_credit_mirrors_its_charge()
    {
        var sum = InvoiceSum.Of(new Charges(Currency.Usd,
            [Line("old", -20.05m, s_vat), Line("new", 40, s_vat)]) { Coupons = [Off(100)], Prepaid = Usd(5) });
        Assert.Equal(["0.00", "0.00", "0.00"], Texts(sum.Net, sum.Total, sum.Due));
        var credit = InvoiceSum.Of(new Charges(Currency.Usd, [Line("old", -20.05m, s_vat)]) { Prepaid = Usd(5) });
        Assert.Equal(["-4.01", "-24.06", "0.00", "-24.06"], Texts(credit.Tax, credit.Total, credit.Prepaid, credit.Due));
    }

    [Fact]
    public void Nothing_is_nothing()
    {
        var sum = InvoiceSum.Of(new Charges(Currency.Usd, [])
        {
            Coupons = [Off(5)],
            Promotional = [Off(5)],
            Prepaid = Usd(5),
        });
        Assert.Equal(["0.00", "0.00"], Texts(sum.Total, sum.Due));
        Assert.Empty(sum.Taxes);
    }

    [Fact]
    public void Every_total_is_the_sum_of_its_lines_and_every_split_of_its_whole() => Gen.Select(
        Gen.Select(Gen.Long[-5_000, 50_000], Gen.Int[0, 3], Gen.Bool).Array[0, 8],
        Gen.Long[0, 40_000], Gen.Int[0, 100], Gen.Long[0, 40_000]).Sample((rows, fixedOff, percent, prepaid) =>
    {
        var lines = rows.Select((r, i) => new ChargeLine("l" + i, new Money(r.Item1, Currency.Usd))
        {
            Tax = new Tax(r.Item2 * 7.5m, r.Item3),
        }).ToArray();
        var sum = InvoiceSum.Of(new Charges(Currency.Usd, lines)
        {
            Coupons = [new Discount("p", percent, null), new Discount("f", null, new Money(fixedOff, Currency.Usd))],
            Promotional = [new Discount("g", null, new Money(fixedOff / 2, Currency.Usd))],
            Prepaid = new Money(prepaid, Currency.Usd),
        });
        var off = sum.Coupons.Concat(sum.Promotional).Sum(m => m.MinorUnits);
        Assert.Equal(off, sum.Lines.Sum(l => l.Coupon.MinorUnits + l.Promotional.MinorUnits));
        Assert.Equal(sum.Subtotal.MinorUnits - off, sum.Lines.Sum(l => l.Taxable.MinorUnits));
        Assert.Equal(sum.Total, sum.Net + sum.Tax);
        Assert.Equal(sum.Tax.MinorUnits, sum.Taxes.Sum(t => t.Amount.MinorUnits));
        Assert.Equal(sum.Total, sum.Due + sum.Prepaid);
        Assert.InRange(sum.Prepaid.MinorUnits, 0, Math.Max(0, Math.Min(prepaid, sum.Total.MinorUnits)));
        // nothing is taken from a line that has nothing to give
        Assert.All(sum.Lines, l => Assert.True(l.Taxable.MinorUnits >= Math.Min(0, l.Amount.MinorUnits)));
    });

    private static PriceComponent Bounded(decimal? minimum, decimal? maximum) =>
        new("p", "calls", null, new Price.PerUnit(1) { Minimum = minimum, Maximum = maximum });

    private static ChargeLine Line(string name, decimal amount, Tax? tax = null) =>
        new(name, Usd(amount)) { Tax = tax ?? Tax.None };

    private static Discount Off(decimal amount) => new("coupon", null, Usd(amount));

    private static Money Usd(decimal amount) => Money.Round(amount, Currency.Usd);

    private static string[] Texts(params Money[] amounts) => [.. amounts.Select(a => a.ToString())];
}
