using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;

namespace Tollgate.Billing;

/// <summary>
/// The prepaid balance to which the gate holds the calls of a customer: what is left of their credit, for usage that is on no
/// invoice yet. Written in the transaction of whatever moves credit, so the gate refuses at the number that the invoice
/// shows. A customer is held to it from the first prepaid grant on.
/// </summary>
/// <remarks>Credit for some prices only pays on invoices; the gate does not count it. A coupon lowers the invoice and not
/// what the gate reserves: with one, calls are refused early, and never late.</remarks>
public static class CreditAtGate
{
    /// <summary>Writes the balance as it is now.</summary>
    /// <param name="openUsage">What usage between two instants costs that no invoice has told, gross; asked only when
    /// credit has expired.</param>
    public static async Task WriteAsync(
        DbConnection db, long customerKey, long now, Func<CreditState, long, Task<decimal>>? openUsage = null)
    {
        var customer = (await CustomerStore.FindAsync(db, customerKey))!;
        var all = (await GrantStore.UnspentAsync(db, customerKey, customer.Currency))
            .Where(g => g.Prices is null).ToArray();
        var known = await FindAsync(db, customerKey);
        var first = all.Where(g => g.Kind == GrantRow.Prepaid).MinBy(g => g.EffectiveAt);
        if (known is null && first is null) return;
        CreditState state = known ?? await BeginAsync(db, customerKey, first!.EffectiveAt);

        var terms = await CustomerTerms.OfAsync(db, customerKey);
        var (since, due) = (state.Since, state.NextAt);
        var expired = all.Where(g => g.ExpiresAt <= now && g.ExpiresAt >= due).OrderBy(g => g.ExpiresAt).ToArray();
        if (openUsage is not null)
            foreach (var grant in expired)
            {
                var open = await openUsage(state, grant.ExpiresAt!.Value) - state.Kept;
                state = state with { Kept = state.Kept + Math.Clamp(open, 0, Worth(grant, terms)) };
            }

        // what expired and is not looked at yet stays due
        var next = all.Select(g => g.EffectiveAt).Concat(all.Select(g => g.ExpiresAt ?? long.MaxValue)).Append(since)
            .Where(at => at > now).Concat(openUsage is null ? expired.Select(g => g.ExpiresAt!.Value) : [])
            .DefaultIfEmpty(long.MaxValue).Min();
        await SaveAsync(db, state with { NextAt = next == long.MaxValue ? null : next });
        if (terms.AllowsOverage || state.Since > now)
        {
            await BalanceStore.DeleteAsync(db, customerKey, BalanceKind.Prepaid);
            return;
        }

        var left = all.Where(g => g.EffectiveAt <= now && !(g.ExpiresAt <= now)).Sum(g => Worth(g, terms));
        await BalanceStore.SetAsync(db, new Balance
        {
            CustomerKey = (int)customerKey,
            Kind = BalanceKind.Prepaid,
            Amount = state.Kept + left,
            Currency = Currency.Of(customer.Currency),
            TaxRate = Added(terms),
            Since = state.Since,
            IsOfOpenUsage = true,
        }, now);
    }

    /// <summary>An invoice has told usage: it is no longer open, and what it burnt is gone.</summary>
    internal static async Task SettleAsync(DbConnection db, InvoiceDraft draft, long now)
    {
        var customer = draft.Subscription.CustomerKey;
        if (await FindAsync(db, customer) is not { } state) return;
        var expired = draft.Burns.Where(b => b.Grant.ExpiresAt <= now).Sum(b => Worth(b.Amount.Amount, b.Grant, draft.Terms));
        await SaveAsync(db, state with { Kept = Math.Max(0, state.Kept - expired) });
        await WriteAsync(db, customer, now);
    }

    internal static async Task<CreditState?> FindAsync(DbConnection db, long customerKey) =>
        await db.QueryFirstOrDefaultAsync<Row?>(
            "select customer_key, since, kept, next_at from credit_at_gate where customer_key = @customerKey",
            new { customerKey }) is { } row
            ? new CreditState(row.CustomerKey, row.Since, DecimalText.Read(row.Kept), row.NextAt)
            : null;

    /// <summary>Whether the prepaid balance of a customer is made of their credit.</summary>
    public static async Task<bool> IsKeptAsync(DbConnection db, long customerKey) =>
        await FindAsync(db, customerKey) is not null;

    /// <summary>Customers whose credit began or expired, or of whom the gate is still to be told.</summary>
    internal static async Task<IReadOnlyList<(long Customer, bool IsDue)>> ChangedAsync(
        DbConnection db, long now, int limit) =>
        (await db.QueryAsync<(long, bool)>(
            "select customer_key, case when next_at <= @now then 1 else 0 end from credit_at_gate " +
            "where next_at <= @now or told = 0 union select customer_key, 0 from grants where told = 0 " +
            "order by 1 limit @limit", new { now, limit })).AsList();

    internal static async Task ToldAsync(DbConnection db, long customerKey)
    {
        await db.ExecuteAsync("update credit_at_gate set told = 1 where customer_key = @customerKey", new { customerKey });
        await db.ExecuteAsync("update grants set told = 1 where customer_key = @customerKey and told = 0", new { customerKey });
    }

    internal static decimal Added(CustomerTerms terms) =>
        terms.TaxTreatment == CustomerTerms.Taxed && !terms.TaxInclusive ? terms.TaxPercent : 0;

    /// <summary>Usage counts from where invoices have told everything before, and not before the credit is valid.</summary>
    private static async Task<CreditState> BeginAsync(DbConnection db, long customerKey, long effectiveAt)
    {
        var told = await db.ExecuteScalarAsync<long?>(
            "select min(coalesce(settled_at, start_at)) from subscriptions where customer_key = @customerKey " +
            "and next_bill_at is not null and (settled_at is null or end_at is null or settled_at < end_at)", new { customerKey });
        var since = Math.Max(effectiveAt, told ?? effectiveAt);
        return new CreditState(customerKey, since - since % UsageStore.Bucket, 0, null);
    }

    // "invoiced" is read by nobody, and stays until no node of a version that writes it can stand beside this one
    private static Task SaveAsync(DbConnection db, CreditState state) => db.ExecuteAsync(
        "insert into credit_at_gate (customer_key, since, invoiced, kept, next_at, told) values " +
        "(@CustomerKey, @Since, '0', @kept, @NextAt, 0) on conflict (customer_key) do update set " +
        "since = excluded.since, kept = excluded.kept, next_at = excluded.next_at, told = 0",
        new
        {
            state.CustomerKey,
            state.Since,
            kept = DecimalText.Of(state.Kept),
            state.NextAt,
        });

    private static decimal Worth(GrantRow grant, CustomerTerms terms) =>
        Worth(new Money(grant.Left, Currency.Of(grant.Currency)).Amount, grant, terms);

    /// <summary>What credit covers, gross: promotional credit spares the tax, too.</summary>
    private static decimal Worth(decimal amount, GrantRow grant, CustomerTerms terms) =>
        grant.Kind == GrantRow.Promotional ? Exact.Multiply(amount, 1 + Added(terms) / 100) : amount;

    private sealed record Row(long CustomerKey, long Since, string Kept, long? NextAt);
}

/// <summary>What the gate's prepaid balance of a customer is made of.</summary>
/// <param name="Since">Usage from then on counts, while it is on no invoice; microseconds.</param>
/// <param name="Kept">Credit that has expired and is still to pay for usage before; exact and gross.</param>
/// <param name="NextAt">When credit begins or expires next.</param>
public sealed record CreditState(long CustomerKey, long Since, decimal Kept, long? NextAt);
