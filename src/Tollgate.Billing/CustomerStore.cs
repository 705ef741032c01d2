using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>Who pays.</summary>
/// <param name="Currency">ISO 4217; one for all invoices of a customer.</param>
/// <param name="Timezone">IANA id; billing periods begin at midnight there.</param>
public sealed record CustomerRow(
    long Key, string Id, string Name, string Currency, string Timezone, string ManagedBy, long CreatedAt);

/// <summary>The SQL of customers.</summary>
public sealed class CustomerStore(Database database, TimeProvider clock)
{
    private const string Columns = "key, id, name, currency, timezone, managed_by, created_at";

    /// <summary>By name, by prefixed id, or by the username or custom id of one of its consumers.</summary>
    public Task<CustomerRow?> FindAsync(string name) => database.ReadAsync(db => FindAsync(db, name));

    public static async Task<CustomerRow?> FindAsync(DbConnection db, string name)
    {
        var found = await db.QueryFirstOrDefaultAsync<CustomerRow?>(
            $"select {Columns} from customers where name = @name or id = @name limit 1", new { name });
        if (found is not null) return found;
        var consumer = await ConsumerStore.FindAsync(db, name);
        return consumer?.CustomerKey is { } key ? await FindAsync(db, key) : null;
    }

    public static Task<CustomerRow?> FindAsync(DbConnection db, long key) =>
        db.QueryFirstOrDefaultAsync<CustomerRow?>($"select {Columns} from customers where key = @key", new { key });

    internal static Task<IEnumerable<CustomerRow>> OfKeysAsync(DbConnection db, IReadOnlyCollection<long> keys) =>
        db.QueryAsync<CustomerRow>($"select {Columns} from customers where key in @keys", new { keys });

    public Task<CustomerRow?> OfKeyAsync(long key) => database.ReadAsync(db => FindAsync(db, key));

    public Task<IReadOnlyList<CustomerRow>> ListAsync(long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<CustomerRow>)(await db.QueryAsync<CustomerRow>(
            $"select {Columns} from customers where key > @after order by key limit @limit",
            new { after, limit })).AsList());

    /// <summary>The names of these customers, by key.</summary>
    public Task<IReadOnlyDictionary<long, string>> NamesAsync(IEnumerable<long> keys) => database.ReadAsync(
        async db => (IReadOnlyDictionary<long, string>)(await db.QueryAsync<(long Key, string Name)>(
            "select key, name from customers where key in @keys", new { keys = keys.Distinct().ToArray() }))
            .ToDictionary(c => c.Key, c => c.Name));

    /// <summary>Adds a customer, or answers null when the name is taken.</summary>
    public Task<CustomerRow?> AddAsync(
        DbConnection db, string name, Currency currency, string timezone, ManagedBy by) =>
        db.QueryFirstOrDefaultAsync<CustomerRow?>(
            "insert into customers (id, name, currency, timezone, managed_by, created_at) " +
            "values (@id, @name, @currency, @timezone, @by, @now) on conflict (name) do nothing " +
            $"returning {Columns}",
            new
            {
                id = Id<Customer>.New(clock).ToString(),
                name,
                currency = currency.Code,
                timezone,
                by = ConfigStore.NameOf(by),
                now = Micros.Now(clock),
            });
}
