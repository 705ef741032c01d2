using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Gateway;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/customers/{customer}/balances</c>: prepaid credit and spend cap, to which the gate holds every call
/// from the next one on.</summary>
internal static class BalancesApi
{
    // twelve digits before the point, and twelve after it
    private const decimal Most = 1_000_000_000_000, Fine = 1_000_000_000_000;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/customers/{customer}/balances", ListAsync);
        routes.MapGet("/v1/customers/{customer}/balances/{kind}", FindAsync);
        // the answer says what the gate knows once the change is in force
        routes.MapPut("/v1/customers/{customer}/balances/{kind}", SetAsync).InOwnTransactions();
        routes.MapDelete("/v1/customers/{customer}/balances/{kind}", DeleteAsync);
    }

    private static async Task<IResult> ListAsync(string customer, Database database, GateTable table)
    {
        if (await database.ReadAsync(db => CustomerStore.FindAsync(db, customer)) is not { } found)
            return Answers.NotFound("customer", customer);
        var every = await database.ReadAsync(db => SpendCaps.OfAsync(db, found.Key));
        return Answers.Ok(new
        {
            data = (table.FindCustomer((int)found.Key)?.Spending() ?? []).Select(s => View(
                s.Balance, s.Used, s.Balance.Kind == BalanceKind.SpendCap ? every : null))
                .Concat((table.FindCustomer((int)found.Key)?.Units() ?? []).GroupBy(u => u.Grant.Meter).Select(ViewUnits)),
            next_cursor = (string?)null,
        });
    }

    private static async Task<IResult> FindAsync(string customer, string kind, Database database, GateTable table)
    {
        if (Balance.Find(kind) is not { } known) return Answers.NotFound("kind of balance", kind);
        if (await database.ReadAsync(db => CustomerStore.FindAsync(db, customer)) is not { } found)
            return Answers.NotFound("customer", customer);
        var every = known == BalanceKind.SpendCap ? await database.ReadAsync(db => SpendCaps.OfAsync(db, found.Key)) : null;
        foreach (var (balance, used) in table.FindCustomer((int)found.Key)?.Spending() ?? [])
            if (balance.Kind == known) return Answers.Ok(View(balance, used, every));
        return Answers.NotFound("balance", kind);
    }

    private static async Task<IResult> SetAsync(
        string customer, string kind, HttpRequest request, Database database, PlanPublishing publishing, GateTable table)
    {
        var now = Micros.Now(publishing.Clock);
        var fields = await Fields.ReadAsync(request);
        var amount = ReadDecimal(fields, "amount", required: true, Most);
        var tax = ReadDecimal(fields, "tax_rate", required: false, 100) ?? 0;
        var since = fields.Instant("since");
        if (since % UsageStore.Bucket > 0 || since > now)
            fields.Add("bad_value", "must be a quarter of an hour (hh:00, hh:15, hh:30 or hh:45 UTC) that has begun", "since");
        if (Balance.Find(kind) is not { } known) return Answers.NotFound("kind of balance", kind);
        if (known == BalanceKind.SpendCap && tax > 0)
            fields.Add("bad_value", "is for prepaid credit; a spend cap is held against amounts before tax", "tax_rate");
        var every = IntervalField.Read(fields, "every");
        if (every is not null && known == BalanceKind.Prepaid)
            fields.Add("bad_value", "is of a spend cap: POST /v1/credits takes it for credit", "every");
        if (every is not null && since is not null) fields.Add("bad_value", "stands beside every: give one of them", "since");
        if (await database.ReadAsync(db => CustomerStore.FindAsync(db, customer)) is not { } found)
            return Answers.NotFound("customer", customer);
        fields.AddAll(await database.ReadAsync(db => MigrationChecks.BalanceFaultsAsync(db, found.Key, now)));
        if (fields.Faults() is { } faults) return faults;
        if (known == BalanceKind.Prepaid && await database.ReadAsync(db => CreditAtGate.IsKeptAsync(db, found.Key)))
            return Answers.Conflict("made_of_credit", "The customer's prepaid balance is what is left of their credit: " +
                "POST /v1/credits tops it up.");
        var period = every is { } e ? SpendCaps.PeriodAt(now, found.Timezone, e) : default((long Since, long Next)?);
        await database.WriteAsync(async db =>
        {
            if (known == BalanceKind.SpendCap)
                await SpendCaps.SetAsync(db, found.Key, period is { } p ? (every!.Value, p.Next) : null);
            // a top-up goes on counting from where it began
            var before = (await BalanceStore.OfCustomerAsync(db, found.Key)).FirstOrDefault(b => b.Kind == known);
            await BalanceStore.SetAsync(db, new Balance
            {
                CustomerKey = (int)found.Key,
                Kind = known,
                Amount = amount!.Value,
                Currency = Currency.Of(found.Currency),
                TaxRate = tax,
                Since = period?.Since ?? since ?? before?.Since ?? now - (now % UsageStore.Bucket),
            }, now);
        });
        await publishing.Feed.AnnounceAsync(new Change.OfCustomer((int)found.Key));
        var set = table.FindCustomer((int)found.Key)!.Spending().First(s => s.Balance.Kind == known);
        return Answers.Ok(View(set.Balance, set.Used, every));
    }

    private static async Task<IResult> DeleteAsync(
        string customer, string kind, Database database, ChangeFeed feed)
    {
        if (Balance.Find(kind) is not { } known) return Answers.NotFound("kind of balance", kind);
        if (await database.ReadAsync(db => CustomerStore.FindAsync(db, customer)) is not { } found)
            return Answers.NotFound("customer", customer);
        if (known == BalanceKind.Prepaid && await database.ReadAsync(db => CreditAtGate.IsKeptAsync(db, found.Key)))
            return Answers.Conflict("made_of_credit", "The customer's prepaid balance is what is left of their credit: " +
                "void it, or let PUT …/terms say credit_overage: bill.");
        if (!await database.WriteAsync(async db =>
        {
            if (known == BalanceKind.SpendCap) await SpendCaps.SetAsync(db, found.Key, null);
            return await BalanceStore.DeleteAsync(db, found.Key, known);
        }))
            return Answers.NotFound("balance", kind);
        await feed.AnnounceAsync(new Change.OfCustomer((int)found.Key));
        return Results.NoContent();
    }

    private static decimal? ReadDecimal(Fields fields, string name, bool required, decimal most)
    {
        if (fields.Text(name, required, 40) is not { } text) return null;
        if (decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && number >= 0 && number <= most && decimal.Truncate(number * Fine) == number * Fine) return number;
        fields.Add("bad_value",
            $"must be a decimal from 0 to {most} with at most 12 digits after the point, such as \"10.00\"", name);
        return null;
    }

    private static object ViewUnits(IGrouping<string, (UnitGrant Grant, decimal Left)> units) => new
    {
        kind = "units",
        meter = units.Key,
        amount = PriceWriter.Text(units.Sum(u => u.Grant.Left)),
        used = PriceWriter.Text(units.Sum(u => u.Grant.Left - u.Left)),
        available = PriceWriter.Text(units.Sum(u => u.Left)),
    };

    private static object View(Balance balance, decimal used, Interval? every) => new
    {
        kind = Balance.NameOf(balance.Kind),
        amount = PriceWriter.Text(balance.Amount),
        used = PriceWriter.Text(used),
        available = PriceWriter.Text(Math.Max(0, balance.Amount - used)),
        currency = balance.Currency.Code,
        tax_rate = PriceWriter.Text(balance.TaxRate),
        since = Micros.ToText(balance.Since),
        every = every?.ToText(),
    };
}
