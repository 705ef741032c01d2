using CsCheck;
using NodaTime;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Tests.Billing;

public sealed class DraftingTests
{
    private static readonly string[] s_operations = ["data", "quote", "analytics", "free"];

    /// <summary>A call as the journal tells it: operation, and under which of two stretches it was admitted.</summary>
    private static readonly Gen<(int Operation, int Stretch, int Calls)[]> s_journal =
        Gen.Select(Gen.Int[0, 3], Gen.Int[1, 2], Gen.Int[1, 9_999]).Array[0, 40];

    private static readonly Gen<decimal> s_rate = Gen.Int[0, 1_000_000].Select(i => i / 100_000m);

    [Fact]
    public void A_draft_of_a_replayed_journal_is_the_same() => Gen.Select(s_journal, Gen.Int[0, 30], s_rate).Sample(
        (journal, changeDay, rate) =>
        {
            var terms = Terms(changeDay, rate);
            var bill = Settling(terms).First();
            var draft = Document(terms, bill, journal);
            Assert.Equal(draft, Document(terms, bill, journal));
            Assert.Equal(draft, Document(terms, bill, journal.Reverse()));
        });

    [Fact]
    public void A_total_is_the_sum_of_its_lines_and_every_call_is_accounted_for() =>
        Gen.Select(s_journal, Gen.Int[0, 30], s_rate).Sample((journal, changeDay, rate) =>
        {
            var terms = Terms(changeDay, rate);
            var bill = Settling(terms).First();
            var draft = Drafting.Draft(terms, bill, RolledUp(journal)).Value;
            Assert.Equal(draft.Total.MinorUnits, draft.Lines.Sum(l => l.Amount.MinorUnits));
            var billed = draft.Lines.Sum(l => l.Rated.Meter is null ? 0 : l.Rated.Quantity);
            Assert.Equal(journal.Sum(j => j.Calls), billed + draft.Unpriced.Sum(u => u.Quantity));
            Assert.All(draft.Lines, l => Assert.Equal(Money.Round(l.Rated.PreciseAmount, Currency.Usd), l.Amount));
        });

    [Fact]
    public void Bills_follow_each_other_without_gaps_and_every_one_once() => Gen.Select(
        Gen.Int[0, 400], Gen.Int[0, 400], Gen.Int[1, 28]).Sample((startDay, days, anchorDay) =>
        {
            var subscription = Subscription(Day(startDay), Day(startDay + days), anchorDay);
            var terms = new SubscriptionTerms(subscription, Currency.Usd,
            [
                new Stretch(Stretch(subscription, 1, subscription.StartAt, subscription.EndAt),
                    new PlanVersion("plan_1", 1, Currency.Usd, [])),
            ]);
            var bills = Bills.Of(terms, new BilledSoFar(null, null, subscription.StartAt)).ToArray();
            var settling = bills.Where(b => b.Settles is not null).ToArray();
            Assert.Equal(days > 0, bills[0].Settles is null);
            Assert.Equal(subscription.StartAt, Micros.Of(settling[0].Period.Start));
            Assert.Equal(subscription.EndAt, settling[^1].BillAt);
            Assert.Null(settling[^1].Opens);
            foreach (var (one, next) in settling.Zip(settling.Skip(1)))
            {
                Assert.Equal(one.Period.End, next.Period.Start);
                Assert.Equal(one.Opens, next.Settles);
                Assert.Equal(one.BillAt, Micros.Of(one.Period.End));
            }

            // going on after any of them gives the rest
            for (var i = 0; i < bills.Length; i++)
                Assert.Equal(bills.Skip(i + 1), Bills.Of(terms,
                    new BilledSoFar(bills[i].BillAt, bills[i].BillAt, bills[i].BillAt + 1)));
        });

    [Fact]
    public void A_late_call_stamped_with_an_ended_stretch_is_billed_at_its_prices()
    {
        var terms = Terms(10, 0.5m);
        var february = Settling(terms).Skip(1).First();
        var draft = Drafting.Draft(terms, february, RolledUp([(0, 1, 2)])).Value;
        var line = draft.Lines.Single(l => l.Rated.Meter is not null);
        Assert.Equal((1, "1.00"), (line.PlanVersion, line.Amount.ToString()));
        Assert.Equal(february.Period, line.Period);
    }

    [Fact]
    public void Operations_of_one_name_in_two_apis_have_a_line_each()
    {
        var terms = Terms(0, 0.01m);
        var bill = Settling(terms).First();
        IReadOnlyList<OperationUsage> usage =
            [new("a", "data", "/a/data", 3, 3, 0), new("b", "data", "/b/data", 4, 4, 0)];
        var lines = Drafting.Draft(terms, bill, new Dictionary<int, IReadOnlyList<OperationUsage>> { [2] = usage })
            .Value.Lines.Where(l => l.Rated.Meter is not null);
        Assert.Equal(["/a/data", "/b/data"], lines.Select(l => l.Rated.Endpoint));
    }

    [Fact]
    public void An_invoice_asks_what_a_preview_of_its_price_says() => Gen.Select(
        Tests.Catalog.PriceGen.Prices, Gen.Long[0, 5_000], Gen.OneOf(["USD", "JPY", "KWD", "CLF"])).Sample(
        (price, quantity, code) =>
        {
            var currency = Currency.Of(code);
            var subscription = Subscription(Day(0), null, 1);
            var terms = new SubscriptionTerms(subscription, currency,
            [
                new Stretch(Stretch(subscription, 1, subscription.StartAt, null),
                    new PlanVersion("plan_1", 1, currency, [new PriceComponent("p", "calls", null, price)])),
            ]);
            var draft = Drafting.Draft(terms, Settling(terms).First(), new Dictionary<int, IReadOnlyList<OperationUsage>>
            {
                [1] = [new("a", "data", "/data", quantity, quantity, 0)],
            }).Value;
            var preview = PricePreview.Of(new PreviewQuestion(price, currency) { Quantity = quantity });
            Assert.Equal(preview.Amount, draft.Total);
        });

    private static IEnumerable<Bill> Settling(SubscriptionTerms terms) =>
        Bills.Of(terms, new BilledSoFar(null, null, terms.Subscription.StartAt)).Where(b => b.Settles is not null);

    private static string Document(
        SubscriptionTerms terms, Bill bill, IEnumerable<(int Operation, int Stretch, int Calls)> journal) =>
        InvoiceDocument.Of(Drafting.Draft(terms, bill, RolledUp(journal)).Value,
            new InvoiceCustomer("cus_1", "acme"), "pro", 0).ToJson();

    private static Dictionary<int, IReadOnlyList<OperationUsage>> RolledUp(
        IEnumerable<(int Operation, int Stretch, int Calls)> journal) =>
        journal.GroupBy(j => j.Stretch).ToDictionary(s => s.Key, s => (IReadOnlyList<OperationUsage>)s
            .GroupBy(j => s_operations[j.Operation])
            .Select(o => new OperationUsage(
                "market", o.Key, "/api/v1/" + o.Key, o.Sum(j => j.Calls), o.Sum(j => j.Calls), 0)).ToArray());

    /// <summary>A month under two versions, the second from a day of January on.</summary>
    private static SubscriptionTerms Terms(int changeDay, decimal rate)
    {
        var subscription = Subscription(Day(0), null, 1);
        var change = Day(changeDay);
        var prices = $"base flat 49.00 arrears; data per_unit {rate} data,quote; analytics per_unit 0.05 analytics";
        return new SubscriptionTerms(subscription, Currency.Usd,
        [
            new Stretch(Stretch(subscription, 1, subscription.StartAt, change),
                new PlanVersion("plan_1", 1, Currency.Usd, Books.Prices(prices))),
            new Stretch(Stretch(subscription, 2, change, null),
                new PlanVersion("plan_1", 2, Currency.Usd, Books.Prices(prices + "; seat flat 5 advance"))),
        ]);
    }

    private static Entitlement Stretch(SubscriptionRow subscription, int key, long start, long? end) => new()
    {
        Key = key,
        SubscriptionId = subscription.Id,
        CustomerKey = 1,
        PlanId = "plan_1",
        PlanVersion = key,
        Priority = 0,
        StartAt = start,
        EndAt = end,
        Anchor = subscription.Calendar.Anchor,
        Timezone = subscription.Timezone,
    };

    private static SubscriptionRow Subscription(long start, long? end, int anchorDay) => new(
        1, "sub_1", 1, "plan_1", 0, $"2026-01-{anchorDay:00}", "Europe/Berlin", start, end, "api", start);

    private static long Day(int day) => Micros.Of(new LocalDate(2026, 1, 1).PlusDays(day)
        .AtStartOfDayInZone(DateTimeZoneProviders.Tzdb["Europe/Berlin"]).ToInstant());
}
