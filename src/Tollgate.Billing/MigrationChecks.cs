using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;

namespace Tollgate.Billing;

/// <summary>What keeps the running subscriptions of a plan from moving to a version of it.</summary>
public static class MigrationChecks
{
    /// <summary>Subscriptions that are named in one message.</summary>
    private const int MostNamed = 5;

    /// <summary>The code of a price by which calls cannot be held to a balance.</summary>
    public const string PriceCannotBlock = "price_cannot_block";

    /// <summary>All that is wrong, each with its field below the plan. Nothing is, where nobody runs on it.</summary>
    /// <param name="db">The transaction that would move them.</param>
    /// <param name="planId">The plan.</param>
    /// <param name="prices">Of the version.</param>
    /// <param name="quotas">Its own too.</param>
    /// <param name="now">Microseconds UTC.</param>
    public static async Task<IReadOnlyList<Problem>> FaultsAsync(
        DbConnection db, string planId, IReadOnlyList<PriceComponent> prices, IReadOnlyList<Quota> quotas, long now)
    {
        var running = (await db.QueryAsync<(string Id, string Interval, bool Balanced)>(
            "select id, interval, exists (select 1 from balances b where b.customer_key = subscriptions.customer_key) " +
            $"from subscriptions where {SubscriptionStore.OnPlan} order by key", new { planId, now })).AsList();
        return [.. Periods(running, prices, quotas), .. Balances(running.Exists(r => r.Balanced), prices)];
    }

    /// <summary>What keeps a customer from being held to a balance: prices of what it runs on now, or will, by which calls cannot
    /// be.</summary>
    /// <param name="db">Where the customer is.</param>
    /// <param name="customerKey">The customer.</param>
    /// <param name="now">Microseconds UTC.</param>
    /// <param name="readVersion">Reads the prices of a published version; null for those that a file or the API wrote.</param>
    public static async Task<IReadOnlyList<Problem>> BalanceFaultsAsync(
        DbConnection db, long customerKey, long now, Func<PlanVersionRow, PlanVersion>? readVersion = null)
    {
        readVersion ??= row => row.ToPlanVersion();
        var wrong = new List<Problem>();
        var running = (await EntitlementStore.OfCustomerAsync(db, customerKey)).Where(e => e.EndAt is null || e.EndAt > now);
        foreach (var terms in running.DistinctBy(e => (e.SubscriptionId, e.PlanId, e.PlanVersion, e.PlanPhase)))
        {
            if (await ConfigStore.FindVersionAsync(db, terms.PlanId, terms.PlanVersion) is not { } version) continue;
            var phase = version.ReadTerms().FindPhase(terms.PlanPhase)?.Prices ?? [];
            var prices = terms.Overrides.Prices.Concat(phase).Concat(readVersion(version).Prices).DistinctBy(p => p.Name);
            wrong.AddRange(prices.Where(CannotBlock).Select(p => new Problem(PriceCannotBlock,
                $"{terms.SubscriptionId} runs on the price {p.Name}, and calls cannot be held to a balance by it: " + Why(p) +
                ", and publish it with 'migrate: now' first.")));
        }

        return wrong;
    }

    /// <summary>What keeps a customer who is held to a balance from a plan that they are not on yet.</summary>
    /// <param name="db">The transaction that would put them on it.</param>
    /// <param name="customerKey">The customer.</param>
    /// <param name="offer">The plan.</param>
    /// <param name="overrides">What is agreed in place of what it says.</param>
    /// <param name="readVersion">As in <see cref="BalanceFaultsAsync"/>.</param>
    public static async Task<IReadOnlyList<Problem>> OfferFaultsAsync(
        DbConnection db, long customerKey, PlanOffer offer, Overrides overrides, Func<PlanVersionRow, PlanVersion>? readVersion = null)
    {
        if (offer.Prices is not { } version || !await IsHeldAsync(db, customerKey)) return [];
        var own = (readVersion?.Invoke(version) ?? version.ToPlanVersion()).Prices;
        var prices = offer.Terms.Phases.Select(p => p.Prices).Prepend([])
            .SelectMany(phase => overrides.Prices.Concat(phase).Concat(own).DistinctBy(p => p.Name));
        return [.. prices.Where(CannotBlock).DistinctBy(p => p.Name).Select(p => new Problem(PriceCannotBlock,
            $"The customer has prepaid credit or a spend cap, and calls cannot be held to a balance by the price {p.Name} of this " +
            "plan: " + Why(p) + ", or remove the balance first.", "plan"))];
    }

    /// <summary>Whether calls of a customer are held to a balance, or will be when their credit begins.</summary>
    public static async Task<bool> IsHeldAsync(DbConnection db, long customerKey) =>
        await db.ExecuteScalarAsync<bool>(
            "select exists (select 1 from balances where customer_key = @customerKey)", new { customerKey })
        || await CreditAtGate.IsKeptAsync(db, customerKey) && !(await CustomerTerms.OfAsync(db, customerKey)).AllowsOverage;

    /// <summary>Whether calls would be held to credit of a customer that only pays on invoices for now.</summary>
    public static async Task<bool> BecomesHeldAsync(DbConnection db, long customerKey) =>
        await CreditAtGate.IsKeptAsync(db, customerKey) && (await CustomerTerms.OfAsync(db, customerKey)).AllowsOverage;

    private static bool CannotBlock(PriceComponent price) => price.IsHeldAtGate && !price.Price.CanBlockAtBalance;

    /// <summary>A subscription of another interval cannot move, and the one who asks has to know which.</summary>
    private static IEnumerable<Problem> Periods(
        IReadOnlyList<(string Id, string Interval, bool Balanced)> running, IReadOnlyList<PriceComponent> prices,
        IReadOnlyList<Quota> quotas)
    {
        foreach (var alike in running.GroupBy(r => r.Interval))
        {
            if (QuotaPeriods.Refuse(prices, quotas, Intervals.Find(alike.Key)!.Value) is not { } problem) continue;
            var ids = alike.Select(r => r.Id).ToArray();
            var more = ids.Length > MostNamed ? $" and {ids.Length - MostNamed} more" : "";
            yield return problem with
            {
                Field = "migrate",
                Detail = $"{string.Join(", ", ids.Take(MostNamed))}{more} cannot move to this version. {problem.Detail} Or say " +
                    "'migrate: never', and change these subscriptions to a plan of their interval.",
            };
        }
    }

    /// <summary>A total that falls, or is only known at the end of a period, cannot be held against what is left (money.md
    /// 11).</summary>
    private static IEnumerable<Problem> Balances(bool balanced, IReadOnlyList<PriceComponent> prices)
    {
        foreach (var price in prices.Where(p => balanced && p.Meter is not null && !(p.IsHeldAtGate && p.Price.CanBlockAtBalance)))
            yield return new Problem(PriceCannotBlock, $"Customers with prepaid credit or a spend cap run on this plan, and " +
                "calls cannot be held to a balance by this price: " + Why(price) + ", or say 'migrate: never'.", $"prices.{price.Name}");
    }

    private static string Why(PriceComponent price) => !price.IsHeldAtGate
        ? "what it asks by dimension, by hour, by cell or for single events is only known on the invoice. Take one price for " +
            "all of the usage"
        : price.Price.Minimum is not null
        ? "its minimum is only known at the end of a period. Remove the minimum"
        : "its total may fall when more is used. Take flat, per_unit, graduated or package";
}
