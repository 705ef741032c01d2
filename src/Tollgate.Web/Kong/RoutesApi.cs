using System.Data.Common;
using System.Text.Json.Nodes;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Kong's routes: the paths that lead to a service, flat or under it.</summary>
internal sealed class RoutesApi(Database database, ConfigStore config, KongNews news)
{
    private readonly KongObjects _objects = new(database, config, news, ConfigKind.Route, Write);

    public Task<KongAnswer> AddAsync(KongRequest request, KongFields fields) =>
        _objects.AddAsync(fields, (db, read, row) => DraftAsync(db, request, read, row));

    public Task<KongAnswer> PutAsync(KongRequest request, KongFields fields) =>
        _objects.PutAsync(request["r"], fields, async (db, read, row) => row is not null && !await IsUnderAsync(db, request, row)
            ? KongDraft.Refused(KongAnswer.NotFound()) : await DraftAsync(db, request, read, row));

    public Task<KongAnswer> ChangeAsync(KongRequest request, KongFields sent)
    {
        var hosted = false;
        return _objects.ChangeAsync(async db => await ConfigStore.FindAsync(db, ConfigKind.Route, request["r"]) is { } row
            && await IsUnderAsync(db, request, row) ? row : null, sent, ReadAsync,
            entity => hosted = entity["hosts"] is not null, "service");

        Task<KongDraft> ReadAsync(DbConnection db, KongFields fields, ConfigRow? row)
        {
            // its path was perhaps there only because its hosts were
            if (hosted && !fields.Has("hosts") && !sent.Sends("paths"))
                fields.Note("paths", "required field missing: without hosts, say which paths");
            return DraftAsync(db, request, fields, row);
        }
    }

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page)
    {
        var rows = await config.OfKindAsync(ConfigKind.Route);
        if (!request.Has("s")) return page.Of(rows, Write);
        return await config.FindAsync(ConfigKind.Service, request["s"]) is { } service
            ? page.Of(rows.Where(r => KongJson.Read<KongRoute>(r).Service == service.Id), Write)
            : KongAnswer.NotFound();
    }

    public async Task<KongAnswer> GetAsync(KongRequest request) =>
        await config.FindAsync(ConfigKind.Route, request["r"]) is { } row && await IsUnderAsync(request, row)
            ? KongAnswer.Ok(Write(row)) : KongAnswer.NotFound();

    /// <summary>Removes a route with its plugins.</summary>
    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        if (await config.FindAsync(ConfigKind.Route, request["r"]) is not { } row) return KongAnswer.NoContent;
        if (!await IsUnderAsync(request, row)) return KongAnswer.NotFound();
        await database.WriteAsync(async db =>
        {
            foreach (var plugin in await ConfigStore.AllAsync(db))
                if (plugin.Kind == ConfigKind.Plugin && KongJson.Read<KongPlugin>(plugin).Route == row.Id)
                    await ConfigStore.DeleteAsync(db, plugin);
            await ConfigStore.DeleteAsync(db, row);
        });
        await news.ConfigAsync();
        return KongAnswer.NoContent;
    }

    /// <summary>A route that is named in its service's path belongs to that service.</summary>
    private static async Task<bool> IsUnderAsync(DbConnection db, KongRequest request, ConfigRow row) => !request.Has("s")
        || (await ConfigStore.FindAsync(db, ConfigKind.Service, request["s"]))?.Id == KongJson.Read<KongRoute>(row).Service;

    private Task<bool> IsUnderAsync(KongRequest request, ConfigRow row) => database.ReadAsync(db => IsUnderAsync(db, request, row));

    private static async Task<KongDraft> DraftAsync(DbConnection db, KongRequest request, KongFields fields, ConfigRow? row)
    {
        var nested = request.Has("s");
        var reference = fields.Reference("service");
        if (!nested && !fields.Has("service")) fields.Note("service", "required field missing");
        var route = Read(fields);
        if (fields.Refusal is { } refusal) return KongDraft.Refused(refusal);
        var service = await ConfigStore.FindAsync(db, ConfigKind.Service, nested ? request["s"] : reference!.Value);
        if (service is null) return KongDraft.Refused(nested ? KongAnswer.NotFound() : reference!.NotFound("services"));
        if (nested && reference is not null
            && (await ConfigStore.FindAsync(db, ConfigKind.Service, reference.Value))?.Id != service.Id)
            return KongDraft.Refused(KongAnswer.SchemaViolation(new JsonObject { ["service"] = "value must be that of the path" }));
        var stored = route with { Service = service.Id };
        var all = await ConfigStore.AllAsync(db);
        if (Taken(all.Where(r => r.Id != row?.Id), stored) is { } taken) return KongDraft.Refused(taken);
        var document = KongJson.Write(stored);
        // its plugins move with it, to where there may be one beside which they cannot be
        var moved = all.Select(r => r.Id == row?.Id ? r with { Document = document } : r).ToArray();
        if (row is not null && moved.Where(r => r.Kind == ConfigKind.Plugin).Select(KongJson.Read<KongPlugin>).Where(p => p.Route == row.Id)
            .Select(p => TwoCredentials.FaultOf(moved, p)).FirstOrDefault(f => f is not null) is { } fault)
            return KongDraft.Refused(KongAnswer.SchemaViolation(new JsonObject { ["service"] = fault }));
        return new KongDraft(route.Name, document);
    }

    /// <summary>A name is given once; without a name, the same paths and methods are the same route.</summary>
    private static KongAnswer? Taken(IEnumerable<ConfigRow> all, KongRoute route)
    {
        var routes = all.Where(r => r.Kind == ConfigKind.Route);
        if (route.Name is { } name)
            return routes.Any(r => r.Name == name || r.Id == ConfigStore.HexOf(name))
                ? KongAnswer.Taken(new JsonObject { ["name"] = name }) : null;
        var same = routes.Select(KongJson.Read<KongRoute>).Any(r => r.Name is null && r.Service == route.Service
            && r.Paths.ToHashSet().SetEquals(route.Paths)
            && r.Hosts.ToHashSet().SetEquals(route.Hosts)
            && (r.Methods ?? []).ToHashSet().SetEquals(route.Methods ?? []));
        return same ? KongAnswer.Taken(new JsonObject
        {
            ["methods"] = KongEntity.List(route.Methods),
            ["paths"] = KongEntity.List(route.Paths),
            ["service"] = KongEntity.Reference(route.Service),
        }) : null;
    }

    internal static KongRoute Read(KongFields fields)
    {
        var name = fields.Name();
        var paths = fields.Texts("paths", PathRules.FaultOfPath);
        var hosts = fields.Texts("hosts", HostPattern.WrongWith, 64)?.Select(HostPattern.Normal).Distinct().ToArray();
        // as in Kong, hosts alone are enough
        if (hosts is { Length: > 0 } && !fields.Has("paths")) paths = ["/"];
        else if (!fields.Has("paths") || paths is { Count: 0 }) fields.Note("paths", "required field missing");
        if (paths?.FirstOrDefault(p => p.Contains('{') || p.Contains('}')) is not null)
            fields.Note("paths", "not supported: parameters; a path covers all below it");
        var methods = fields.Texts("methods", m => KongText.IsMethod(m) ? null : "expected a method in capitals", 32);
        var strip = fields.Flag("strip_path") ?? true;
        var tags = fields.Tags();
        if (fields.Texts("protocols") is { } protocols && !protocols.Order().SequenceEqual(["http", "https"]))
            fields.Note("protocols", "not supported: a route serves http and https alike; leave it out");
        fields.None("routes are told apart by host, path and method only", "headers", "snis", "sources", "destinations");
        var preserve = fields.Flag("preserve_host") ?? false;
        fields.Only("regex_priority", "the longest path comes first", "0");
        fields.Only("path_handling", "only v0", "v0");
        fields.Only("https_redirect_status_code", "http is never redirected; leave it out", "426");
        fields.Only("request_buffering", "what the upstream gets is streamed; leave it out");
        fields.Only("response_buffering", "what the upstream answers is streamed; leave it out");
        fields.None("the expressions router is not available", "expression", "priority");
        fields.GivenByServer("id", "created_at", "updated_at");
        return new KongRoute
        {
            Name = name,
            Service = "",
            Paths = paths ?? [],
            Methods = methods is { Count: > 0 } ? methods : null,
            Hosts = hosts ?? [],
            StripPath = strip,
            PreserveHost = preserve,
            Tags = tags,
        };
    }

    internal static JsonObject Write(ConfigRow row)
    {
        var route = KongJson.Read<KongRoute>(row);
        var entity = KongEntity.Of(row);
        entity["service"] = KongEntity.Reference(route.Service);
        entity["paths"] = KongEntity.List(route.Paths);
        entity["methods"] = KongEntity.List(route.Methods);
        entity["strip_path"] = route.StripPath;
        entity["preserve_host"] = route.PreserveHost;
        entity["protocols"] = KongEntity.List(["http", "https"]);
        entity["hosts"] = route.Hosts.Count == 0 ? null : KongEntity.List(route.Hosts);
        entity["tags"] = KongEntity.List(route.Tags);
        return entity.Dated(row);
    }
}
