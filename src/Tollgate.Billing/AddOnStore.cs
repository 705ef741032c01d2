using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

public sealed class AddOn : IIdentified { public static string IdPrefix => "ao"; private AddOn() { } }

/// <summary>Prices that a subscription can have beside its plan's.</summary>
/// <param name="Prices">JSON, as in the file.</param>
public sealed record AddOnRow(long Key, string Id, string Name, string Currency, string Prices, long CreatedAt);

/// <summary>The SQL of add-ons. They never change: who bought one keeps its price.</summary>
public sealed class AddOnStore(Database database, TimeProvider clock)
{
    private const string Columns = "key, id, name, currency, prices, created_at";

    public Task<IReadOnlyList<AddOnRow>> ListAsync(long after, int limit) => database.ReadAsync(
        async db => (IReadOnlyList<AddOnRow>)(await db.QueryAsync<AddOnRow>(
            $"select {Columns} from add_ons where key > @after order by key limit @limit",
            new { after, limit })).AsList());

    public Task<AddOnRow?> FindAsync(string name) => database.ReadAsync(db => FindAsync(db, name));

    /// <summary>By name or by id.</summary>
    public static Task<AddOnRow?> FindAsync(DbConnection db, string name) => db.QueryFirstOrDefaultAsync<AddOnRow?>(
        $"select {Columns} from add_ons where name = @name or id = @name", new { name });

    /// <returns>Null when there is one of this name already.</returns>
    public Task<AddOnRow?> AddAsync(string name, Currency currency, string prices) => database.WriteAsync(
        db => db.QueryFirstOrDefaultAsync<AddOnRow?>(
            "insert into add_ons (id, name, currency, prices, created_at) values (@id, @name, @Code, @prices, @now) " +
            $"on conflict (name) do nothing returning {Columns}",
            new { id = Id<AddOn>.New(clock).ToString(), name, currency.Code, prices, now = Micros.Now(clock) }));
}
