using System.Data.Common;
using System.Text.Json;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

public sealed class Coupon : IIdentified { public static string IdPrefix => "cpn"; private Coupon() { } }

/// <summary>What is taken off invoices: a percentage, or an amount of one currency.</summary>
/// <param name="Percent">Exact decimal text; null when it is an amount.</param>
/// <param name="Invoices">On how many invoices of whom it is applied to; null for all to come.</param>
public sealed record CouponRow(
    long Key, string Id, string Name, string? Percent, string? Currency, long? Amount, string? Prices, long? Invoices,
    long CreatedAt)
{
    public IReadOnlyList<string>? PriceNames => Prices is null ? null : JsonSerializer.Deserialize<string[]>(Prices);

    public Discount Discount => new(Name, Percent is null ? null : DecimalText.Read(Percent),
        Amount is { } amount ? new Money(amount, Catalog.Currency.Of(Currency!)) : null) { Prices = PriceNames };
}

/// <summary>A coupon as a customer, or one subscription, has it.</summary>
public sealed record AppliedCoupon(long Key, CouponRow Coupon);

/// <summary>The SQL of coupons.</summary>
public sealed class CouponStore(Database database, TimeProvider clock)
{
    private const string Columns = "key, id, name, percent, currency, amount, prices, invoices, created_at";

    public Task<CouponRow?> FindAsync(string name) => database.ReadAsync(db => db.QueryFirstOrDefaultAsync<CouponRow?>(
        $"select {Columns} from coupons where name = @name or id = @name", new { name }));

    public Task<IReadOnlyList<CouponRow>> ListAsync(long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<CouponRow>)(await db.QueryAsync<CouponRow>(
            $"select {Columns} from coupons where key > @after order by key limit @limit",
            new { after, limit })).AsList());

    /// <returns>Null when there is one of this name already.</returns>
    public Task<CouponRow?> AddAsync(Discount discount, int? invoices) => database.WriteAsync(
        db => db.QueryFirstOrDefaultAsync<CouponRow?>(
            "insert into coupons (id, name, percent, currency, amount, prices, invoices, created_at) values " +
            "(@id, @Name, @percent, @currency, @amount, @prices, @invoices, @now) on conflict (name) do nothing " +
            $"returning {Columns}",
            new
            {
                id = Id<Coupon>.New(clock).ToString(),
                discount.Name,
                percent = discount.Percent is { } p ? DecimalText.Of(p) : null,
                currency = discount.Amount?.Currency.Code,
                amount = discount.Amount?.MinorUnits,
                prices = discount.Prices is null ? null : JsonSerializer.Serialize(discount.Prices),
                invoices,
                now = Micros.Now(clock),
            }));

    /// <returns>Whether the customer did not have it already.</returns>
    public Task<bool> ApplyAsync(CouponRow coupon, long customerKey, long? subscriptionKey) => database.WriteAsync(
        async db => await db.ExecuteAsync(
            "insert into applied_coupons (coupon_key, customer_key, subscription_key, used, applied_at) values " +
            "(@Key, @customerKey, @subscriptionKey, 0, @now) on conflict (coupon_key, customer_key) do nothing",
            new { coupon.Key, customerKey, subscriptionKey, now = Micros.Now(clock) }) == 1);

    /// <summary>Takes it away from a customer; what is issued stays.</summary>
    /// <returns>Whether the customer had it.</returns>
    public Task<bool> RemoveAsync(CouponRow coupon, long customerKey) => database.WriteAsync(async db => await db.ExecuteAsync(
        "delete from applied_coupons where coupon_key = @Key and customer_key = @customerKey",
        new { coupon.Key, customerKey }) == 1);

    /// <summary>Those that an invoice of a subscription may still use, in the order in which they were applied.</summary>
    public static async Task<IReadOnlyList<AppliedCoupon>> OfAsync(
        DbConnection db, long customerKey, long subscriptionKey) =>
        (await db.QueryAsync<CouponRow, long, AppliedCoupon>(
            "select c.key, c.id, c.name, c.percent, c.currency, c.amount, c.prices, c.invoices, c.created_at, " +
            "a.key as applied from applied_coupons a join coupons c on c.key = a.coupon_key " +
            "where a.customer_key = @customerKey and (a.subscription_key is null or a.subscription_key = @subscriptionKey) " +
            "and (c.invoices is null or a.used < c.invoices) order by a.key",
            (coupon, applied) => new AppliedCoupon(applied, coupon),
            new { customerKey, subscriptionKey }, splitOn: "applied")).AsList();

    public static Task UseAsync(DbConnection db, long appliedKey) => db.ExecuteAsync(
        "update applied_coupons set used = used + 1 where key = @appliedKey", new { appliedKey });
}
