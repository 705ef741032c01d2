using System.Data.Common;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/credits</c>: prepaid and promotional credit in money or in units of a meter, once or with every period.
/// </summary>
internal static class CreditsApi
{
    private const decimal MostUnits = 1_000_000_000_000_000;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapListByCustomer<GrantStore, GrantRow>(
            "/v1/credits", (store, customer, page) => store.ListAsync(customer, page.After, page.Rows), View, g => g.Key);
        routes.MapOne<GrantStore, object>("/v1/credits/{id}", "credit", async (store, id) =>
            await store.FindAsync(id) is { } found ? View(found)
                : await store.FindRecurringAsync(id) is { } recurring ? View(recurring) : null, view => view);
        routes.MapPost("/v1/credits", CreateAsync);
        routes.MapPost("/v1/credits/{id}/void", VoidAsync);
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, GrantStore grants, CustomerStore customers, PlanPublishing publishing)
    {
        var (feed, clock) = (publishing.Feed, publishing.Clock);
        var fields = await Fields.ReadAsync(request);
        var customer = await MoneyFields.CustomerAsync(fields, customers);
        var kind = fields.Text("kind", required: true);
        if (kind is not (null or GrantRow.Prepaid or GrantRow.Promotional))
            fields.Add("bad_value", "must be prepaid or promotional", "kind");
        var currency = Currency.Of(customer?.Currency ?? "USD");
        var units = Units(fields, publishing);
        var inUnits = fields.Has("units") || fields.Has("meter");
        var amount = MoneyFields.Amount(fields, "amount", currency, required: !inUnits);
        if (inUnits && fields.Has("amount"))
            fields.Add("bad_value", "and 'units' exclude each other: credit is money, or units of a meter", "amount");
        var effectiveAt = fields.Instant("effective_at");
        var expiresAt = fields.Instant("expires_at");
        if (expiresAt <= (effectiveAt ?? Micros.Now(clock)))
            fields.Add("bad_value", "must be after effective_at", "expires_at");
        var every = fields.Text("every");
        var interval = Intervals.Find(every);
        if (every is not null && interval is null) fields.Add("bad_value", $"must be {Intervals.Names}", "every");
        var rollover = fields.Whole("rollover_periods", 0, 24);
        if (rollover is not null && every is null)
            fields.Add("bad_value", "is of a credit that comes again: give every", "rollover_periods");
        var grant = new NewGrant(customer?.Key ?? 0, kind ?? "", amount ?? Money.Zero(currency),
            fields.Text("name") ?? $"{kind} credit")
        {
            Priority = fields.Whole("priority", 0, 1_000) ?? 0,
            EffectiveAt = effectiveAt,
            ExpiresAt = expiresAt,
            Prices = await MoneyFields.PricesAsync(fields, database),
            Units = units,
        };
        if (customer is not null && grant is { Kind: GrantRow.Prepaid, Units: null, Prices: null })
            fields.AddAll(await database.ReadAsync(db => FirstBalanceFaultsAsync(db, customer.Key, Micros.Now(clock))));
        if (fields.Faults() is { } faults) return faults;
        if (interval is null)
        {
            var id = await database.WriteAsync(db => grants.AddAsync(db, grant));
            await feed.AnnounceAsync(new Change.OfCustomer((int)grant.CustomerKey));
            return Answers.Created($"/v1/credits/{id}", View((await grants.FindAsync(id))!));
        }

        var now = Micros.Now(clock);
        var calendar = BillingCalendar.Anniversary(Micros.ToInstant(effectiveAt ?? now),
            NodaTime.DateTimeZoneProviders.Tzdb[customer!.Timezone], interval.Value);
        var recurring = await database.WriteAsync(db => grants.AddRecurringAsync(
            db, new NewRecurringGrant(grant, calendar, rollover ?? 0, expiresAt)));
        await GrantStore.RecurAsync(database, now);
        await feed.AnnounceAsync(new Change.OfCustomer((int)grant.CustomerKey));
        return Answers.Created($"/v1/credits/{recurring}", View((await grants.FindRecurringAsync(recurring))!));
    }

    /// <summary>The first prepaid credit of a customer becomes the balance that their calls are held to. Who is held to one tops
    /// it up whatever they run on.</summary>
    private static async Task<IReadOnlyList<Problem>> FirstBalanceFaultsAsync(DbConnection db, long customerKey, long now) =>
        await CreditAtGate.IsKeptAsync(db, customerKey) || (await CustomerTerms.OfAsync(db, customerKey)).AllowsOverage
            ? [] : [.. (await MigrationChecks.BalanceFaultsAsync(db, customerKey, now)).Select(p => p with { Field = "kind" })];

    /// <summary><c>units</c> and <c>meter</c>, which stand together.</summary>
    private static (Meter Meter, decimal Units)? Units(Fields fields, PlanPublishing publishing)
    {
        var inUnits = fields.Has("units") || fields.Has("meter");
        var units = MoneyFields.Decimal(fields, "units", (0, MostUnits), required: inUnits);
        if (fields.Text("meter", required: inUnits) is not { } name) return null;
        var meter = publishing.Publisher.Current.Meters.FirstOrDefault(m => m.Name == name)?.Meter;
        if (meter is null) fields.Add("unknown_meter", $"There is no meter '{name}'.", "meter");
        else if (!meter.IsAdditive)
            fields.Add("bad_value", "must be a meter whose measurements add up: count or sum", "meter");
        if (units == 0) fields.Add("bad_value", "must be above zero", "units");
        if (meter is null || units is not { } number) return null;
        var stored = number * Meter.PowerOfTen(meter.Scale);
        if (decimal.Truncate(stored) != stored || stored > MostUnits)
            fields.Add("bad_value", $"must have at most {meter.Scale} digits after the point, and 15 in all: what '{name}' counts",
                "units");
        return (meter, number);
    }

    private static object View(RecurringGrantRow r) => new
    {
        r.Id,
        r.Customer,
        r.Kind,
        r.Name,
        every = r.Interval,
        rollover_periods = r.Rollover,
        amount = r.Meter is null ? MoneyFields.Text(r.Amount, r.Currency) : null,
        currency = r.Meter is null ? r.Currency : null,
        units = r.Meter is null ? null : PriceWriter.Text(r.Amount / Meter.PowerOfTen((int)(r.Scale ?? 0))),
        r.Meter,
        next_at = r.EndAt <= r.NextAt ? null : Micros.ToText(r.NextAt),
        ends_at = r.EndAt is { } end ? Micros.ToText(end) : null,
    };

    private static async Task<IResult> VoidAsync(
        string id, HttpRequest request, Database database, GrantStore grants, ChangeFeed feed)
    {
        var fields = await Fields.ReadAsync(request);
        if (fields.Faults() is { } faults) return faults;
        if (await grants.FindRecurringAsync(id) is not null)
            return await database.WriteAsync(db => grants.EndRecurringAsync(db, id))
                ? Answers.Ok(View((await grants.FindRecurringAsync(id))!))
                : Answers.Conflict("already_void", "The credit has ended already.");
        var voided = await database.WriteAsync<Result<GrantRow>>(async db =>
        {
            if (await GrantStore.FindAsync(db, id) is not { } found) return new Problem("not_found", id);
            if (found.VoidedAt is not null) return new Problem("already_void", "The credit is void already.");
            await grants.VoidAsync(db, found);
            return found;
        });
        if (voided.Ok) await feed.AnnounceAsync(new Change.OfCustomer((int)voided.Value.CustomerKey));
        if (voided.Ok) return Answers.Ok(View((await grants.FindAsync(id))!));
        return voided.Problems[0].Code == "not_found" ? Answers.NotFound("credit", id)
            : Answers.Refused(StatusCodes.Status409Conflict, voided.Problems);
    }

    private static object View(GrantRow g) => new
    {
        g.Id,
        g.Customer,
        g.Kind,
        g.Name,
        amount = g.Meter is null ? MoneyFields.Text(g.Amount, g.Currency) : null,
        units = g.Meter is null ? null : PriceWriter.Text(g.Units(g.Amount)),
        balance = g.Meter is null ? MoneyFields.Text(g.Left, g.Currency) : PriceWriter.Text(g.Units(g.Left)),
        currency = g.Meter is null ? g.Currency : null,
        g.Meter,
        g.Priority,
        effective_at = Micros.ToText(g.EffectiveAt),
        expires_at = g.ExpiresAt is { } end ? Micros.ToText(end) : null,
        prices = g.PriceNames,
        created_at = Micros.ToText(g.CreatedAt),
        voided_at = g.VoidedAt is { } at ? Micros.ToText(at) : null,
    };
}
