using System.Text.Json;
using System.Text.Json.Nodes;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Kong's plugins: whether a key is asked for, which group may call what, and how often.</summary>
internal sealed class PluginsApi(Database database, ConfigStore config, KongNews news)
{
    public async Task<KongAnswer> AddAsync(KongRequest request, KongFields fields)
    {
        var groups = (await config.OfKindAsync(ConfigKind.Plan)).Select(p => p.Name).ToHashSet();
        var read = Read(fields, groups, out var scope, ScopeOf(request));
        if (fields.Refusal is { } refusal) return refusal;
        var answer = await database.WriteAsync(async db =>
        {
            var kind = scope!.Field == "service" ? ConfigKind.Service : ConfigKind.Plan;
            if (await ConfigStore.FindAsync(db, kind, scope.Value) is not { } target)
                return ScopeOf(request) is null ? scope.NotFound(scope.Field + "s") : KongAnswer.NotFound();
            if (kind == ConfigKind.Plan && KongEntity.OtherOwner(target.ManagedBy) is { } owner)
                return KongAnswer.OwnedElsewhere("consumer group", target.Name, owner);
            var plugin = kind == ConfigKind.Plan
                ? read! with { ConsumerGroup = target.Id } : read! with { Service = target.Id };
            var same = (await ConfigStore.AllAsync(db)).Where(r => r.Kind == ConfigKind.Plugin)
                .Select(KongJson.Read<KongPlugin>)
                .Any(p => (p.Name, p.Service, p.ConsumerGroup) == (plugin.Name, plugin.Service, plugin.ConsumerGroup));
            if (same) return KongAnswer.Taken(ScopesOf(plugin));
            var row = await config.AddAsync(db, ConfigKind.Plugin, null, ManagedBy.Kong, KongJson.Write(plugin));
            return KongAnswer.Created(Write(row!));
        });
        if (answer.Wrote) await news.ConfigAsync();
        return answer;
    }

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page)
    {
        var rows = await config.OfKindAsync(ConfigKind.Plugin);
        if (ScopeOf(request) is not { } scope) return page.Of(rows, Write);
        var kind = scope.Field == "service" ? ConfigKind.Service : ConfigKind.Plan;
        return await config.FindAsync(kind, scope.Value) is { } target
            ? page.Of(rows.Where(r => IsOn(r, target)), Write)
            : KongAnswer.NotFound();
    }

    public async Task<KongAnswer> GetAsync(KongRequest request) =>
        await config.FindAsync(ConfigKind.Plugin, request["p"]) is { } row && await IsUnderAsync(request, row)
            ? KongAnswer.Ok(Write(row)) : KongAnswer.NotFound();

    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        if (await config.FindAsync(ConfigKind.Plugin, request["p"]) is not { } row) return KongAnswer.NoContent;
        if (!await IsUnderAsync(request, row)) return KongAnswer.NotFound();
        await database.WriteAsync(db => ConfigStore.DeleteAsync(db, row));
        await news.ConfigAsync();
        return KongAnswer.NoContent;
    }

    /// <summary>Checks everything that can be checked without the store; faults are noted in the fields.</summary>
    /// <param name="nested">The scope that the path names; else the body has to.</param>
    private static KongPlugin? Read(
        KongFields fields, IReadOnlySet<string> groups, out KongReference? scope, KongReference? nested)
    {
        var name = fields.Text("name", required: true, most: 128);
        var enabled = fields.Flag("enabled") ?? true;
        var tags = fields.Tags();
        var service = fields.Reference("service");
        var group = fields.Reference("consumer_group");
        fields.Only("protocols", "a plugin works for http and https alike; leave it out",
            "http", "https", "grpc", "grpcs");
        fields.None("plugins have no names and no order of their own in this version", "instance_name", "ordering");
        fields.None("ids and instants are given by the server", "id", "created_at", "updated_at");
        foreach (var other in (string[])["route", "consumer"])
            if (fields.Has(other)) fields.Note(other, $"not supported: no plugin works on a {other} in this version");
        scope = nested ?? service ?? group;
        if (nested is not null && fields.Has(nested.Field))
            fields.Note(nested.Field, "the path names it already; leave it out");
        if (name is not null && PluginSchema.Find(name) is null)
            fields.Note("name", $"plugin '{KongText.Shown(name)}' not enabled; add it to the 'plugins' configuration " +
                $"property (supported here: {string.Join(", ", PluginSchema.Names)})");
        if (name is null || PluginSchema.Find(name) is not { } schema)
        {
            fields.Skip("config");
            return null;
        }

        CheckScope(fields, schema, [nested, service, group]);
        var config = schema.Complete(fields, groups);
        return new KongPlugin
        {
            Name = name,
            Enabled = enabled,
            Config = JsonSerializer.SerializeToElement(config),
            Tags = tags,
        };
    }

    /// <summary>A plugin works at one scope; where it would do nothing, it is refused.</summary>
    private static void CheckScope(KongFields fields, PluginSchema schema, IEnumerable<KongReference?> scopes)
    {
        var given = scopes.OfType<KongReference>().ToArray();
        var where = $"{schema.Name} works on a {schema.Scope.Replace('_', ' ')} in this version: POST {schema.Path}";
        if (given.Length == 0 && !fields.Has(schema.Scope))
            fields.Note(schema.Scope, "required field missing: " + where);
        foreach (var wrong in given.Where(s => s.Field != schema.Scope)) fields.Note(wrong.Field, where);
    }

    private static KongReference? ScopeOf(KongRequest request) =>
        request.Has("s") ? new KongReference("service", "name", request["s"])
        : request.Has("g") ? new KongReference("consumer_group", "name", request["g"])
        : null;

    private async Task<bool> IsUnderAsync(KongRequest request, ConfigRow row)
    {
        if (ScopeOf(request) is not { } scope) return true;
        var kind = scope.Field == "service" ? ConfigKind.Service : ConfigKind.Plan;
        return await config.FindAsync(kind, scope.Value) is { } target && IsOn(row, target);
    }

    private static bool IsOn(ConfigRow row, ConfigRow target)
    {
        var plugin = KongJson.Read<KongPlugin>(row);
        return (target.Kind == ConfigKind.Service ? plugin.Service : plugin.ConsumerGroup) == target.Id;
    }

    /// <summary>What makes a plugin the only one of its kind, as Kong names it.</summary>
    private static JsonObject ScopesOf(KongPlugin plugin) => new()
    {
        ["consumer"] = null,
        ["consumer_group"] = KongEntity.Reference(plugin.ConsumerGroup),
        ["name"] = plugin.Name,
        ["route"] = null,
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
