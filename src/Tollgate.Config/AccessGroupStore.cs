using System.Data.Common;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Config;

/// <summary>That a consumer is in a group which services and routes admit or keep out.</summary>
public sealed record AccessGroupRow(long Key, string Id, long ConsumerKey, string Name, long CreatedAt);

/// <summary>The SQL of those groups. Inside the caller's transaction.</summary>
public static class AccessGroupStore
{
    private const string Columns = "key, id, consumer_key, name, created_at";

    /// <summary>Adds one, or answers null when the consumer is in it already.</summary>
    public static Task<AccessGroupRow?> AddAsync(DbConnection db, string id, long consumerKey, string name, long now) =>
        db.QueryFirstOrDefaultAsync<AccessGroupRow?>(
            "insert into access_groups (id, consumer_key, name, created_at) values (@id, @consumerKey, @name, @now) " +
            $"on conflict (consumer_key, name) do nothing returning {Columns}", new { id, consumerKey, name, now });

    public static async Task<IReadOnlyList<AccessGroupRow>> AllAsync(DbConnection db) =>
        (await db.QueryAsync<AccessGroupRow>($"select {Columns} from access_groups order by key")).AsList();

    public static async Task<IReadOnlyList<AccessGroupRow>> OfConsumerAsync(DbConnection db, long consumerKey) =>
        (await db.QueryAsync<AccessGroupRow>(
            $"select {Columns} from access_groups where consumer_key = @consumerKey order by key", new { consumerKey })).AsList();

    /// <summary>By id or by name.</summary>
    public static Task<AccessGroupRow?> FindAsync(DbConnection db, long consumerKey, string idOrName) =>
        db.QueryFirstOrDefaultAsync<AccessGroupRow?>(
            $"select {Columns} from access_groups where consumer_key = @consumerKey and (id = @id or name = @idOrName) " +
            "order by id = @id desc limit 1",
            new { consumerKey, idOrName, id = Id<AccessGroup>.TryParse(idOrName, out var id) ? id.ToString() : "" });

    public static Task DeleteAsync(DbConnection db, AccessGroupRow row) =>
        db.ExecuteAsync("delete from access_groups where key = @Key", new { row.Key });
}
