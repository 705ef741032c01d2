using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Config.Admin;

/// <summary>Names ids of admin tokens: <c>adm_…</c>.</summary>
public sealed class AdminToken : IIdentified
{
    public static string IdPrefix => "adm";
}

/// <summary>A token of the admin port as it is stored: without the token.</summary>
/// <param name="Scopes">Of <c>read config billing admin</c>, by blanks.</param>
public sealed record AdminTokenRow(
    long Key, string Id, string Name, string Hint, string Scopes, long CreatedAt, long? ExpiresAt, long? RevokedAt);

/// <summary>The SQL of admin tokens. A token is looked up at each request: so it ends everywhere when it ends.</summary>
public sealed class AdminTokenStore(Database database, ApiKeys keys, TimeProvider clock)
{
    private const string Columns = "key, id, name, hint, scopes, created_at, expires_at, revoked_at";

    /// <summary>The token that this text is, while it is neither revoked nor expired; else null.</summary>
    public async Task<AdminTokenRow?> FindValidAsync(string text)
    {
        if (!ApiKeys.IsAdminToken(text) || keys.Hash(text) is not { } hash) return null;
        var row = await database.ReadAsync(db => db.QueryFirstOrDefaultAsync<AdminTokenRow?>(
            $"select {Columns} from admin_tokens where hash = @hash", new { hash }));
        return row is { RevokedAt: null } && (row.ExpiresAt is not { } end || Micros.Now(clock) < end) ? row : null;
    }

    public Task<AdminTokenRow?> FindAsync(string nameOrId) => database.ReadAsync(db => FindAsync(db, nameOrId));

    private static Task<AdminTokenRow?> FindAsync(DbConnection db, string nameOrId) =>
        db.QueryFirstOrDefaultAsync<AdminTokenRow?>(
            $"select {Columns} from admin_tokens where name = @nameOrId or id = @nameOrId", new { nameOrId });

    public Task<IReadOnlyList<AdminTokenRow>> ListAsync(long after, int limit) =>
        database.ReadAsync<IReadOnlyList<AdminTokenRow>>(async db => (await db.QueryAsync<AdminTokenRow>(
            $"select {Columns} from admin_tokens where key > @after order by key limit @limit",
            new { after, limit })).AsList());

    /// <summary>Makes a token; the text is answered here and is nowhere else. Null: the name was given before.</summary>
    public Task<(AdminTokenRow Row, string Text)?> AddAsync(string name, string scopes, long? expiresAt)
    {
        var text = ApiKeys.GenerateAdminToken();
        return database.WriteAsync<(AdminTokenRow, string)?>(async db =>
        {
            if (await FindAsync(db, name) is not null) return null;
            var row = await db.QuerySingleAsync<AdminTokenRow>(
                "insert into admin_tokens (id, name, hash, hint, scopes, created_at, expires_at) " +
                $"values (@id, @name, @hash, @hint, @scopes, @now, @expiresAt) returning {Columns}",
                new
                {
                    id = Id<AdminToken>.New(clock).ToString(),
                    name,
                    hash = keys.Hash(text)!,
                    hint = ApiKeys.HintOf(text),
                    scopes,
                    now = Micros.Now(clock),
                    expiresAt,
                });
            return (row, text);
        });
    }

    /// <summary>Ends a token: its next request is refused. Its row stays, since the audit log names it.</summary>
    public Task RevokeAsync(long key) => database.WriteAsync(db => db.ExecuteAsync(
        "update admin_tokens set revoked_at = coalesce(revoked_at, @now) where key = @key",
        new { key, now = Micros.Now(clock) }));
}
