using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using NodaTime.Text;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/subscriptions</c>: customers on plans.</summary>
internal static class SubscriptionsApi
{
    /// <summary>How far back a subscription may begin: each month of it is an invoice at once.</summary>
    private const int MaxBackdatedMonths = 36;

    private const int MaxTrialDays = 3_660;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/subscriptions", ListAsync);
        routes.MapOne<SubscriptionViews, object>(
            "/v1/subscriptions/{id}", "subscription", (views, id) => views.FindAsync(id), view => view);
        routes.MapPost("/v1/subscriptions", CreateAsync);
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request, SubscriptionStore subscriptions, CustomerStore customers, SubscriptionViews views)
    {
        var (paging, customer, wrong) = await MoneyFields.PageAsync(request, customers);
        if (wrong.Count > 0) return Answers.Invalid(wrong);
        var rows = await subscriptions.ListAsync(paging.After, paging.Rows, customer);
        var shown = await views.OfAsync(rows);
        return Answers.Page(rows, paging.Limit, s => shown[s.Key], s => s.Key);
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, SubscriptionStore subscriptions, PlanPublishing publishing,
        CustomerStore customers, BillingRun billing, SubscriptionViews views)
    {
        var fields = await Fields.ReadAsync(request);
        var payer = await MoneyFields.CustomerAsync(fields, customers);
        var planName = fields.Text("plan", required: true);
        var wanted = Read(fields, Micros.Now(publishing.Clock), payer?.Timezone);
        // said here too, so that it stands in one answer with the other faults
        if (planName is not null && publishing.Publisher.Current.FindPlan(planName) is null)
            fields.Add("unknown_plan", $"There is no plan '{planName}'.", "plan");
        var inner = fields.Inner("overrides");
        var found = publishing.Publisher.Current.FindPlan(planName ?? "");
        var overrides = fields.Has("overrides")
            ? OverridesApi.Read(inner, (found?.Id ?? "", found?.Version ?? 0), publishing.Publisher.Current)
            : Overrides.None;
        fields.Close("overrides", inner);
        CheckStart(fields, wanted.StartAt, publishing.Clock);
        var addOns = await database.ReadAsync(db => AddOnsField.ReadAsync(db, fields));
        if (payer is not null)
        {
            fields.AddAll(AddOnsField.InCurrency(addOns, payer.Currency));
            if (found is not null) fields.AddAll(await PlanPublishing.OfferFaultsAsync(database, found.Id, payer.Currency));
        }

        if (fields.Faults() is { } faults) return faults;
        var started = await database.WriteAsync<Result<SubscriptionRow>>(async db =>
            await CustomerStore.FindAsync(db, payer!.Id) is not { } customer
                ? new Problem("unknown_customer", $"There is no customer '{payer.Id}'.", "customer")
                : await subscriptions.StartAsync(db, wanted with
                {
                    Customer = customer,
                    Plan = planName!,
                    AddOns = AddOnsField.Terms(addOns),
                    Overrides = overrides,
                }));
        if (!started.Ok)
            return started.Problems[0] is { Code: SubscriptionStore.AlreadySubscribed } taken
                ? Answers.Conflict(taken.Code, taken.Detail, taken.Field)
                : Answers.Invalid(started.Problems);
        var row = started.Value;
        var change = new Change.OfCustomer((int)row.CustomerKey);
        await publishing.Feed.AnnounceAsync(change);
        await OneWrite.AfterwardsAsync(("billing", row.Id), async () =>
        {
            await billing.BillAsync(row.Id, Micros.Now(publishing.Clock));
            // again: a fee in advance may have taken credit that the gate would let calls have
            await publishing.Feed.AnnounceAsync(change);
        });
        return Answers.Created($"/v1/subscriptions/{row.Id}", (await views.FindAsync(row.Id))!);
    }

    /// <param name="zone">The customer's.</param>
    private static NewSubscription Read(Fields fields, long now, string? zone)
    {
        var startAt = fields.Instant("start_at");
        var start = startAt ?? now;
        var endAt = fields.Instant("end_at");
        if (endAt <= start) fields.Add("bad_value", "must be after the start", "end_at");
        var timezone = MoneyFields.Timezone(fields);
        var interval = IntervalField.Read(fields);
        var (anniversary, anchor) = ReadAnchor(fields, timezone ?? zone ?? "UTC");
        var proration = fields.Text("proration");
        if (proration is not (null or "day" or "second"))
            fields.Add("bad_value", "must be day or second", "proration");
        return new NewSubscription(null!, "", ManagedBy.Api)
        {
            StartAt = startAt,
            EndAt = endAt,
            TrialEnd = ReadTrial(fields, (start, endAt), BillingCalendar.FindZone(timezone ?? zone ?? "UTC"), out var noTrial),
            NoTrial = noTrial,
            Priority = fields.Whole("priority", -1_000, 1_000) ?? 0,
            Interval = interval,
            Anniversary = anniversary,
            Anchor = anchor,
            Timezone = timezone,
            ProrateBySecond = proration == "second",
            Quantity = fields.Whole("quantity", 1, 1_000_000) ?? 1,
        };
    }

    /// <summary>Days of a trial are local ones, as those of a plan: it ends at the hour of the start.</summary>
    private static long? ReadTrial(Fields fields, (long Start, long? End) runs, DateTimeZone? zone, out bool noTrial)
    {
        var (start, endAt) = runs;
        var days = fields.Whole("trial_days", 0, MaxTrialDays);
        noTrial = days == 0;
        var end = fields.Instant("trial_end");
        if (days is not null && end is not null)
            fields.Add("bad_value", "stands beside trial_end: give one of them", "trial_days");
        if (end <= start) fields.Add("bad_value", "must be after the start", "trial_end");
        if (days > 0)
            end = Micros.Of(new Span((int)days, SpanUnit.Day).From(Micros.ToInstant(start), zone ?? DateTimeZone.Utc));
        if (end >= endAt)
            fields.Add("bad_value", "must be before the end of the subscription", days is null ? "trial_end" : "trial_days");
        return end;
    }

    /// <summary><c>calendar</c>, <c>anniversary</c>, a local date, or an instant of that day.</summary>
    private static (bool Anniversary, LocalDate? Anchor) ReadAnchor(Fields fields, string timezone)
    {
        switch (fields.Text("anchor"))
        {
            case null or SubscriptionRow.ByCalendar:
                return (false, null);
            case SubscriptionRow.ByAnniversary:
                return (true, null);
            case { } text when LocalDatePattern.Iso.Parse(text) is { Success: true, Value: var date }
                && date.Year is >= 1970 and < 2200:
                return (false, date);
            case { } text when Micros.TryParse(text, out var at):
                var zone = BillingCalendar.FindZone(timezone) ?? DateTimeZone.Utc;
                return (false, Micros.ToInstant(at).InZone(zone).Date);
            default:
                fields.Add("bad_value", "must be calendar, anniversary, or a date such as 2026-01-31", "anchor");
                return (false, null);
        }
    }

    private static void CheckStart(Fields fields, long? startAt, TimeProvider clock)
    {
        if (startAt is { } start && start < Micros.Of(clock.GetUtcNow().AddMonths(-MaxBackdatedMonths)))
            fields.Add("bad_value", $"must not lie more than {MaxBackdatedMonths} months back", "start_at");
    }
}

/// <summary>The field <c>interval</c>.</summary>
internal static class IntervalField
{
    public static Catalog.Interval? Read(Fields fields, string name = "interval")
    {
        if (fields.Text(name) is not { } text) return null;
        if (Intervals.Find(text) is { } interval) return interval;
        fields.Add("bad_value", $"must be {Intervals.Names}", name);
        return null;
    }
}
