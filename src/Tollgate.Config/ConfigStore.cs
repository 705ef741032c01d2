using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Config;

/// <summary>The kinds of objects that configuration consists of.</summary>
public static class ConfigKind
{
    public const string Api = "api", Plan = "plan", Meter = "meter", Source = "source";

    /// <summary>Written by the Kong-shaped API; consumer groups are plans.</summary>
    public const string Service = "service", Route = "route", Plugin = "plugin",
        Upstream = "upstream", Target = "target", CaCertificate = "ca_certificate";
}

/// <summary>One object of configuration as it is stored: a JSON document with a name.</summary>
/// <param name="Name">Unique in its kind; an object without a name stands under its id.</param>
/// <param name="Id">The hex form of its UUID; each API writes it in its own way.</param>
public sealed record ConfigRow(
    string Kind, string Name, string Id, string ManagedBy, string Document, long CreatedAt, long UpdatedAt)
{
    /// <summary>The id as Kong's tools write it.</summary>
    public string Uuid => Guid.ParseExact(Id, "N").ToString();

    public ManagedBy Manager => Enum.Parse<ManagedBy>(ManagedBy, ignoreCase: true);
}

/// <summary>The SQL of what is published. Methods that take a connection run inside the caller's transaction.</summary>
public sealed class ConfigStore(Database database, TimeProvider clock)
{
    private const string Columns = "kind, name, id, managed_by, document, created_at, updated_at";

    public Task<IReadOnlyList<ConfigRow>> AllAsync() => database.ReadAsync(AllAsync);

    public static async Task<IReadOnlyList<ConfigRow>> AllAsync(DbConnection db) =>
        (await db.QueryAsync<ConfigRow>($"select {Columns} from config_objects order by key")).AsList();

    public Task<IReadOnlyList<ConfigRow>> OfKindAsync(string kind) => database.ReadAsync(db => OfKindAsync(db, kind));

    public static async Task<IReadOnlyList<ConfigRow>> OfKindAsync(DbConnection db, string kind) => (await db.QueryAsync<ConfigRow>(
        $"select {Columns} from config_objects where kind = @kind order by key", new { kind })).AsList();

    /// <summary>By name, by prefixed id or by UUID.</summary>
    public Task<ConfigRow?> FindAsync(string kind, string nameOrId) =>
        database.ReadAsync(db => FindAsync(db, kind, nameOrId));

    public static Task<ConfigRow?> FindAsync(DbConnection db, string kind, string nameOrId) =>
        db.QueryFirstOrDefaultAsync<ConfigRow?>(
            $"select {Columns} from config_objects where kind = @kind and (name = @nameOrId or id = @id)",
            new { kind, nameOrId, id = HexOf(nameOrId) });

    /// <summary>Adds an object, or answers null when its kind already has one of this name.</summary>
    /// <param name="db">The caller's transaction.</param>
    /// <param name="kind">See <see cref="ConfigKind"/>.</param>
    /// <param name="name">Null for none.</param>
    /// <param name="by">Who writes.</param>
    /// <param name="document">JSON.</param>
    /// <param name="given">The id that it shall have, which nothing else has (<see cref="HasIdAsync"/>); null for a new one.</param>
    public async Task<ConfigRow?> AddAsync(
        DbConnection db, string kind, string? name, ManagedBy by, string document, Guid? given = null)
    {
        // asked first: on PostgreSQL every node would hear of a statement, though it adds nothing
        if (name is not null && await db.ExecuteScalarAsync<long>(
            "select count(*) from config_objects where kind = @kind and name = @name", new { kind, name }) > 0) return null;
        var now = Micros.Now(clock);
        var id = (given ?? Guid.CreateVersion7(clock.GetUtcNow())).ToString("N");
        var row = new ConfigRow(kind, name ?? id, id, NameOf(by), document, now, now);
        var added = await db.ExecuteAsync(
            $"insert into config_objects ({Columns}) values " +
            "(@Kind, @Name, @Id, @ManagedBy, @Document, @CreatedAt, @UpdatedAt) on conflict (kind, name) do nothing", row);
        return added == 1 ? row : null;
    }

    /// <summary>Whether an object of any kind has this id.</summary>
    public static async Task<bool> HasIdAsync(DbConnection db, Guid id) => await db.ExecuteScalarAsync<int>(
        "select count(*) from config_objects where id = @id", new { id = id.ToString("N") }) > 0;

    /// <summary>Gives an object another name, which is free in its kind; its id stays, and so does what knows it by that.</summary>
    /// <param name="db">The caller's transaction.</param>
    /// <param name="row">The object.</param>
    /// <param name="name">Null for none.</param>
    public static Task RenameAsync(DbConnection db, ConfigRow row, string? name) => db.ExecuteAsync(
        "update config_objects set name = @name where kind = @Kind and id = @Id", new { row.Kind, row.Id, name = name ?? row.Id });

    /// <summary>Replaces the document of an object that exists.</summary>
    public Task UpdateAsync(DbConnection db, ConfigRow row, string document) => db.ExecuteAsync(
        "update config_objects set document = @document, updated_at = @now where kind = @Kind and id = @Id",
        new { row.Kind, row.Id, document, now = Micros.Now(clock) });

    /// <summary>From here on another side changes and removes the object.</summary>
    public static Task HandOverAsync(DbConnection db, ConfigRow row, ManagedBy to) => db.ExecuteAsync(
        "update config_objects set managed_by = @to where kind = @Kind and id = @Id",
        new { row.Kind, row.Id, to = NameOf(to) });

    public static Task DeleteAsync(DbConnection db, ConfigRow row) =>
        db.ExecuteAsync("delete from config_objects where kind = @Kind and id = @Id", new { row.Kind, row.Id });

    /// <summary>The newest version of each plan's prices; plans without any are absent.</summary>
    public static async Task<Dictionary<string, int>> LatestVersionsAsync(DbConnection db) =>
        (await db.QueryAsync<(string PlanId, long Version)>(
            "select plan_id, max(version) from plan_versions group by plan_id"))
        .ToDictionary(v => v.PlanId, v => (int)v.Version);

    public static Task<PlanVersionRow?> FindVersionAsync(DbConnection db, string planId, int version) =>
        db.QueryFirstOrDefaultAsync<PlanVersionRow?>(
            "select plan_id, version, currency, prices, quotas, terms, published_at from plan_versions " +
            "where plan_id = @planId and version = @version", new { planId, version });

    /// <summary>In their order, those after a number.</summary>
    public static async Task<IReadOnlyList<PlanVersionRow>> VersionsAsync(
        DbConnection db, string planId, long after = 0, int limit = 1_000) =>
        (await db.QueryAsync<PlanVersionRow>(
            "select plan_id, version, currency, prices, quotas, terms, published_at from plan_versions " +
            "where plan_id = @planId and version > @after order by version limit @limit", new { planId, after, limit })).AsList();

    public static async Task<IReadOnlyList<PlanVersionRow>> VersionsWithTermsAsync(DbConnection db) =>
        (await db.QueryAsync<PlanVersionRow>(
            "select plan_id, version, currency, prices, quotas, terms, published_at from plan_versions " +
            "where quotas <> '[]' or terms <> '{}'")).AsList();

    /// <summary>Publishes the next version of a plan's terms. A version never changes afterwards.</summary>
    /// <param name="prices">JSON, as in the file.</param>
    /// <param name="quotas">JSON, as in the file; none when left out.</param>
    /// <param name="terms">JSON: trial, features, phases, prices in other currencies; none when left out.</param>
    public async Task<int> AddVersionAsync(
        DbConnection db, string planId, string currency, string prices, string quotas = "[]", string terms = "{}")
    {
        var next = 1 + await db.ExecuteScalarAsync<int>(
            "select coalesce(max(version), 0) from plan_versions where plan_id = @planId", new { planId });
        await db.ExecuteAsync(
            "insert into plan_versions (plan_id, version, currency, prices, quotas, terms, published_at) " +
            "values (@planId, @next, @currency, @prices, @quotas, @terms, @now)",
            new { planId, next, currency, prices, quotas, terms, now = Micros.Now(clock) });
        return next;
    }

    /// <summary>Adds a plan with its first version, or answers null when there is one of this name.</summary>
    public async Task<ConfigRow?> AddPlanAsync(DbConnection db, FilePlan plan, ManagedBy by, Currency currency)
    {
        if (await AddAsync(db, ConfigKind.Plan, plan.Name, by, File.FileChanges.Access(plan).Write()) is not { } row) return null;
        await AddVersionAsync(db, Publication.PlanIdOf(row), currency.Code, File.PriceWriter.Write(plan.Prices),
            File.QuotaWriter.Write(plan.Quotas), File.PlanTermsWriter.Write(plan.Terms));
        return row;
    }

    /// <summary>The integer keys of these operations; those that have none yet get one.</summary>
    public static async Task<Dictionary<(string Api, string Operation), int>> OperationKeysAsync(
        DbConnection db, IEnumerable<(string Api, string Operation, string Endpoint)> operations)
    {
        var rows = await db.QueryAsync<(string Api, string Operation, long Key, string Endpoint)>(
            "select api, operation, key, endpoint from operation_keys");
        var stored = rows.ToDictionary(k => (k.Api, k.Operation), k => (k.Key, k.Endpoint));
        var keys = stored.ToDictionary(k => k.Key, k => (int)k.Value.Key);
        foreach (var (api, operation, endpoint) in operations.DistinctBy(o => (o.Api, o.Operation)))
        {
            if (stored.TryGetValue((api, operation), out var known))
            {
                // the same operation at another path: it is shown where it is now
                if (known.Endpoint != endpoint)
                    await db.ExecuteAsync(
                        "update operation_keys set endpoint = @endpoint where key = @Key", new { endpoint, known.Key });
                continue;
            }

            keys[(api, operation)] = await db.ExecuteScalarAsync<int>(
                "insert into operation_keys (api, operation, endpoint) values (@api, @operation, @endpoint) " +
                "returning key", new { api, operation, endpoint });
        }

        return keys;
    }

    public static string NameOf(ManagedBy by) => by.ToString().ToLowerInvariant();

    /// <summary>The stored form of an id written in any of the ways we accept; null when it is none.</summary>
    public static string? HexOf(string text)
    {
        var underscore = text.LastIndexOf('_');
        return Guid.TryParse(text.AsSpan(underscore + 1), out var id) ? id.ToString("N") : null;
    }
}

/// <summary>A published version of a plan's terms; prices, quotas and terms are JSON as in the file.</summary>
public sealed record PlanVersionRow(
    string PlanId, long Version, string Currency, string Prices, string Quotas, string Terms, long PublishedAt);
