using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/coupons</c>: what is taken off the invoices of whom they are applied to, before tax.</summary>
internal static class CouponsApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapList<CouponStore, CouponRow>(
            "/v1/coupons", (store, page) => store.ListAsync(page.After, page.Rows), View, c => c.Key);
        routes.MapOne<CouponStore, CouponRow>("/v1/coupons/{id}", "coupon", (store, id) => store.FindAsync(id), View);
        routes.MapPost("/v1/coupons", CreateAsync);
        routes.MapPost("/v1/coupons/{name}/apply", ApplyAsync);
        routes.MapPost("/v1/coupons/{name}/remove", RemoveAsync);
    }

    private static async Task<IResult> CreateAsync(
        HttpRequest request, CouponStore coupons, PlanPublishing publishing, Database database)
    {
        var fields = await Fields.ReadAsync(request);
        var name = MoneyFields.Name<Coupon>(fields);
        var percent = MoneyFields.Decimal(fields, "percent_off", (0, 100));
        if (percent == 0) fields.Add("bad_value", "must be above zero", "percent_off");
        var amount = MoneyFields.Amount(
            fields, "amount_off", MoneyFields.CurrencyOr(fields, publishing.Currency), required: false);
        if (fields.Has("percent_off") == fields.Has("amount_off"))
            fields.Add("missing_field", "is required, or amount_off, and not both", "percent_off");
        var invoices = fields.Whole("invoices", 1, 1_000);
        var prices = await MoneyFields.PricesAsync(fields, database);
        if (fields.Faults() is { } faults) return faults;
        var added = await coupons.AddAsync(new Discount(name!, percent, amount) { Prices = prices }, invoices);
        return added is null
            ? Answers.Conflict("duplicate_name", $"There is a coupon '{name}' already.", "name")
            : Answers.Created($"/v1/coupons/{added.Id}", View(added));
    }

    private static async Task<IResult> ApplyAsync(
        string name, HttpRequest request, CouponStore coupons, CustomerStore customers, SubscriptionStore subscriptions)
    {
        var fields = await Fields.ReadAsync(request);
        var subscription = await MoneyFields.SubscriptionAsync(fields, subscriptions, required: false);
        var customer = await MoneyFields.CustomerAsync(fields, customers, required: !fields.Has("subscription"))
            ?? (subscription is null ? null : await customers.OfKeyAsync(subscription.CustomerKey));
        if (subscription is not null && customer is not null && subscription.CustomerKey != customer.Key)
            fields.Add("bad_value", "is not a subscription of this customer", "subscription");
        if (await coupons.FindAsync(name) is not { } coupon) return Answers.NotFound("coupon", name);
        if (customer is not null && coupon.Currency is { } currency && currency != customer.Currency)
            fields.Add("currency_differs", $"The coupon is in {currency}, the customer pays in {customer.Currency}.",
                "customer");
        if (fields.Faults() is { } faults) return faults;
        return await coupons.ApplyAsync(coupon, customer!.Key, subscription?.Key)
            ? Answers.Ok(View(coupon))
            : Answers.Conflict("already_applied", "The customer has this coupon already.");
    }

    private static async Task<IResult> RemoveAsync(
        string name, HttpRequest request, CouponStore coupons, CustomerStore customers)
    {
        var fields = await Fields.ReadAsync(request);
        var customer = await MoneyFields.CustomerAsync(fields, customers);
        if (fields.Faults() is { } faults) return faults;
        if (await coupons.FindAsync(name) is not { } coupon) return Answers.NotFound("coupon", name);
        return await coupons.RemoveAsync(coupon, customer!.Key)
            ? Answers.Ok(View(coupon))
            : Answers.Conflict("not_applied", "The customer does not have this coupon.");
    }

    private static object View(CouponRow c) => new
    {
        c.Id,
        c.Name,
        percent_off = c.Percent,
        amount_off = c.Amount is { } amount ? MoneyFields.Text(amount, c.Currency!) : null,
        c.Currency,
        prices = c.PriceNames,
        c.Invoices,
        created_at = Micros.ToText(c.CreatedAt),
    };
}
