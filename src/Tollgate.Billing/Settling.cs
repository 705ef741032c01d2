using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Billing;

/// <summary>
/// Which invoices are paid: what the ledger says that a customer has paid, or was credited, beyond what is settled
/// already goes to the open invoices, those due first first. Run in the transaction of every document that moves money,
/// so a payment and what it brings about are one.
/// </summary>
public static class Settling
{
    private const string Day = "86400000000";

    /// <param name="first">Key of the invoice that is settled before the others; none for those due first.</param>
    /// <param name="hold">Whether holds follow at once: not for who cannot announce them. <see cref="BillingRun.HoldAsync"/>
    /// then finds them, and whoever runs that tells the gate.</param>
    public static async Task SettleAsync(
        DbConnection db, long customerKey, string currency, long now, long? first = null, bool hold = true)
    {
        var open = (await db.QueryAsync<(long Key, long Open)>(
            "select key, amount_due - settled from invoices where customer_key = @customerKey and status = 'issued' " +
            "and currency = @currency order by case when key = @first then 0 else 1 end, due_at, key",
            new { customerKey, currency, first })).AsList();
        if (open.Count == 0) return;
        var credit = open.Sum(i => i.Open) - await Ledger.BalanceAsync(db, customerKey, Account.Customer, currency);
        foreach (var (key, left) in open)
        {
            var part = Math.Min(left, Math.Max(0, credit));
            credit -= part;
            if (part == left)
                await db.ExecuteAsync(
                    "update invoices set settled = settled + @part, status = 'paid', closed_at = @now where key = @key",
                    new { part, now, key });
            else if (part > 0)
                await db.ExecuteAsync(
                    "update invoices set settled = settled + @part where key = @key", new { part, key });
        }

        if (hold) await HoldAsync(db, customerKey, now);
    }

    /// <summary>Holds the subscriptions of a customer whose invoice has been overdue for too long, or lets them go on.
    /// </summary>
    /// <returns>Whether anything changed, and is to be announced.</returns>
    public static async Task<bool> HoldAsync(DbConnection db, long customerKey, long now)
    {
        const string late = "exists (select 1 from invoices i join customer_terms t on t.customer_key = i.customer_key " +
            "where i.customer_key = @customerKey and i.status = 'issued' and t.hold_after_days is not null " +
            $"and i.due_at + t.hold_after_days * {Day} <= @now)";
        var isLate = await db.ExecuteScalarAsync<bool>($"select {late}", new { customerKey, now });
        var (from, to) = isLate ? (Hold.None, Hold.PaymentOverdue) : (Hold.PaymentOverdue, Hold.None);
        return await db.ExecuteAsync(
            "update entitlements set hold = @to where customer_key = @customerKey and hold = @from " +
            "and (end_at is null or end_at > @now)",
            new { customerKey, now, from = from.ToText(), to = to.ToText() }) > 0;
    }

    /// <summary>Customers whose hold is not what it should be: time has passed, or their terms have changed.</summary>
    public static async Task<IReadOnlyList<long>> ToHoldAsync(DbConnection db, long now, int limit)
    {
        const string late = "select i.customer_key from invoices i join customer_terms t " +
            "on t.customer_key = i.customer_key where i.status = 'issued' and t.hold_after_days is not null " +
            $"and i.due_at + t.hold_after_days * {Day} <= @now and i.due_at <= @now";
        return (await db.QueryAsync<long>(
            $"select distinct e.customer_key from entitlements e where (e.end_at is null or e.end_at > @now) and " +
            $"(e.hold = 'none' and e.customer_key in ({late}) " +
            $"or e.hold = 'payment_overdue' and e.customer_key not in ({late})) limit @limit",
            new { now, limit })).AsList();
    }
}
