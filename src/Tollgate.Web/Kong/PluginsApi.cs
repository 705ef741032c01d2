using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Nodes;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Kong's plugins: whether a key is asked for, which group may call what, and how often.</summary>
/// <param name="database">The store.</param>
/// <param name="config">What it holds.</param>
/// <param name="news">Tells the gate.</param>
/// <param name="redis">See <see cref="PluginSurroundings.Redis"/>.</param>
internal sealed class PluginsApi(Database database, ConfigStore config, KongNews news, Func<string?> redis)
{
    private readonly KongObjects _objects = new(database, config, news, ConfigKind.Plugin, Write);

    public Task<KongAnswer> AddAsync(KongRequest request, KongFields fields) =>
        _objects.AddAsync(fields, (db, read, row) => DraftAsync(db, request, read, row));

    /// <summary>Under an id that the caller gives; what was there may come out as another plugin, or elsewhere.</summary>
    public Task<KongAnswer> PutAsync(KongRequest request, KongFields fields) =>
        _objects.PutAsync(request["p"], fields, async (db, read, row) => row is not null && !await IsUnderAsync(db, request, row)
            ? KongDraft.Refused(KongAnswer.NotFound()) : await DraftAsync(db, request, read, row), named: null);

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page)
    {
        var rows = await config.OfKindAsync(ConfigKind.Plugin);
        if (PluginScope.Of(request) is not { } scope) return page.Of(rows, Write);
        return await database.ReadAsync(db => PluginScope.IdAsync(db, scope)) is { } target
            ? page.Of(rows.Where(r => KongJson.Read<KongPlugin>(r).Scope == target), Write)
            : KongAnswer.NotFound();
    }

    /// <summary>Names of those that are anywhere.</summary>
    public async Task<string[]> InUseAsync() => [.. (await config.OfKindAsync(ConfigKind.Plugin)).Select(KongJson.Read<KongPlugin>)
        .Where(p => p.Enabled).Select(p => p.Name).Distinct().Order(StringComparer.Ordinal)];

    public static Task<KongAnswer> EnabledAsync(KongRequest request) => Task.FromResult(
        KongAnswer.Ok(new JsonObject { ["enabled_plugins"] = KongEntity.List([.. PluginSchema.Names]) }));

    public async Task<KongAnswer> GetAsync(KongRequest request) =>
        await config.FindAsync(ConfigKind.Plugin, request["p"]) is { } row && await IsUnderAsync(request, row)
            ? KongAnswer.Ok(Write(row)) : KongAnswer.NotFound();

    /// <summary>Changes what is sent and leaves the rest as it is; in force on the next call, and what was used stays.</summary>
    public Task<KongAnswer> ChangeAsync(KongRequest request, KongFields sent)
    {
        return _objects.ChangeAsync(async db => await ConfigStore.FindAsync(db, ConfigKind.Plugin, request["p"]) is { } row
            && await IsUnderAsync(db, request, row) ? row : null, sent, DraftAsync, entity =>
            {
                foreach (var field in PluginScope.Fields)
                {
                    sent.Drop(field, entity[field]);
                    entity.Remove(field);
                }
            });

        async Task<KongDraft> DraftAsync(DbConnection db, KongFields fields, ConfigRow? row)
        {
            var before = KongJson.Read<KongPlugin>(row!);
            foreach (var field in PluginScope.Fields)
                if (sent.Sends(field)) fields.Note(field, "not supported: a plugin stays where it is; remove it, and add it there");
            var read = Read(fields, await SurroundingsAsync(db), out _, PluginScope.Of(before));
            if (read is not null && read.Name != before.Name)
                fields.Note("name", $"not supported: this is {before.Name}; remove it, and add the other");
            if (fields.Refusal is { } refusal) return KongDraft.Refused(refusal);
            return Checked(await ConfigStore.AllAsync(db), row,
                before with { Enabled = read!.Enabled, Config = read.Config, Tags = read.Tags });
        }
    }

    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        if (await config.FindAsync(ConfigKind.Plugin, request["p"]) is not { } row) return KongAnswer.NoContent;
        if (!await IsUnderAsync(request, row)) return KongAnswer.NotFound();
        await database.WriteAsync(db => ConfigStore.DeleteAsync(db, row));
        await news.ConfigAsync();
        return KongAnswer.NoContent;
    }

    internal async Task<PluginSurroundings> SurroundingsAsync(DbConnection db) =>
        new((await ConfigStore.OfKindAsync(db, ConfigKind.Plan)).Select(p => p.Name).ToHashSet(), redis());

    private async Task<KongDraft> DraftAsync(DbConnection db, KongRequest request, KongFields fields, ConfigRow? row)
    {
        var nested = PluginScope.Of(request);
        // what was read under a path may be put back there as it is
        if (fields.Stored is not null && nested is not null && await PluginScope.IdAsync(db, nested) is { } within)
            fields.Drop(nested.Field, new JsonObject { ["id"] = KongEntity.UuidOf(within) });
        var plugin = Read(fields, await SurroundingsAsync(db), out var scope, nested);
        if (fields.Refusal is { } refusal) return KongDraft.Refused(refusal);
        if (scope is not null)
        {
            var (on, refused) = await PluginScope.OnAsync(db, plugin!, scope);
            if (refused is not null) return KongDraft.Refused(refused);
            if (on is null)
                return KongDraft.Refused(nested is null ? scope.NotFound(PluginScope.ListOf(scope)) : KongAnswer.NotFound());
            plugin = on;
        }

        return Checked(await ConfigStore.AllAsync(db), row, plugin!);
    }

    /// <summary>What it may be beside.</summary>
    private static KongDraft Checked(IReadOnlyList<ConfigRow> all, ConfigRow? row, KongPlugin plugin)
    {
        var others = all.Where(r => r.Id != row?.Id).ToArray();
        if (others.Where(r => r.Kind == ConfigKind.Plugin).Select(KongJson.Read<KongPlugin>)
            .Any(p => (p.Name, p.Scope) == (plugin.Name, plugin.Scope)))
            return KongDraft.Refused(KongAnswer.Taken(ScopesOf(plugin)));
        return (TwoCredentials.FaultOf(others, plugin) ?? TwoLimits(others, plugin)) is { } fault
            ? KongDraft.Refused(KongAnswer.SchemaViolation(new JsonObject { ["name"] = fault }))
            : new KongDraft(null, KongJson.Write(plugin));
    }

    /// <summary>Checks everything that can be checked without the store; faults are noted in the fields.</summary>
    /// <param name="nested">The scope that the path names; else the body has to.</param>
    internal static KongPlugin? Read(
        KongFields fields, PluginSurroundings at, out KongReference? scope, KongReference? nested)
    {
        var name = fields.Text("name", required: true, most: 128);
        var enabled = fields.Flag("enabled") ?? true;
        var tags = fields.Tags();
        var service = fields.Reference("service");
        var route = fields.Reference("route");
        var group = fields.Reference("consumer_group");
        fields.Only("protocols", "a plugin works for http and https alike; leave it out",
            "http", "https", "grpc", "grpcs");
        fields.None("plugins have no names and no order of their own in this version", "instance_name", "ordering");
        fields.GivenByServer("id", "created_at", "updated_at");
        var consumer = fields.Reference(PluginScope.Consumer, by: "username");
        scope = nested ?? service ?? route ?? group ?? consumer;
        if (nested is not null && fields.Has(nested.Field))
            fields.Note(nested.Field, "the path names it already; leave it out");
        if (name is not null && PluginSchema.Find(name) is null)
            fields.Note("name", $"plugin '{KongText.Shown(name)}' not enabled; add it to the 'plugins' configuration " +
                $"property (supported here: {string.Join(", ", PluginSchema.Names)})" +
                (PluginSchema.InsteadOf(name) is { } instead ? "; " + instead : ""));
        if (name is null || PluginSchema.Find(name) is not { } schema)
        {
            fields.Skip("config");
            return null;
        }

        CheckScope(fields, schema, [nested, service, route, group, consumer]);
        var config = schema.Complete(fields, at);
        return new KongPlugin
        {
            Name = name,
            Enabled = enabled,
            Config = JsonSerializer.SerializeToElement(config),
            Tags = tags,
        };
    }

    /// <summary>Both are limits of the group's plan, or of the consumer, and Kong would take one of them.</summary>
    private static string? TwoLimits(IReadOnlyList<ConfigRow> rows, KongPlugin added)
    {
        var other = added.Name switch
        {
            KongPlugin.RateLimiting => KongPlugin.RateLimitingAdvanced,
            KongPlugin.RateLimitingAdvanced => KongPlugin.RateLimiting,
            _ => null,
        };
        return other is not null && rows.Where(r => r.Kind == ConfigKind.Plugin).Select(KongJson.Read<KongPlugin>)
            .Any(p => p.Name == other && p.Scope == added.Scope)
            ? $"not supported: together with {other}, which is on this {(added.Consumer is null ? "group" : "consumer")} already; give " +
                "all limits in one of them" : null;
    }

    /// <summary>A plugin works at one scope; where it would do nothing, it is refused.</summary>
    private static void CheckScope(KongFields fields, PluginSchema schema, IEnumerable<KongReference?> scopes)
    {
        var given = scopes.OfType<KongReference>().ToArray();
        if (given.Length == 0 && !schema.Scopes.Contains(PluginScope.Everywhere) && !schema.Scopes.Any(fields.Has))
            fields.Note(schema.Scopes[0], "required field missing: " + schema.Where);
        foreach (var wrong in given.Where(s => !schema.Scopes.Contains(s.Field))) fields.Note(wrong.Field, schema.Where);
        foreach (var more in given.Skip(1).Where(s => schema.Scopes.Contains(s.Field) && s.Field != given[0].Field))
            fields.Note(more.Field, $"not supported: a plugin is on one thing, and this one is on a {given[0].Field} already");
    }

    private static async Task<bool> IsUnderAsync(DbConnection db, KongRequest request, ConfigRow row) =>
        PluginScope.Of(request) is not { } scope
        || await PluginScope.IdAsync(db, scope) is { } target && KongJson.Read<KongPlugin>(row).Scope == target;

    private Task<bool> IsUnderAsync(KongRequest request, ConfigRow row) => database.ReadAsync(db => IsUnderAsync(db, request, row));

    /// <summary>What makes a plugin the only one of its kind, as Kong names it.</summary>
    private static JsonObject ScopesOf(KongPlugin plugin) => new()
    {
        ["consumer"] = plugin.Consumer is { } id ? new JsonObject { ["id"] = KongEntity.UuidOf<Consumer>(id) } : null,
        ["consumer_group"] = KongEntity.Reference(plugin.ConsumerGroup),
        ["name"] = plugin.Name,
        ["route"] = KongEntity.Reference(plugin.Route),
        ["service"] = KongEntity.Reference(plugin.Service),
    };

    private static JsonObject Write(ConfigRow row)
    {
        var plugin = KongJson.Read<KongPlugin>(row);
        var entity = KongEntity.Of(row, named: false);
        foreach (var (name, value) in ScopesOf(plugin)) entity[name] = value?.DeepClone();
        entity["config"] = JsonObject.Create(plugin.Config);
        entity["enabled"] = plugin.Enabled;
        entity["protocols"] = KongEntity.List(["http", "https"]);
        entity["tags"] = KongEntity.List(plugin.Tags);
        return entity.Dated(row);
    }
}
