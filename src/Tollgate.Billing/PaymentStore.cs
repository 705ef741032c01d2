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
        await Settling.SettleAsync(db, row.CustomerKey, row.Currency, now, row.InvoiceKey);
        return row;
    }
}

/// <param name="InvoiceKey">Settled first; none for those due first.</param>
/// <param name="ReceivedAt">Microseconds; null for now.</param>
public sealed record NewPayment(
    long CustomerKey, long? InvoiceKey, Money Amount, string? Reference, long? ReceivedAt);
