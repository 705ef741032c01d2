using CsCheck;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>What holds for every price and every quantity.</summary>
public sealed class PricingPropertyTests
{
    private static readonly Gen<decimal> s_quantities = Gen.Select(
        Gen.Int[0, 300_000], Gen.Int[0, 3], (n, scale) => n / PriceGen.Power(scale));

    private static readonly Gen<Currency> s_currencies = Gen.OneOf(
        Gen.Const(Currency.Usd), Gen.Const(Currency.Of("JPY")), Gen.Const(Currency.Of("KWD")), Gen.Const(Currency.Of("CLF")));

    [Fact]
    public void Slices_of_a_period_sum_to_the_whole() =>
        Gen.Select(PriceGen.Prices, s_quantities.Array[1, 6]).Sample((price, slices) =>
        {
            decimal before = 0, sum = 0;
            foreach (var (slice, at) in slices.Select((s, at) => (s, at)))
            {
                // 0 billed before is the first bill, which may ask for a flat amount
                if (at > 0 && before == 0) continue;
                sum += Preview(price, slice, at == 0 ? null : before).PreciseAmount;
                before += slice;
            }

            Near(Preview(price, before, null).PreciseAmount, sum);
        });

    [Fact]
    public void The_lines_of_a_preview_sum_to_its_amount_and_are_rounded_once() =>
        Gen.Select(PriceGen.Prices, s_quantities, s_quantities, s_currencies).Sample((price, quantity, billed, currency) =>
        {
            var preview = PricePreview.Of(new PreviewQuestion(price, currency) { Quantity = quantity, AlreadyBilled = billed });
            Assert.Equal(preview.Amount.MinorUnits, preview.Lines.Sum(l => l.Amount.MinorUnits));
            // each line is its own exact amount, rounded; what they differ by from the whole, rounded once, is a line
            var parts = preview.Lines.Where(l => l.Description != "rounded once over all parts").ToArray();
            Assert.All(parts, l => Assert.Equal(Money.Round(l.PreciseAmount, currency), l.Amount));
            Assert.InRange(preview.Lines.Count - parts.Length, 0, 1);
        });

    /// <summary>Three tiers of 0.005 are 0.015, so 0.02: each part alone is 0.01.</summary>
    [Fact]
    public void What_parts_differ_by_from_the_whole_is_a_line_of_its_own()
    {
        var price = new Price.Graduated([new Tier(1, 0.005m), new Tier(2, 0.005m), new Tier(null, 0.005m)]);
        var preview = Preview(price, 3, null);
        Assert.Equal(["1 units up to 1 0.01", "1 units above 1 up to 2 0.01", "1 units above 2 0.01", "rounded once over all parts -0.01"],
            preview.Lines.Select(l => $"{l.Description} {l.Amount}"));
        Assert.Equal((0.015m, "0.02", 0.015m),
            (preview.PreciseAmount, preview.Amount.ToString(), preview.Lines.Sum(l => l.PreciseAmount)));
        // two of them are 0.01 and no 0.02
        Assert.Equal("0.01 0.01 -0.01", string.Join(' ', Preview(price, 2, null).Lines.Select(l => l.Amount)));
        Assert.Equal(["0.01"], Preview(price, 1, null).Lines.Select(l => l.Amount.ToString()));
    }

    [Fact]
    public void A_preview_is_what_an_invoice_line_asks() =>
        Gen.Select(PriceGen.Prices, s_quantities, s_currencies).Sample((price, quantity, currency) =>
        {
            var plan = new PlanVersion("plan_p", 1, currency, [new PriceComponent("p", "calls", null, price)]);
            var lines = Rating.RateUsage(plan, [new Usage("calls", "a", quantity)]).ToArray();
            var preview = Preview(price, quantity, null, currency);
            Assert.Equal(preview.Amount.MinorUnits, lines.Sum(l => l.Amount(currency).MinorUnits));
        });

    [Fact]
    public void More_units_cost_no_less_unless_a_tier_decides_for_all_of_them() =>
        Gen.Select(PriceGen.Prices, s_quantities, s_quantities).Sample((price, quantity, more) =>
        {
            if (price is Price.Volume or Price.Stairstep) return;
            Assert.True(Preview(price, quantity, null).PreciseAmount <= Preview(price, quantity + more, null).PreciseAmount);
        });

    [Fact]
    public void Graduated_units_are_the_sum_of_their_tiers_by_an_independent_count() =>
        Gen.Select(PriceGen.Tiers, Gen.Int[0, 2_000], Gen.Bool).Sample((tiers, quantity, zero) =>
        {
            // unit by unit, the way that a person would count
            decimal expected = zero || quantity > 0 ? tiers[0].FlatAmount : 0;
            var at = 0;
            for (var unit = 1; unit <= quantity; unit++)
            {
                if (unit > (tiers[at].UpTo ?? decimal.MaxValue)) expected += tiers[++at].FlatAmount;
                expected += tiers[at].UnitAmount ?? 0;
            }

            var price = new Price.Graduated(tiers) { BillsZeroUsage = zero };
            Assert.Equal(expected, Rating.Exactly(price, quantity, 0));
        });

    [Fact]
    public void Volume_prices_all_units_by_the_tier_of_the_last_one() =>
        Gen.Select(PriceGen.Tiers, Gen.Int[0, 2_000]).Sample((tiers, quantity) =>
        {
            var tier = tiers.First(t => t.UpTo is null || quantity <= t.UpTo);
            var expected = quantity * (tier.UnitAmount ?? 0) + tier.FlatAmount;
            Assert.Equal(expected, Rating.Exactly(new Price.Volume(tiers), quantity, 0));
        });

    [Fact]
    public void Packages_hold_what_was_used_and_no_package_is_empty() =>
        Gen.Select(Gen.Int[1, 900], Gen.Int[0, 900], s_quantities).Sample((size, free, quantity) =>
        {
            var price = new Price.Package(size, 1) { Free = free };
            var count = Rating.Exactly(price, quantity, 0);
            var units = Math.Max(0, quantity - free);
            Assert.True(count * size >= units && (count - 1) * size < units || (count == 0 && units == 0));
            var down = Rating.Exactly(price with { RoundsDown = true }, quantity, 0);
            Assert.Equal(units % size == 0 ? count : count - 1, down);
        });

    [Fact]
    public void A_price_stays_between_its_bounds() =>
        Gen.Select(PriceGen.Prices, s_quantities).Sample((price, quantity) =>
        {
            var amount = Preview(price, quantity, null).Amount;
            if (price.Minimum is { } least) Assert.True(amount.MinorUnits >= Money.Round(least, Currency.Usd).MinorUnits);
            if (price.Maximum is { } most) Assert.True(amount.MinorUnits <= Money.Round(most, Currency.Usd).MinorUnits);
        });

    [Fact]
    public void Exact_sums_and_products_lose_no_digit_or_say_so() =>
        Gen.Select(Gen.Decimal, Gen.Decimal).Sample((a, b) =>
        {
            if (Try(() => Exact.Multiply(a, b)) is { } product)
                Assert.Equal(Fraction.Of(a) * Fraction.Of(b), Fraction.Of(product));
            if (Try(() => Exact.Add(a, b)) is { } sum)
                Assert.Equal(Fraction.Of(a) + Fraction.Of(b), Fraction.Of(sum));

            static decimal? Try(Func<decimal> work)
            {
                try
                {
                    return work();
                }
                catch (OverflowException)
                {
                    return null;
                }
            }
        });

    private static PricePreview Preview(Price price, decimal quantity, decimal? billed, Currency? currency = null) =>
        PricePreview.Of(new PreviewQuestion(price, currency ?? Currency.Usd) { Quantity = quantity, AlreadyBilled = billed });

    // a third of a unit has no last digit
    private static void Near(decimal expected, decimal actual) =>
        Assert.True(Math.Abs(expected - actual) < 0.000_000_000_000_01m, $"{expected} is not {actual}");

    /// <summary>A decimal as a whole number of 10^-28, of any length.</summary>
    private readonly record struct Fraction(System.Numerics.BigInteger Units, int Scale)
    {
        public static Fraction Of(decimal number)
        {
            var bits = decimal.GetBits(number);
            var units = new System.Numerics.BigInteger((uint)bits[0])
                | (new System.Numerics.BigInteger((uint)bits[1]) << 32) | (new System.Numerics.BigInteger((uint)bits[2]) << 64);
            return new Fraction(number < 0 ? -units : units, number.Scale).Normal();
        }

        public static Fraction operator *(Fraction a, Fraction b) => new Fraction(a.Units * b.Units, a.Scale + b.Scale).Normal();

        public static Fraction operator +(Fraction a, Fraction b) => new Fraction(
            a.Units * System.Numerics.BigInteger.Pow(10, Math.Max(0, b.Scale - a.Scale))
            + b.Units * System.Numerics.BigInteger.Pow(10, Math.Max(0, a.Scale - b.Scale)), Math.Max(a.Scale, b.Scale)).Normal();

        private Fraction Normal()
        {
            var (units, scale) = (Units, Scale);
            while (scale > 0 && units % 10 == 0) (units, scale) = (units / 10, scale - 1);
            return new Fraction(units, units.IsZero ? 0 : scale);
        }
    }
}
