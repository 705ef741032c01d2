using System.Data.Common;
using Dapper;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Metering;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>What the past of a customer cost, and what it would have cost.</summary>
/// <param name="Before">Usage and fees before coupons, credit and tax.</param>
/// <param name="After">The same under the other version; null when that is not sold in the customer's currency.</param>
public sealed record SimulatedCustomer(long Key, string Customer, Money Before, Money? After);

/// <summary>Past usage under another version of a plan.</summary>
public sealed partial class BillingRun
{
    /// <summary>
    /// Rates the periods that began in a time once more, as invoices rate them, by the version that was in force and by
    /// another one, customer by customer. A fee in advance counts for the period that it is for. Nothing is written.
    /// </summary>
    /// <param name="version">Of the plan; where it has no phase of a name, its own terms hold.</param>
    /// <param name="time">In the zone of a subscription.</param>
    /// <param name="now">Periods that begin later are left out; the running one counts as far as it was used.</param>
    /// <param name="page">Customers after this key, so many at most.</param>
    /// <returns>Or why somebody's usage cannot be rated.</returns>
    public async Task<Result<IReadOnlyList<SimulatedCustomer>>> SimulateAsync(
        PlanVersion version, Func<DateTimeZone, Period> time, long now, (long After, int Limit) page)
    {
        await _catchUp();
        return await _database.ReadAsync<Result<IReadOnlyList<SimulatedCustomer>>>(async db =>
        {
            var simulated = new List<SimulatedCustomer>();
            var versions = new Dictionary<(string, int), PlanVersion>();
            foreach (var customer in await OnPlanAsync(db, version.PlanId, time(DateTimeZone.Utc), page))
            {
                var (before, after) = (Money.Zero(Currency.Of(customer.Currency)), Money.Zero(Currency.Of(customer.Currency)));
                foreach (var subscription in await SubscriptionStore.OfCustomerAsync(db, customer.Key))
                {
                    var terms = await _reader.TermsAsync(db, subscription, versions);
                    if (terms.Stretches.All(s => s.Terms.PlanId != version.PlanId)) continue;
                    try
                    {
                        var (was, would) = (AtPeriodEnds(terms), AtPeriodEnds(Under(terms, version)));
                        foreach (var bill in PeriodsOf(terms, time(subscription.Calendar.Zone), now))
                            (before, after) = (before + await CostAsync(db, was, bill), after + await CostAsync(db, would, bill));
                    }
                    catch (Exception e) when (e is OverflowException or TooManyValuesException)
                    {
                        return new Problem("cannot_be_rated", $"{subscription.Id}: {e.Message}", "period");
                    }
                }

                var isSold = version.Prices.Count == 0 || version.In(before.Currency).Currency == before.Currency;
                simulated.Add(new SimulatedCustomer(customer.Key, customer.Name, before, isSold ? after : null));
            }

            return simulated;
        });
    }

    /// <summary>Customers with a subscription to a plan in a time, a day more on both sides: it is of UTC.</summary>
    private static async Task<IReadOnlyList<(long Key, string Name, string Currency)>> OnPlanAsync(
        DbConnection db, string planId, Period time, (long After, int Limit) page) =>
        (await db.QueryAsync<(long, string, string)>(
            "select key, name, currency from customers where key > @After and key in (select customer_key from entitlements " +
            "where plan_id = @planId and start_at < @to and (end_at is null or (end_at > start_at and end_at > @from))) " +
            "order by key limit @Limit",
            new
            {
                page.After,
                page.Limit,
                planId,
                from = Micros.Of(time.Start) - Micros.PerDay,
                to = Micros.Of(time.End) + Micros.PerDay,
            })).AsList();

    private static IEnumerable<Bill> PeriodsOf(SubscriptionTerms terms, Period time, long now)
    {
        var last = Instant.Min(time.End, Micros.ToInstant(now + 1));
        return Bills.Of(terms, BilledSoFar.Nothing with { Next = terms.Subscription.StartAt })
            .TakeWhile(b => b.Period.Start < last).Where(b => b.Settles is not null && b.Period.Start >= time.Start);
    }

    private static SubscriptionTerms Under(SubscriptionTerms terms, PlanVersion version) => terms with
    {
        Stretches = [.. terms.Stretches.Select(s => s.Terms.PlanId != version.PlanId ? s
            : s with { Prices = version.In(terms.CustomerCurrency).For(s.Terms.PlanPhase, s.Terms.Overrides) })],
    };

    /// <summary>Every fee stands with the period that it is for.</summary>
    private static SubscriptionTerms AtPeriodEnds(SubscriptionTerms terms)
    {
        return terms with
        {
            Stretches = [.. terms.Stretches.Select(s => s with
            {
                Prices = s.Prices with { Prices = InArrears(s.Prices.Prices) },
                AddOns = [.. s.AddOns.Select(a => a with { Prices = InArrears(a.Prices) })],
            })],
        };

        static IReadOnlyList<PriceComponent> InArrears(IReadOnlyList<PriceComponent> prices) => [.. prices.Select(p =>
            p.Price is Price.Flat flat ? p with { Price = flat with { In = BillingTiming.Arrears } } : p)];
    }

    private static async Task<Money> CostAsync(DbConnection db, SubscriptionTerms terms, Bill bill)
    {
        var usage = await DraftReader.UsageAsync(db, terms, bill);
        return Fees.Arrears(terms, bill).Concat(Drafting.Used(terms, bill, usage)).Select(l => l.Amount)
            .Where(a => a.Currency == terms.CustomerCurrency)
            .Aggregate(Money.Zero(terms.CustomerCurrency), (sum, amount) => sum + amount);
    }
}
