using System.Data.Common;
using System.Text.Json;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

public sealed class CreditNote : IIdentified { public static string IdPrefix => "cn"; private CreditNote() { } }

/// <summary>A correction of an issued invoice; it never changes either.</summary>
/// <param name="Amount">Gross, in minor units.</param>
public sealed record CreditNoteRow(
    long Key, string Id, string Number, long CustomerKey, long InvoiceKey, string Currency, long Amount, string Document,
    long IssuedAt);

/// <summary>The SQL of credit notes.</summary>
public sealed class CreditNoteStore(Database database, TimeProvider clock)
{
    private const string Columns =
        "key, id, number, customer_key, invoice_key, currency, amount, document, issued_at";

    private static readonly JsonSerializerOptions s_json =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>By id or by number.</summary>
    public Task<CreditNoteRow?> FindAsync(string idOrNumber) => database.ReadAsync(db =>
        db.QueryFirstOrDefaultAsync<CreditNoteRow?>(
            $"select {Columns} from credit_notes where id = @idOrNumber or number = @idOrNumber", new { idOrNumber }));

    public Task<IReadOnlyList<CreditNoteRow>> ListAsync(long? customerKey, long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<CreditNoteRow>)(await db.QueryAsync<CreditNoteRow>(
            $"select {Columns} from credit_notes where key > @after " +
            (customerKey is null ? "" : "and customer_key = @customerKey ") + "order by key limit @limit",
            new { after, limit, customerKey })).AsList());

    /// <summary>Takes back a part of an invoice, tax in proportion, or all that is left of it. What was paid of it is
    /// the customer's credit then.</summary>
    /// <param name="gross">Null for all that is left.</param>
    /// <returns>Or <c>invoice_closed</c>, <c>amount_too_large</c>.</returns>
    public async Task<Result<CreditNoteRow>> IssueAsync(DbConnection db, InvoiceRow invoice, Money? gross, string reason)
    {
        var now = Micros.Now(clock);
        var currency = Currency.Of(invoice.Currency);
        var left = new Money(invoice.Total - invoice.Credited, currency);
        if (invoice.Status is InvoiceRow.Void or InvoiceRow.Uncollectible)
            return new Problem("invoice_closed", $"{invoice.Number} is {invoice.Status}: nothing of it is owed.", "invoice");
        var amount = gross ?? left;
        if (amount.MinorUnits <= 0 || amount.MinorUnits > left.MinorUnits)
            return new Problem("amount_too_large",
                $"must be above zero and at most {left}, which is left of {invoice.Number}", "amount");
        var tax = (await Ledger.OfDocumentAsync(db, invoice.Id)).Where(p => p.Account == Account.Tax)
            .Aggregate(Money.Zero(currency), (sum, p) => sum - p.Amount);
        // of all notes together, so that the last one brings them to the tax of the invoice
        var before = new Money(await db.ExecuteScalarAsync<long>(
            "select cast(coalesce(sum(p.amount), 0) as bigint) from credit_notes n join postings p on p.document = n.id " +
            "where n.invoice_key = @Key and p.account = 'tax'", new { invoice.Key }), currency);
        var share = invoice.Total == 0 ? Money.Zero(currency)
            : Money.Round(tax.Amount * (invoice.Credited + amount.MinorUnits) / invoice.Total, currency) - before;
        var id = Id<CreditNote>.New(clock).ToString();
        var customer = await CustomerStore.FindAsync(db, invoice.CustomerKey);
        var number = await DocumentNumbers.NextAsync(db, "CN", now);
        var row = await db.QuerySingleAsync<CreditNoteRow>(
            "insert into credit_notes (id, number, customer_key, invoice_key, currency, amount, document, issued_at) " +
            "values (@id, @number, @CustomerKey, @Key, @Currency, @MinorUnits, @document, @now) " +
            $"returning {Columns}",
            new
            {
                id,
                number,
                invoice.CustomerKey,
                invoice.Key,
                invoice.Currency,
                amount.MinorUnits,
                document = JsonSerializer.Serialize(new
                {
                    id,
                    number,
                    customer = customer!.Id,
                    invoice = invoice.Number,
                    invoice_id = invoice.Id,
                    currency = invoice.Currency,
                    net = (amount - share).ToString(),
                    tax = share.ToString(),
                    total = amount.ToString(),
                    reason,
                    issued_at = Micros.ToText(now),
                }, s_json),
                now,
            });
        await db.ExecuteAsync(
            "update invoices set credited = credited + @MinorUnits where key = @Key", new { amount.MinorUnits, invoice.Key });
        var shared = await SharedRevenue.TakeBackAsync(db, invoice, invoice.Credited + amount.MinorUnits, id, now);
        await Ledger.PostAsync(db, row.CustomerKey, Entry.OfCreditNote(id, amount, share, shared), id, now);
        await GiveBackAsync(db, invoice, amount, (id, now));
        await Settling.SettleAsync(db, row.CustomerKey, row.Currency, now, invoice.Key);
        return row;
    }

    /// <summary>What of a credit note goes beyond what is still open, and was paid from prepaid credit, is prepaid credit
    /// again, also at the gate: the newest burn first, as far as its grant is still valid. The rest is the customer's credit
    /// for invoices.</summary>
    private static async Task GiveBackAsync(
        DbConnection db, InvoiceRow invoice, Money amount, (string Id, long At) note)
    {
        var left = amount.MinorUnits - (invoice.Status == InvoiceRow.Issued ? invoice.AmountDue - invoice.Settled : 0);
        var burnt = await db.QueryAsync<(long Grant, long Amount)>(
            "select b.grant_key, cast(sum(b.amount) as bigint) from burns b join grants g on g.key = b.grant_key " +
            "where b.invoice_key = @Key and g.kind = 'prepaid' and g.voided_at is null " +
            "and (g.expires_at is null or g.expires_at > @At) " +
            "group by b.grant_key having sum(b.amount) > 0 order by max(b.key) desc", new { invoice.Key, note.At });
        var back = 0L;
        foreach (var (grant, most) in burnt)
        {
            var part = Math.Min(most, left - back);
            if (part <= 0) break;
            await GrantStore.BurnAsync(db, grant, invoice.Key, -part, note.At);
            back += part;
        }

        if (back == 0) return;
        var given = new Money(back, amount.Currency);
        await Ledger.PostAsync(db, invoice.CustomerKey, new Entry(note.Id,
            new Posting(Account.Customer, given), new Posting(Account.Prepaid, -given)), note.Id + " prepaid", note.At);
        await CreditAtGate.WriteAsync(db, invoice.CustomerKey, note.At);
    }
}

/// <summary>Numbers without gaps, per series and year (UTC): taken in the transaction of the document.</summary>
internal static class DocumentNumbers
{
    public static async Task<string> NextAsync(DbConnection db, string series, long now)
    {
        var year = Micros.ToDateTimeOffset(now).Year;
        var last = await db.ExecuteScalarAsync<long>(
            "insert into document_numbers (series, year, last) values (@series, @year, 1) on conflict (series, year) " +
            "do update set last = document_numbers.last + 1 returning last", new { series, year });
        return $"{series}-{year}-{last:000000}";
    }
}
