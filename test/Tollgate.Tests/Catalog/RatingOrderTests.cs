using CsCheck;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>Included units go to what was used first; sums know that by quarters of an hour. Where that is another answer than
/// that of the instants, and by how much at most (decision 54).</summary>
public sealed class RatingOrderTests
{
    private const long Minute = 60 * Micros.PerSecond, Quarter = 15 * Minute;

    private static readonly string[] s_operations = ["a", "b", "c"];

    /// <summary>Six calls of b at 00:01 and six of a at 00:05, ten of them included: by instants all of b and four of a, by the
    /// quarter of an hour all of a and four of b. At one price it is the same money; two calls of a at 0.03 are 0.06, of b at
    /// 0.01 they are 0.02.</summary>
    [Theory]
    [InlineData(false, 1, "a 2 × 0.05; b 0 × 0.05", "a 0 × 0.05; b 2 × 0.05")]
    [InlineData(true, 1, "a 2 × 0.03; b 0 × 0.01", "a 0 × 0.03; b 2 × 0.01")]
    // a quarter of an hour later it is told apart
    [InlineData(true, 16, "a 2 × 0.03; b 0 × 0.01", "a 2 × 0.03; b 0 × 0.01")]
    public void Within_a_quarter_of_an_hour_the_name_decides_what_is_included(
        bool matrix, int later, string byInstant, string byQuarter)
    {
        var price = PriceOf(0.05m, matrix ? [("a", 0.03m), ("b", 0.01m)] : [], 10);
        Usage[] usage = [new("calls", "b", 6) { At = Minute }, new("calls", "a", 6) { At = (4 + later) * Minute }];
        Assert.Equal(byInstant, Text(Rating.Rate(price, usage, 10)));
        Assert.Equal(byQuarter, Text(Rating.Rate(price, ByQuarter(usage), 10)));
    }

    [Fact]
    public void Only_the_quarter_in_which_the_allowance_runs_out_can_differ_and_by_no_more_than_its_units() => Gen.Select(
        Gen.Select(Gen.Int[0, 4 * 60 - 1], Gen.Int[0, 2], Gen.Int[1, 9]).Array[0, 30], Gen.Int[0, 120], Gen.Int[0, 5].Array[3])
        .Sample((calls, included, amounts) =>
        {
            Usage[] usage = [.. calls.Select(c => new Usage("calls", s_operations[c.Item2], c.Item3) { At = c.Item1 * Minute })];
            var price = PriceOf(9, [.. s_operations.Select((o, i) => (o, (decimal)amounts[i]))], included);
            var exact = Rating.Rate(price, usage, included);
            var summed = Rating.Rate(price, ByQuarter(usage), included);
            Assert.Equal(exact.Sum(l => l.Included), summed.Sum(l => l.Included));
            Assert.Equal(exact.Select(l => (l.Label, l.Quantity)), summed.Select(l => (l.Label, l.Quantity)));

            // of the quarter in which it runs out: so many units are included, and so many are not
            decimal before = 0, within = 0;
            foreach (var quarter in usage.GroupBy(u => u.At / Quarter).OrderBy(g => g.Key))
            {
                within = quarter.Sum(u => u.Quantity);
                if (before + within > included) break;
                (before, within) = (before + within, 0);
            }

            var swapped = Math.Min(included - before, within - (included - before));
            var most = within == 0 ? 0 : swapped * (amounts.Max() - amounts.Min());
            Assert.InRange(Math.Abs(exact.Sum(l => l.PreciseAmount) - summed.Sum(l => l.PreciseAmount)), 0, most);

            // what has one amount asks the same, whichever calls were included
            var one = PriceOf(amounts[0], [], included);
            Assert.Equal(Rating.Rate(one, usage, included).Sum(l => l.PreciseAmount),
                Rating.Rate(one, ByQuarter(usage), included).Sum(l => l.PreciseAmount));
        });

    [Fact]
    public void Tiers_and_packages_do_not_look_at_the_order() => Gen.Select(
        Gen.Select(Gen.Int[0, 59], Gen.Int[0, 2], Gen.Int[1, 9]).Array[0, 12], Gen.Int[0, 60]).Sample((calls, included) =>
    {
        Usage[] usage = [.. calls.Select(c => new Usage("calls", s_operations[c.Item2], c.Item3) { At = c.Item1 * Minute })];
        foreach (Price price in (Price[])[new Price.Graduated([new Tier(7, 2, 1), new Tier(null, 1)]), new Price.Package(5, 3)])
        {
            var of = new PriceComponent("p", "calls", null, price with { Included = included });
            Assert.Equal(Text(Rating.Rate(of, usage, included)), Text(Rating.Rate(of, ByQuarter(usage), included)));
        }
    });

    /// <summary>As sums tell it.</summary>
    private static Usage[] ByQuarter(Usage[] usage) =>
    [
        .. usage.GroupBy(u => (u.Operation, Quarter: u.At / Quarter))
            .Select(g => new Usage("calls", g.Key.Operation, g.Sum(u => u.Quantity)) { At = g.Key.Quarter * Quarter }),
    ];

    private static PriceComponent PriceOf(decimal amount, (string Operation, decimal Amount)[] cells, decimal included) =>
        new("p", "calls", null, new Price.PerUnit(amount) { Included = included })
        {
            Matrix = [.. cells.Select(c => new PriceCell(
                new UsageScope { Operations = [c.Operation] }, new Price.PerUnit(c.Amount)))],
        };

    private static string Text(IReadOnlyList<RatedLine> lines) => string.Join("; ", lines.Select(l => FormattableString.Invariant(
        $"{l.Operation} {l.Quantity - l.Included} × {l.UnitAmount}{(l.Parts.Count > 1 ? $" = {l.PreciseAmount}" : "")}")));
}
