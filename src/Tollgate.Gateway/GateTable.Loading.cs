using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <content>
/// What a start reads: everything, once. There may be a million of each, so rows are read one by one and by their ordinals,
/// only the columns that the gate keeps, into tables that are made large enough at once.
/// </content>
public sealed partial class GateTable
{
    /// <summary>Reads every consumer, credential and entitlement, and compiles what is published.</summary>
    /// <param name="copy">Read in place of the store, which is away.</param>
    public async Task LoadAsync(Database? copy = null)
    {
        await CompileAsync();
        await (copy ?? database).ReadAsync(async db =>
        {
            if (_consumers.IsEmpty) _credentials = new KeyTable(await CountAsync(db, "credentials"));
            await LoadTermsAsync(db);
            await LoadConsumersAsync(db);
            await LoadCredentialsAsync(db);
            await LoadTokenCredentialsAsync(db);
            await LoadAccessGroupsAsync(db);
            return 0;
        });
    }

    /// <summary>Takes over whatever is different in the store, which was away when this table was loaded.</summary>
    public async Task RenewAsync()
    {
        var (customers, consumers) = await database.ReadAsync(async db =>
            ((await db.QueryAsync<long>("select distinct customer_key from entitlements")).ToHashSet(),
            (await db.QueryAsync<long>("select key from consumers")).ToHashSet()));
        customers.UnionWith(_customers.Values.Select(c => (long)c.Key));
        consumers.UnionWith(_consumers.Values.Select(c => (long)c.Key));
        foreach (var key in customers) await OnChangeAsync(new Change.OfCustomer((int)key));
        // the others came with their customers
        foreach (var key in consumers.Where(k => FindConsumer((int)k)?.Customer is not { } of || !customers.Contains(of.Key)))
            await OnChangeAsync(new Change.OfConsumer((int)key));
    }

    private static async Task<int> CountAsync(DbConnection db, string table)
    {
        await using var command = db.CreateCommand();
        command.CommandText = $"select count(*) from {table}";
        return (int)(long)(await command.ExecuteScalarAsync())!;
    }

    private async Task LoadTermsAsync(DbConnection db)
    {
        var of = new List<Entitlement>();
        await foreach (var terms in EntitlementStore.ByCustomerAsync(db))
        {
            if (of.Count > 0 && of[0].CustomerKey != terms.CustomerKey) Entitle();
            of.Add(terms);
        }

        if (of.Count > 0) Entitle();

        void Entitle()
        {
            var customer = CustomerOf(of[0].CustomerKey);
            customer.Entitle(customer.Compile(of));
            of.Clear();
        }
    }

    private async Task LoadConsumersAsync(DbConnection db)
    {
        await using var command = db.CreateCommand();
        command.CommandText = "select key, id, username, custom_id, customer_key from consumers";
        await using var row = await command.ExecuteReaderAsync();
        while (await row.ReadAsync())
        {
            Put((int)row.GetInt64(0), row.GetString(1), row.GetString(2), row.IsDBNull(3) ? null : row.GetString(3),
                row.IsDBNull(4) ? null : row.GetInt64(4));
        }
    }

    private async Task LoadCredentialsAsync(DbConnection db)
    {
        await using var command = db.CreateCommand();
        command.CommandText =
            "select key, id, consumer_key, hash, expires_at, revoked_at, subscription_id from credentials";
        await using var row = await command.ExecuteReaderAsync();
        var hash = new byte[ApiKeys.HashLength];
        while (await row.ReadAsync())
        {
            if (row.GetBytes(3, 0, hash, 0, hash.Length) != hash.Length)
                throw new InvalidDataException($"Credential {row.GetInt64(0)} has no whole hash.");
            if (_consumers.Find((int)row.GetInt64(2)) is not { } consumer) continue;
            Put(consumer, hash, (int)row.GetInt64(0), row.GetString(1), !row.IsDBNull(5),
                row.IsDBNull(4) ? null : row.GetInt64(4), row.IsDBNull(6) ? null : row.GetString(6));
        }
    }
}
