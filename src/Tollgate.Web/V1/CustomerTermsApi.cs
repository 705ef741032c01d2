using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>GET</c> and <c>PUT /v1/customers/{customer}/terms</c>: how a customer is taxed, and when they pay. They
/// hold for what is issued from then on.</summary>
internal static class CustomerTermsApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/customers/{customer}/terms", async (
            string customer, Database database, CustomerStore customers) =>
            await customers.FindAsync(customer) is { } found
                ? Answers.Ok(View(await database.ReadAsync(db => CustomerTerms.OfAsync(db, found.Key))))
                : Answers.NotFound("customer", customer));
        routes.MapPut("/v1/customers/{customer}/terms", SetAsync);
    }

    private static async Task<IResult> SetAsync(
        string customer, HttpRequest request, Database database, CustomerStore customers, ChangeFeed feed,
        TimeProvider clock)
    {
        var fields = await Fields.ReadAsync(request);
        var treatment = fields.Text("tax_treatment") ?? CustomerTerms.Taxed;
        if (treatment is not (CustomerTerms.Taxed or CustomerTerms.Exempt or CustomerTerms.ReverseCharge))
            fields.Add("bad_value", "must be taxed, exempt or reverse_charge", "tax_treatment");
        var taxId = fields.Text("tax_id");
        if (treatment == CustomerTerms.ReverseCharge && taxId is null)
            fields.Add("missing_field", "is required for reverse charge", "tax_id");
        var terms = new CustomerTerms(
            MoneyFields.Decimal(fields, "tax_percent", (0, 100)) ?? 0, fields.Flag("tax_inclusive") ?? false, treatment,
            taxId, fields.Whole("net_days", 0, 365) ?? CustomerTerms.Plain.NetDays,
            fields.Whole("hold_after_days", 0, 365)) { AllowsOverage = ReadOverage(fields) };
        if (fields.Faults() is { } faults) return faults;
        if (await customers.FindAsync(customer) is not { } found) return Answers.NotFound("customer", customer);
        // credit that only paid on invoices so far becomes a balance
        if (!terms.AllowsOverage && await database.ReadAsync(db => MigrationChecks.BecomesHeldAsync(db, found.Key)))
            fields.AddAll(await database.ReadAsync(db => MigrationChecks.BalanceFaultsAsync(db, found.Key, Micros.Now(clock))));
        if (fields.Faults() is { } wrong) return wrong;
        await database.WriteAsync(async db =>
        {
            await terms.SetAsync(db, found.Key);
            await Settling.HoldAsync(db, found.Key, Micros.Now(clock));
            await CreditAtGate.WriteAsync(db, found.Key, Micros.Now(clock));
        });
        await feed.AnnounceAsync(new Change.OfCustomer((int)found.Key));
        return Answers.Ok(View(terms));
    }

    /// <summary>What becomes of calls that no prepaid credit covers.</summary>
    private static bool ReadOverage(Fields fields)
    {
        var text = fields.Text("credit_overage");
        if (text is not (null or "block" or "bill")) fields.Add("bad_value", "must be block or bill", "credit_overage");
        return text == "bill";
    }

    private static object View(CustomerTerms t) => new
    {
        tax_percent = t.TaxPercent.ToString("0.############", System.Globalization.CultureInfo.InvariantCulture),
        tax_inclusive = t.TaxInclusive,
        tax_treatment = t.TaxTreatment,
        tax_id = t.TaxId,
        net_days = t.NetDays,
        hold_after_days = t.HoldAfterDays,
        credit_overage = t.AllowsOverage ? "bill" : "block",
    };
}
