using System.Data.Common;
using Dapper;
using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;
using Interval = Tollgate.Catalog.Interval;

namespace Tollgate.Billing;

/// <summary>A customer on a plan.</summary>
/// <param name="Anchor">ISO local date from which billing periods are counted.</param>
/// <param name="EndAt">None while it runs; half-open.</param>
/// <param name="Interval">How long its periods are; fees may have longer or shorter ones.</param>
/// <param name="Alignment"><c>calendar</c> or <c>anniversary</c>: where the periods of such fees begin.</param>
/// <param name="Proration"><c>day</c> or <c>second</c>: how a part of a period is counted.</param>
/// <param name="Revision">Grows with each change and each invoice: who compares it has seen everything.</param>
public sealed record SubscriptionRow(
    long Key, string Id, long CustomerKey, string PlanId, long Priority, string Anchor, string Timezone, long StartAt,
    long? EndAt, string ManagedBy, long CreatedAt, string Interval = "month",
    string Alignment = SubscriptionRow.ByCalendar, string Proration = "day", long Revision = 0)
{
    public const string ByCalendar = "calendar", ByAnniversary = "anniversary";

    public bool IsAligned => Alignment == ByCalendar;

    public bool ProratesBySecond => Proration == "second";

    public BillingCalendar Calendar => new(
        LocalDatePattern.Iso.Parse(Anchor).Value, DateTimeZoneProviders.Tzdb[Timezone],
        Intervals.Find(Interval) ?? Catalog.Interval.Month);
}

/// <summary>A subscription to be started.</summary>
/// <param name="Plan">Name or id.</param>
public sealed record NewSubscription(CustomerRow Customer, string Plan, ManagedBy By)
{
    /// <summary>Microseconds; null for now.</summary>
    public long? StartAt { get; init; }

    /// <summary>Microseconds, after the start; null while it runs.</summary>
    public long? EndAt { get; init; }

    /// <summary>Until when nothing is charged; after the start. Null for the plan's own trial.</summary>
    public long? TrialEnd { get; init; }

    /// <summary>Charged from the start on, whatever trial the plan has.</summary>
    public bool NoTrial { get; init; }

    /// <summary>What is agreed in place of what the plan says.</summary>
    public Overrides Overrides { get; init; } = Overrides.None;

    public int Priority { get; init; }

    /// <summary>Null for the shortest interval of the plan's fees, else the month.</summary>
    public Interval? Interval { get; init; }

    /// <summary>Periods begin on the day of the start, or of the end of the trial, and not with the calendar.</summary>
    public bool Anniversary { get; init; }

    /// <summary>A local date from which periods are counted, when it is neither.</summary>
    public LocalDate? Anchor { get; init; }

    /// <summary>IANA id; null for the customer's.</summary>
    public string? Timezone { get; init; }

    public bool ProrateBySecond { get; init; }

    public int Quantity { get; init; } = 1;

    public IReadOnlyList<AddOnTerms> AddOns { get; init; } = [];
}

/// <summary>A plan, and the newest version of its prices; 0 when it was never priced.</summary>
/// <param name="Prices">As they were published; null when it was never priced.</param>
public sealed record PlanOffer(string PlanId, int Version, PlanVersionRow? Prices = null)
{
    public PlanTerms Terms => Prices?.ReadTerms() ?? PlanTerms.None;
}

/// <summary>
/// The SQL of subscriptions. Each write changes the subscription and its entitlements in one transaction, so that
/// what the gate enforces and what is billed change at the same instant.
/// </summary>
/// <param name="readVersion">Reads the prices of a published version; null for those that a file or the API wrote.
/// </param>
public sealed class SubscriptionStore(
    Database database, TimeProvider clock, Func<PlanVersionRow, PlanVersion>? readVersion = null)
{
    internal long Now => Micros.Now(clock);

    /// <summary>The code of a second subscription to a plan that the customer is on.</summary>
    public const string AlreadySubscribed = "already_subscribed";

    private const string Columns =
        "key, id, customer_key, plan_id, priority, anchor, timezone, start_at, end_at, managed_by, created_at, " +
        "interval, alignment, proration, revision";

    // on the plan now, or agreed to be later
    internal const string OnPlan = "(end_at is null or end_at > @now) and id in (select e.subscription_id " +
        "from entitlements e where e.plan_id = @planId and (e.end_at is null or e.end_at > @now) " +
        "and (e.end_at is null or e.end_at > e.start_at))";

    private static readonly string s_noPrices = PriceWriter.Write([]);

    public Task<SubscriptionRow?> FindAsync(string id) => database.ReadAsync(db => FindAsync(db, id));

    public static Task<SubscriptionRow?> FindAsync(DbConnection db, string id) =>
        db.QueryFirstOrDefaultAsync<SubscriptionRow?>(
            $"select {Columns} from subscriptions where id = @id", new { id });

    /// <summary>Another subscription of the same customer that is or will be on this plan.</summary>
    public static Task<SubscriptionRow?> FindOtherAsync(
        DbConnection db, SubscriptionRow than, string planId, long now) =>
        db.QueryFirstOrDefaultAsync<SubscriptionRow?>(
            $"select {Columns} from subscriptions where customer_key = @CustomerKey and key <> @Key and {OnPlan} " +
            "order by key limit 1", new { than.CustomerKey, than.Key, planId, now });

    /// <summary>Of one customer, or of all, in the order of their creation.</summary>
    public Task<IReadOnlyList<SubscriptionRow>> ListAsync(long after, int limit, long? customerKey = null) =>
        database.ReadAsync(async db => (IReadOnlyList<SubscriptionRow>)(await db.QueryAsync<SubscriptionRow>(
            $"select {Columns} from subscriptions where key > @after " +
            (customerKey is null ? "" : "and customer_key = @customerKey ") + "order by key limit @limit",
            new { after, limit, customerKey })).AsList());

    /// <summary>The stretches of a subscription in order of time, without those that are empty.</summary>
    public static async Task<IReadOnlyList<(Entitlement Terms, StretchTerms Own)>> StretchesAsync(
        DbConnection db, string id)
    {
        var own = await StretchStore.OfSubscriptionAsync(db, id);
        return (await EntitlementStore.OfSubscriptionAsync(db, id))
            .Where(t => t.EndAt is null || t.EndAt > t.StartAt)
            .Select(t => (t, own.GetValueOrDefault(t.Key, StretchTerms.Plain))).ToArray();
    }

    public static async Task<IReadOnlyList<SubscriptionRow>> OfCustomerAsync(DbConnection db, long customerKey) =>
        (await db.QueryAsync<SubscriptionRow>(
            $"select {Columns} from subscriptions where customer_key = @customerKey order by key",
            new { customerKey })).AsList();

    /// <summary>The subscription of this customer to this plan that runs now or will, or null.</summary>
    public Task<SubscriptionRow?> FindRunningAsync(DbConnection db, long customerKey, string planId) =>
        db.QueryFirstOrDefaultAsync<SubscriptionRow?>(
            $"select {Columns} from subscriptions where customer_key = @customerKey and {OnPlan} order by key limit 1",
            new { customerKey, planId, now = Micros.Now(clock) });

    /// <summary>All subscriptions to this plan that run now or will, in the order of their creation.</summary>
    public async Task<IReadOnlyList<SubscriptionRow>> RunningOnPlanAsync(DbConnection db, string planId) =>
        (await db.QueryAsync<SubscriptionRow>(
            $"select {Columns} from subscriptions where {OnPlan} order by key",
            new { planId, now = Micros.Now(clock) })).AsList();

    /// <summary>
    /// The newest version of a plan's prices for a customer who pays in a currency; 0 when it was never priced. A plan
    /// without prices costs the same in all of them.
    /// </summary>
    /// <param name="plan">Name or id.</param>
    /// <returns>Or <c>unknown_plan</c>, <c>currency_differs</c>.</returns>
    public static async Task<Result<PlanOffer>> OfferAsync(DbConnection db, string plan, string currency)
    {
        if (await ConfigStore.FindAsync(db, ConfigKind.Plan, plan) is not { } found)
            return new Problem("unknown_plan", $"There is no plan '{plan}'.", "plan");
        var id = Publication.PlanIdOf(found);
        var version = (await ConfigStore.LatestVersionsAsync(db)).GetValueOrDefault(id);
        var row = version > 0 ? await ConfigStore.FindVersionAsync(db, id, version) : null;
        if (row is null || row.Currency == currency || row.Prices == s_noPrices) return new PlanOffer(id, version, row);
        var others = row.ReadTerms().Currencies.Keys.ToArray();
        return others.Contains(currency) ? new PlanOffer(id, version, row) : new Problem("currency_differs",
            $"The plan's prices are in {string.Join(", ", others.Prepend(row.Currency))}, the customer pays in {currency}.",
            "plan");
    }

    /// <summary>
    /// Starts a subscription on the newest version of a plan, by calendar months of the customer's zone. Everything is
    /// read on this connection, so that nobody can change a plan or its prices in between.
    /// </summary>
    /// <returns>Or <c>unknown_plan</c>, <c>currency_differs</c>, <see cref="AlreadySubscribed"/>.</returns>
    public async Task<Result<SubscriptionRow>> StartAsync(DbConnection db, NewSubscription wanted)
    {
        var customer = wanted.Customer;
        var offer = await OfferAsync(db, wanted.Plan, customer.Currency);
        if (!offer.Ok) return Result<SubscriptionRow>.Refused(offer.Problems);
        if (await FindRunningAsync(db, customer.Key, offer.Value.PlanId) is { } running)
            return new Problem(AlreadySubscribed, $"The customer is on this plan already ({running.Id}).", "plan");
        var start = wanted.StartAt ?? Micros.Now(clock);
        var zone = DateTimeZoneProviders.Tzdb[wanted.Timezone ?? customer.Timezone];
        var interval = wanted.Interval ?? Shortest(offer.Value);
        if (await RefusePeriodAsync(db, offer.Value.PlanId, offer.Value.Version, interval) is { } differs) return differs;
        if (await MigrationChecks.OfferFaultsAsync(db, customer.Key, offer.Value, wanted.Overrides, readVersion) is { Count: > 0 } wrong)
            return Result<SubscriptionRow>.Refused(wrong);
        var first = Micros.ToInstant(start);
        var terms = offer.Value.Terms;
        var trialEnd = wanted.TrialEnd
            ?? (!wanted.NoTrial && terms.Trial is { } trial ? Micros.Of(trial.From(first, zone)) : null);
        var anchor = wanted.Anchor ?? (wanted.Anniversary
            ? BillingCalendar.Anniversary(Micros.ToInstant(trialEnd ?? start), zone, interval)
            : BillingCalendar.Aligned(first, zone, interval)).Anchor;
        var row = await db.QuerySingleAsync<SubscriptionRow>(
            "insert into subscriptions (id, customer_key, plan_id, priority, anchor, timezone, start_at, end_at, " +
            "managed_by, created_at, next_bill_at, waits, interval, alignment, proration) values (@id, @customer, " +
            "@PlanId, @Priority, @anchor, @zone, @start, @EndAt, @by, @now, @start, 0, @interval, @alignment, @proration) " +
            $"returning {Columns}",
            new
            {
                id = Id<Subscription>.New(clock).ToString(),
                customer = customer.Key,
                offer.Value.PlanId,
                wanted.Priority,
                anchor = LocalDatePattern.Iso.Format(anchor),
                zone = zone.Id,
                start,
                wanted.EndAt,
                by = ConfigStore.NameOf(wanted.By),
                now = Micros.Now(clock),
                interval = interval.ToText(),
                alignment = wanted.Anniversary || wanted.Anchor is not null
                    ? SubscriptionRow.ByAnniversary
                    : SubscriptionRow.ByCalendar,
                proration = wanted.ProrateBySecond ? "second" : "day",
            });
        await StretchStore.LayAsync(db,
            TermsOf(row, offer.Value.Version, start) with { Overrides = wanted.Overrides },
            new StretchTerms(Phase.Active, wanted.Quantity, wanted.AddOns)
            {
                TrialEnd = trialEnd,
                PhasesFrom = terms.Phases.Count > 0 ? trialEnd ?? start : null,
            });
        await Settling.HoldAsync(db, customer.Key, Micros.Now(clock));
        return row;
    }

    /// <summary>The shortest interval of the plan's fees: usage is billed with it. The month when it has none.</summary>
    private Interval Shortest(PlanOffer offer)
    {
        if (offer.Prices is not { } row) return Catalog.Interval.Month;
        var prices = readVersion is null ? row.ToPlanVersion() : readVersion(row);
        return prices.Prices.Select(p => (p.Price as Price.Flat)?.Every).Where(e => e is not null).Min()
            ?? Catalog.Interval.Month;
    }

    /// <summary>Whether a plan's allowances are for other periods than these.</summary>
    public static async Task<Problem?> RefusePeriodAsync(DbConnection db, string planId, int version, Interval interval) =>
        await ConfigStore.FindVersionAsync(db, planId, version) is { } row && row.Quotas != QuotaWriter.None
            ? QuotaPeriods.Refuse(row.ToPlanVersion(), interval) : null;

    /// <summary>Ends a subscription at an instant; what was used until then is billed.</summary>
    public static async Task EndAsync(DbConnection db, SubscriptionRow subscription, long endAt)
    {
        var end = Math.Max(endAt, subscription.StartAt);
        // an end that is moved to later begins to bill again where the earlier one left off
        await db.ExecuteAsync(
            "update subscriptions set end_at = @end, revision = revision + 1, waits = 0, " +
            // the earlier end, too, since what is behind it is only looked at for late usage
            "next_bill_at = case when end_at < @end and (next_bill_at is null or next_bill_at > end_at) then end_at " +
            "when next_bill_at < @end then next_bill_at else @end end where key = @Key", new { end, subscription.Key });
        var cut = await StretchStore.CutAsync(db, subscription.Id, end);
        if (cut == 0) await StretchStore.GoOnAsync(db, subscription.Id, end);
    }

    /// <summary>Moves every running subscription of a plan to a version of its prices, from an instant on.</summary>
    /// <returns>The customers whose entitlements changed, to be announced after the commit.</returns>
    public static async Task<IReadOnlyList<long>> MigrateAsync(DbConnection db, string planId, int version, long at)
    {
        var running = await db.QueryAsync<SubscriptionRow>(
            $"select {Columns} from subscriptions where {OnPlan}", new { planId, now = at });
        var customers = new List<long>();
        foreach (var subscription in running)
        {
            if (await MigrateAsync(db, subscription, (planId, version), at)) customers.Add(subscription.CustomerKey);
        }

        return customers;
    }

    /// <summary>Moves one subscription to a version of its plan's prices, from an instant on.</summary>
    /// <returns>False when it is on that version already.</returns>
    internal static async Task<bool> MigrateAsync(
        DbConnection db, SubscriptionRow subscription, (string PlanId, int Version) to, long at)
    {
        var stretches = await EntitlementStore.OfSubscriptionAsync(db, subscription.Id);
        var from = Math.Max(at, subscription.StartAt);
        if (stretches.All(t => t.PlanId != to.PlanId || t.PlanVersion == to.Version || t.EndAt <= from)) return false;
        // what was agreed for later moves too: each stretch keeps everything but its version
        await StretchStore.RestateAsync(db, subscription.Id, from,
            t => t.PlanId == to.PlanId ? t with { PlanVersion = to.Version } : t);
        await TouchAsync(db, subscription.Key, from);
        return true;
    }

    /// <summary>The currencies in which the customers with a running subscription to a plan pay.</summary>
    public async Task<IReadOnlyList<string>> CurrenciesOfPlanAsync(DbConnection db, string planId) =>
        (await db.QueryAsync<string>(
            "select distinct c.currency from subscriptions s join customers c on c.key = s.customer_key " +
            "where s.id in (select subscription_id from entitlements where plan_id = @planId and end_at is null) " +
            "or s.id in (select subscription_id from entitlements where plan_id = @planId and end_at > @now)",
            new { planId, now = Micros.Now(clock) })).AsList();

    /// <summary>Terms change at an instant: the next run looks at it again.</summary>
    public static Task TouchAsync(DbConnection db, long key, long at) => db.ExecuteAsync(
        "update subscriptions set revision = revision + 1, waits = 0, next_bill_at = " +
        "case when next_bill_at is null or next_bill_at > @at then @at else next_bill_at end where key = @key",
        new { key, at });

    private static Entitlement TermsOf(SubscriptionRow subscription, int version, long startAt) => new()
    {
        Key = 0,
        SubscriptionId = subscription.Id,
        CustomerKey = (int)subscription.CustomerKey,
        PlanId = subscription.PlanId,
        PlanVersion = version,
        Priority = (int)subscription.Priority,
        StartAt = startAt,
        EndAt = subscription.EndAt,
        Anchor = subscription.Calendar.Anchor,
        Timezone = subscription.Timezone,
        Interval = subscription.Calendar.Interval,
    };
}
