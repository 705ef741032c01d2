using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Billing;

/// <summary>Where money comes from and goes to. The balance of an account is the sum of its postings.</summary>
public enum Account : byte
{
    /// <summary>What the customer owes us; below zero what we owe them.</summary>
    Customer,

    /// <summary>Without tax, and before promotional credit.</summary>
    Revenue,

    /// <summary>Owed to the tax authority.</summary>
    Tax,

    /// <summary>Received.</summary>
    Cash,

    /// <summary>Prepaid credit that customers have not used yet.</summary>
    Prepaid,

    /// <summary>Given away as promotional credit.</summary>
    Promotion,

    /// <summary>Written off.</summary>
    BadDebt,

    /// <summary>Owed to publishers, who have a share of the revenue.</summary>
    Payable,
}

/// <summary>One side of a movement of money: a debit above zero, a credit below.</summary>
public readonly record struct Posting(Account Account, Money Amount);

/// <summary>A movement of money with all its sides; they sum to zero.</summary>
public sealed record Entry
{
    /// <exception cref="InvalidOperationException">The sides do not sum to zero: our bug.</exception>
    public Entry(string document, params IReadOnlyList<Posting> postings)
    {
        Document = document;
        Postings = [.. postings.Where(p => p.Amount.MinorUnits != 0)];
        if (Postings.Sum(p => (decimal)p.Amount.MinorUnits) != 0)
            throw new InvalidOperationException($"The postings of {document} do not sum to zero: " +
                string.Join(", ", Postings.Select(p => $"{p.Account} {p.Amount}")));
    }

    /// <summary>Id of the document that brings it about.</summary>
    public string Document { get; }

    public IReadOnlyList<Posting> Postings { get; }

    /// <summary>An invoice is owed, and its prepaid part is paid at once.</summary>
    public static Entry OfInvoice(string id, InvoiceAmounts amounts) => new(id,
        new Posting(Account.Customer, amounts.Total - amounts.Prepaid),
        new Posting(Account.Prepaid, amounts.Prepaid),
        new Posting(Account.Promotion, amounts.Promotional),
        new Posting(Account.Revenue, -(amounts.Net + amounts.Promotional - amounts.Shared)),
        new Posting(Account.Payable, -amounts.Shared),
        new Posting(Account.Tax, -amounts.Tax));

    /// <param name="shared">What publishers give back of it.</param>
    public static Entry OfCreditNote(string id, Money gross, Money tax, Money shared) => new(id,
        new Posting(Account.Revenue, gross - tax - shared),
        new Posting(Account.Payable, shared),
        new Posting(Account.Tax, tax), new Posting(Account.Customer, -gross));

    public static Entry OfPayment(string id, Money amount) =>
        new(id, new Posting(Account.Cash, amount), new Posting(Account.Customer, -amount));

    public static Entry OfWriteOff(string id, Money amount) =>
        new(id, new Posting(Account.BadDebt, amount), new Posting(Account.Customer, -amount));

    /// <summary>Of what was written off, what was paid after all.</summary>
    public static Entry OfRecovery(string id, Money amount) =>
        new(id, new Posting(Account.Customer, amount), new Posting(Account.BadDebt, -amount));

    /// <summary>All of it taken back.</summary>
    public static Entry Reversed(string id, IEnumerable<Posting> postings) =>
        new(id, [.. postings.Select(p => p with { Amount = -p.Amount })]);
}

/// <summary>What an invoice comes to.</summary>
/// <param name="Net">Without tax, after everything taken off.</param>
/// <param name="Promotional">Promotional credit, taken off before tax.</param>
/// <param name="Prepaid">Paid from prepaid credit.</param>
public sealed record InvoiceAmounts(Money Net, Money Tax, Money Promotional, Money Prepaid)
{
    public Money Total => Net + Tax;

    /// <summary>What publishers have of it.</summary>
    public Money Shared { get; init; } = Money.Zero(Net.Currency);
}

/// <summary>A posting as it is stored.</summary>
public sealed record PostingRow(
    long Key, string Entry, string Document, string Account, long CustomerKey, string Currency, long Amount,
    long PostedAt);

/// <summary>The SQL of the ledger. It is only ever added to, in the transaction of the document.</summary>
public static class Ledger
{
    private const string Columns = "key, entry, document, account, customer_key, currency, amount, posted_at";

    public static string NameOf(Account account) => account == Account.BadDebt
        ? "bad_debt"
        : account.ToString().ToLowerInvariant();

    public static async Task PostAsync(DbConnection db, long customerKey, Entry entry, string name, long now)
    {
        if (entry.Postings.Count == 0) return;
        var parameters = new DynamicParameters(new { name, entry.Document, customerKey, now });
        var values = entry.Postings.Select((p, i) =>
        {
            parameters.Add($"account{i}", NameOf(p.Account));
            parameters.Add($"currency{i}", p.Amount.Currency.Code);
            parameters.Add($"amount{i}", p.Amount.MinorUnits);
            return $"(@name, @Document, @account{i}, @customerKey, @currency{i}, @amount{i}, @now)";
        });
        await db.ExecuteAsync(
            "insert into postings (entry, document, account, customer_key, currency, amount, posted_at) values " +
            string.Join(", ", values), parameters);
    }

    /// <summary>The balance of an account of a customer, in minor units.</summary>
    public static Task<long> BalanceAsync(DbConnection db, long customerKey, Account account, string currency) =>
        db.ExecuteScalarAsync<long>(
            "select cast(coalesce(sum(amount), 0) as bigint) from postings " +
            "where customer_key = @customerKey and account = @account and currency = @currency",
            new { customerKey, account = NameOf(account), currency });

    public static async Task<IReadOnlyList<Posting>> OfDocumentAsync(DbConnection db, string document) =>
        (await db.QueryAsync<PostingRow>(
            $"select {Columns} from postings where document = @document order by key", new { document }))
        .Select(r => new Posting(
            Enum.GetValues<Account>().Single(a => NameOf(a) == r.Account),
            new Money(r.Amount, Currency.Of(r.Currency)))).ToArray();

    public static async Task<IReadOnlyList<PostingRow>> ListAsync(
        DbConnection db, long? customerKey, long after, int limit) =>
        (await db.QueryAsync<PostingRow>(
            $"select {Columns} from postings where key > @after " +
            (customerKey is null ? "" : "and customer_key = @customerKey ") + "order by key limit @limit",
            new { customerKey, after, limit })).AsList();

    /// <summary>The balances of a customer's accounts, in minor units.</summary>
    public static async Task<IReadOnlyList<(string Account, string Currency, long Amount)>> BalancesAsync(
        DbConnection db, long customerKey) =>
        (await db.QueryAsync<(string, string, long)>(
            "select account, currency, cast(sum(amount) as bigint) from postings where customer_key = @customerKey " +
            "group by account, currency order by account, currency", new { customerKey })).AsList();
}
