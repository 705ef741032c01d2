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
        ChargeLine[] lines = [Line("a", 80, s_vat), Line("b", 20, s_vat)];
        var (off, _) = InvoiceSum.LineDiscounts(Currency.Usd, lines, [new Discount("ten", 10, null) { Prices = ["a"] }]);
        var sum = InvoiceSum.Of(new Charges(Currency.Usd,
            [.. lines.Zip(off, (line, share) => line with { Discount = share })]) { Prepaid = Usd(30) });
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

    /// <summary>10 % of 100.05 is 10.01, half a cent up; 33.35 and 66.70 bear 3.34 and 6.67 of it. A fixed one of 200.00
    /// takes what is left of <c>b</c>. A credit is given back as it was billed.</summary>
    [Fact]
    public void Coupons_of_prices_are_split_over_their_lines_and_leave_credits_alone()
    {
        ChargeLine[] lines =
        [
            Line("a", 33.35m), Line("b", 66.70m), Line("c", 5), Line("a", -7) with { IsCredit = true }, Line("b", 0),
        ];
        var (off, coupons) = InvoiceSum.LineDiscounts(Currency.Usd, lines,
            [new Discount("tenth", 10, null) { Prices = ["a", "b"] }, Off(200) with { Prices = ["b"] }]);
        Assert.Equal(["3.34", "66.70", "0.00", "0.00", "0.00"], off.Select(o => o.ToString()));
        Assert.Equal(["10.01", "60.03"], coupons.Select(c => c.ToString()));
    }

    [Fact]
    public void Without_coupons_and_without_lines_nothing_is_taken_off()
    {
        Assert.Equal(["0.00"], InvoiceSum.LineDiscounts(Currency.Usd, [Line("a", 5)], []).Lines.Select(l => l.ToString()));
        Assert.Equal(["0.00"], InvoiceSum.LineDiscounts(Currency.Usd, [], [Off(5)]).Coupons.Select(c => c.ToString()));
    }

    [Theory]
    [InlineData(null, 50, 80_00, "Maximum -30.00")]
    [InlineData(null, 50, 50_00, null)]
    [InlineData(100, null, 60_00, "Minimum 40.00")]
    [InlineData(100, null, 100_00, null)]
    [InlineData(100, 120, 120_01, "Maximum -0.01")]
    public void A_bound_is_what_is_missing_or_too_much(int? minimum, int? maximum, int cents, string? bound)
    {
        var line = Rating.Bound(Bounded(minimum, maximum), new Money(cents, Currency.Usd), Proration.Whole);
        Assert.Equal(bound, line is null ? null : $"{line.Kind} {line.Amount(Currency.Usd)}");
    }

    [Fact]
    public void A_minimum_is_prorated_and_a_maximum_is_not()
    {
        var part = new Proration(20, 30);
        Assert.Equal("6.67", Rating.Bound(Bounded(100, null), Usd(60), part)?.Amount(Currency.Usd).ToString());
        Assert.Equal("-10.00", Rating.Bound(Bounded(null, 50), Usd(60), part)?.Amount(Currency.Usd).ToString());
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
