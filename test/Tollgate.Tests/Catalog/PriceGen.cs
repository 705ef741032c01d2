using CsCheck;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>Prices of every model with terms of every kind, for properties.</summary>
internal static class PriceGen
{
    public static readonly Gen<decimal> Amounts = Gen.Select(
        Gen.Int[0, 200_000], Gen.Int[0, 4], (n, scale) => n / Power(scale));

    public static readonly Gen<IReadOnlyList<Tier>> Tiers = Gen.Select(
        Gen.Int[1, 400].Array[0, 4], Gen.Select(Amounts, Amounts, Gen.Int[0, 3]).Array[5]).Select((steps, amounts) =>
    {
        decimal bound = 0;
        var tiers = new List<Tier>();
        for (var i = 0; i <= steps.Length; i++)
        {
            var (unit, flat, shape) = amounts[i];
            tiers.Add(new Tier(i < steps.Length ? bound += steps[i] : null,
                shape == 0 ? null : unit, shape is 0 or 1 ? flat : 0));
        }

        return (IReadOnlyList<Tier>)tiers;
    });

    /// <summary>Each model, without further terms.</summary>
    public static readonly Gen<Price> Models = Gen.OneOf(
        Amounts.Select(a => (Price)new Price.PerUnit(a)),
        Tiers.Select(t => (Price)new Price.Graduated(t)),
        Tiers.Select(t => (Price)new Price.Volume(t)),
        Tiers.Select(t => (Price)new Price.Stairstep([.. t.Select(x => x with { UnitAmount = null })])),
        Gen.Select(Gen.Int[1, 500], Amounts, Gen.Int[0, 300], Gen.Bool, (size, amount, free, down) =>
            (Price)new Price.Package(size, amount) { Free = free, RoundsDown = down }),
        Gen.Select(Amounts, Gen.Int[0, 500], (rate, free) =>
            (Price)new Price.Percentage(rate / 1_000) { FreeAmount = free }));

    /// <summary>Each model with its terms.</summary>
    public static readonly Gen<Price> Prices = Gen.Select(
        Models, Gen.Int[-200, 300], Gen.Int[-1_000, 500], Gen.Int[-1_000, 2_000], Gen.Int[0, 6], Gen.Bool,
        (price, included, minimum, range, convert, zero) => price with
        {
            Included = Math.Max(0, included),
            Minimum = minimum < 0 ? null : minimum,
            Maximum = range < 0 ? null : Math.Max(0, minimum) + range,
            BillsZeroUsage = zero,
            Convert = convert switch
            {
                0 => new Conversion(3, true),
                1 => new Conversion(10, true, UnitRounding.Up),
                2 => new Conversion(7, true, UnitRounding.Down),
                3 => new Conversion(2.5m, false, UnitRounding.Nearest),
                _ => null,
            },
        });

    public static decimal Power(int exponent) => Enumerable.Repeat(10m, exponent).Aggregate(1m, (a, b) => a * b);
}
