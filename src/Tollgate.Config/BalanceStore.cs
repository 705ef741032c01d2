using System.Data.Common;
using System.Globalization;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Config;

/// <summary>The SQL of balances: Billing and the admin API write them, the gate holds calls to them.</summary>
public static class BalanceStore
{
    private const string Columns = "customer_key, kind, amount, currency, tax_rate, since, of_open_usage";

    public static async Task<IReadOnlyList<Balance>> AllAsync(DbConnection db) =>
        (await db.QueryAsync<Row>($"select {Columns} from balances order by customer_key, kind")).Select(Read).ToArray();

    public static async Task<IReadOnlyList<Balance>> OfCustomerAsync(DbConnection db, long customerKey) =>
        (await db.QueryAsync<Row>(
            $"select {Columns} from balances where customer_key = @customerKey order by kind", new { customerKey }))
        .Select(Read).ToArray();

    /// <summary>Sets a balance, in place of the one of its kind.</summary>
    public static Task SetAsync(DbConnection db, Balance balance, long now) => db.ExecuteAsync(
        "insert into balances (customer_key, kind, amount, currency, tax_rate, since, updated_at, of_open_usage) " +
        "values (@CustomerKey, @kind, @amount, @currency, @tax, @Since, @now, @open) " +
        "on conflict (customer_key, kind) do update set amount = excluded.amount, currency = excluded.currency, " +
        "tax_rate = excluded.tax_rate, since = excluded.since, updated_at = excluded.updated_at, " +
        "of_open_usage = excluded.of_open_usage",
        new
        {
            balance.CustomerKey,
            kind = Balance.NameOf(balance.Kind),
            amount = balance.Amount.ToString(CultureInfo.InvariantCulture),
            currency = balance.Currency.Code,
            tax = balance.TaxRate.ToString(CultureInfo.InvariantCulture),
            balance.Since,
            open = balance.IsOfOpenUsage ? 1 : 0,
            now,
        });

    /// <summary>False: there was none of this kind.</summary>
    public static async Task<bool> DeleteAsync(DbConnection db, long customerKey, BalanceKind kind) =>
        await db.ExecuteAsync("delete from balances where customer_key = @customerKey and kind = @kind",
            new { customerKey, kind = Balance.NameOf(kind) }) > 0;

    private static Balance Read(Row row) => new()
    {
        CustomerKey = (int)row.CustomerKey,
        Kind = Balance.Find(row.Kind) ?? throw new InvalidDataException(
            $"Customer {row.CustomerKey} has a balance '{row.Kind}'; there are prepaid and spend_cap."),
        Amount = decimal.Parse(row.Amount, CultureInfo.InvariantCulture),
        Currency = Currency.Of(row.Currency),
        TaxRate = decimal.Parse(row.TaxRate, CultureInfo.InvariantCulture),
        Since = row.Since,
        IsOfOpenUsage = row.OfOpenUsage != 0,
    };

    private sealed record Row(
        long CustomerKey, string Kind, string Amount, string Currency, string TaxRate, long Since, long OfOpenUsage);
}
