using Tollgate.Catalog;
using Tollgate.Gateway;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>What the gate takes from a balance is what the invoice of the period asks for, also where terms change within it
/// and where credit in units pays a part.</summary>
public sealed class PurseStretchTests
{
    private static readonly string[] s_operations = ["a", "b"];

    [Fact]
    public void A_price_that_new_terms_leave_as_it_was_goes_on_in_its_tiers()
    {
        var price = new PriceComponent("calls", "calls", null,
            new Price.Graduated([new Tier(10, 1, 5), new Tier(null, 2)]) { Included = 3 });
        var purse = PurseOf([]);
        foreach (var (entitlement, calls) in ((int, int)[])[(1, 8), (2, 8)])
            Use(purse, entitlement, Plan(entitlement, price), "a", calls, at: entitlement);
        // 3 included, 10 at 1 and 5 for the tier, 3 at 2
        Assert.Equal(21, purse.Used()[0]);
    }

    [Fact]
    public void The_sum_at_the_gate_is_the_sum_of_the_invoice_over_any_stretches()
    {
        for (var seed = 1; seed <= 300; seed++)
        {
            var random = new Random(seed);
            UnitGrant[] grants = random.Next(2) == 0 ? [] :
                [.. Enumerable.Range(1, random.Next(1, 4)).Select(i => new UnitGrant(i, "calls", random.Next(1, 40)))];
            var purse = PurseOf(grants);
            PriceComponent[] kinds = [.. Enumerable.Range(0, 3).Select(_ => PriceOf(random))];
            var stretches = new List<UsedStretch>();
            var at = 0L;
            var kind = 0;
            for (var i = 1; i <= random.Next(1, 5); i++)
            {
                // with credit nobody returns to a price: what came between has taken of it by then
                kind = grants.Length > 0 ? Math.Min(2, kind + random.Next(2)) : random.Next(3);
                var plan = Plan(i, kinds[kind]);
                var usage = new List<Usage>();
                for (var calls = random.Next(0, 6); calls > 0; calls--)
                {
                    at += 15L * 60 * Micros.PerSecond;
                    var (operation, units) = (s_operations[random.Next(2)], random.Next(1, 12));
                    Use(purse, i, plan, operation, units, at);
                    usage.Add(new Usage("calls", operation, units) { At = at });
                }

                stretches.Add(new UsedStretch(plan, new Proration(1, 4), usage));
            }

            // terms that nobody called under do not enter a tier at the gate
            var lines = PeriodRating.Prices([.. stretches.Where(s => s.Usage.Count > 0)], grants).SelectMany(p => p.Lines).ToArray();
            Assert.True(lines.Sum(l => l.PreciseAmount) == purse.Used()[0], $"seed {seed}");
            Assert.Equal(grants.Sum(g => g.Left) - lines.Sum(l => l.Credited), purse.Left().Sum());
        }
    }

    private static PriceComponent PriceOf(Random random)
    {
        Price price = random.Next(3) switch
        {
            0 => new Price.PerUnit(random.Next(1, 5)),
            1 => new Price.Graduated([new Tier(random.Next(1, 15), random.Next(1, 4), random.Next(0, 3)), new Tier(null, 1)]),
            _ => new Price.Package(random.Next(1, 6), random.Next(1, 9)),
        };
        return new PriceComponent("calls", "calls", random.Next(3) == 0 ? ["a"] : null, price with
        {
            Included = random.Next(0, 20),
            // what nothing at all costs is a fee, which is known on the invoice
            BillsZeroUsage = false,
        });
    }

    private static Purse PurseOf(UnitGrant[] grants) => Purse.Counting().With(PurseTerms.None with
    {
        Balances =
        [
            new Balance { CustomerKey = 1, Kind = BalanceKind.SpendCap, Amount = 1_000_000, Currency = Currency.Usd, Since = 0 },
        ],
        Units = grants,
    });

    /// <summary>A call at a time: reserved, and settled.</summary>
    private static void Use(Purse purse, int entitlement, PlanVersion plan, string operation, int calls, long at)
    {
        for (var i = 0; i < calls; i++)
        {
            var charge = new Charge(entitlement, 0, plan, operation, 1) { Era = 1, At = at };
            Assert.True(purse.TryReserve(charge, out var refused));
            Assert.Null(refused);
            Assert.True(purse.TrySettle(charge, purse, 1, []));
        }
    }

    private static PlanVersion Plan(int version, params PriceComponent[] prices) => new("p", version, Currency.Usd, prices);
}
