using System.Data.Common;
using Dapper;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;
using Interval = Tollgate.Catalog.Interval;

namespace Tollgate.Billing;

/// <summary>
/// Spend caps per period (money.md 12): with each calendar period of the customer's zone usage is counted anew. The gate
/// counts from the balance's <c>since</c>, so a new period is one moved instant, and what was used before stays as it is.
/// </summary>
public static class SpendCaps
{
    private const int Most = 10_000;

    /// <summary>The period of an instant: since when usage counts, on a quarter of an hour, and when the next begins.</summary>
    public static (long Since, long Next) PeriodAt(long now, string timezone, Interval every)
    {
        var at = Micros.ToInstant(now);
        var calendar = BillingCalendar.Aligned(at, DateTimeZoneProviders.Tzdb[timezone], every);
        var period = calendar.PeriodOf(calendar.IndexAt(at));
        var start = Micros.Of(period.Start);
        return (start - start % UsageStore.Bucket, Micros.Of(period.End));
    }

    /// <summary>By whom a cap of a customer is set anew; null when it is not.</summary>
    public static async Task<Interval?> OfAsync(DbConnection db, long customerKey) => Intervals.Find(
        await db.QueryFirstOrDefaultAsync<string?>(
            "select every from spend_caps where customer_key = @customerKey", new { customerKey }));

    /// <summary>Lets a cap begin anew with each period, or not any more.</summary>
    public static Task SetAsync(DbConnection db, long customerKey, (Interval Every, long Next)? period) => period is { } p
        ? db.ExecuteAsync(
            "insert into spend_caps (customer_key, every, next_at) values (@customerKey, @every, @Next) " +
            "on conflict (customer_key) do update set every = @every, next_at = @Next",
            new { customerKey, every = p.Every.ToText(), p.Next })
        : db.ExecuteAsync("delete from spend_caps where customer_key = @customerKey", new { customerKey });

    /// <summary>Moves the caps whose period is over. The clock may have passed several: only the newest counts.</summary>
    /// <returns>Customers of whom the gate is to be told; then <see cref="ToldAsync"/>.</returns>
    public static async Task<IReadOnlyList<long>> RenewAsync(Database database, long now)
    {
        const string due = "select customer_key from spend_caps where next_at <= @now or told = 0 order by customer_key limit @Most";
        if ((await database.ReadAsync(db => db.QueryAsync<long>(due, new { now, Most }))).AsList() is not { Count: > 0 } customers)
            return [];
        await database.WriteAsync(async db =>
        {
            foreach (var key in customers)
            {
                var customer = (await CustomerStore.FindAsync(db, key))!;
                var cap = (await BalanceStore.OfCustomerAsync(db, key)).FirstOrDefault(b => b.Kind == BalanceKind.SpendCap);
                if (cap is null || await OfAsync(db, key) is not { } every)
                {
                    await SetAsync(db, key, null);
                    continue;
                }

                var (since, next) = PeriodAt(now, customer.Timezone, every);
                await BalanceStore.SetAsync(db, cap with { Since = since }, now);
                await db.ExecuteAsync(
                    "update spend_caps set next_at = @next, told = 0 where customer_key = @key", new { key, next });
            }
        });
        return customers;
    }

    public static Task ToldAsync(Database database, long customerKey) => database.WriteAsync(db => db.ExecuteAsync(
        "update spend_caps set told = 1 where customer_key = @customerKey", new { customerKey }));
}
