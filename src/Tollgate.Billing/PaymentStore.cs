using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

public sealed class Payment : IIdentified { public static string IdPrefix => "pay"; private Payment() { } }

/// <summary>Money that was received, as somebody noted it.</summary>
public sealed record PaymentRow(
    long Key, string Id, long CustomerKey, long? InvoiceKey, string Currency, long Amount, string? Reference,
    long ReceivedAt, long CreatedAt, string Customer, string? Invoice);

/// <summary>The SQL of payments.</summary>
public sealed class PaymentStore(Database database, TimeProvider clock)
{
    private const string Columns =
        "key, id, customer_key, invoice_key, currency, amount, reference, received_at, created_at, " +
        "(select c.id from customers c where c.key = customer_key) as customer, " +
        "(select i.number from invoices i where i.key = invoice_key) as invoice";

    public Task<PaymentRow?> FindAsync(string id) => database.ReadAsync(db =>
        db.QueryFirstOrDefaultAsync<PaymentRow?>($"select {Columns} from payments where id = @id", new { id }));

    public Task<IReadOnlyList<PaymentRow>> ListAsync(long? customerKey, long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<PaymentRow>)(await db.QueryAsync<PaymentRow>(
            $"select {Columns} from payments where key > @after " +
            (customerKey is null ? "" : "and customer_key = @customerKey ") + "order by key limit @limit",
            new { after, limit, customerKey })).AsList());

    /// <summary>Notes a payment, posts it and settles invoices with it; what is left is the customer's credit.</summary>
    public async Task<PaymentRow> AddAsync(DbConnection db, NewPayment payment)
    {
        var now = Micros.Now(clock);
        var row = await db.QuerySingleAsync<PaymentRow>(
            "insert into payments (id, customer_key, invoice_key, currency, amount, reference, received_at, created_at) " +
            "values (@id, @CustomerKey, @InvoiceKey, @Code, @MinorUnits, @Reference, @received, @now) " +
            $"returning {Columns}",
            new
            {
                id = Id<Payment>.New(clock).ToString(),
                payment.CustomerKey,
                payment.InvoiceKey,
                payment.Amount.Currency.Code,
                payment.Amount.MinorUnits,
                payment.Reference,
                received = payment.ReceivedAt ?? now,
                now,
            });
        await Ledger.PostAsync(db, row.CustomerKey, Entry.OfPayment(row.Id, payment.Amount), row.Id, now);
        if (row.InvoiceKey is { } key) await RecoverAsync(db, row, key, now);
        await Settling.SettleAsync(db, row.CustomerKey, row.Currency, now, row.InvoiceKey);
        return row;
    }

    /// <summary>Money for an invoice that was written off: as much of the loss is taken back, and the invoice is paid when all
    /// of it is.</summary>
    private static async Task RecoverAsync(DbConnection db, PaymentRow payment, long invoiceKey, long now)
    {
        var lost = await db.QueryFirstOrDefaultAsync<(string? Id, long Left)>(
            "select id, amount_due - settled from invoices where key = @invoiceKey and status = 'uncollectible'", new { invoiceKey });
        var part = Math.Min(lost.Left, payment.Amount);
        if (lost.Id is null || part == 0) return;
        await Ledger.PostAsync(db, payment.CustomerKey, Entry.OfRecovery(lost.Id, new Money(part, Currency.Of(payment.Currency))),
            $"{lost.Id} recovered by {payment.Id}", now);
        await db.ExecuteAsync(
            "update invoices set settled = settled + @part, " +
            "closed_at = case when settled + @part = amount_due then @now else closed_at end, " +
            "status = case when settled + @part = amount_due then 'paid' else status end where key = @invoiceKey",
            new { part, now, invoiceKey });
    }
}

/// <param name="InvoiceKey">Settled first; none for those due first.</param>
/// <param name="ReceivedAt">Microseconds; null for now.</param>
public sealed record NewPayment(
    long CustomerKey, long? InvoiceKey, Money Amount, string? Reference, long? ReceivedAt);
