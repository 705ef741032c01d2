using System.Text.Json.Nodes;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Kong's routes: the paths that lead to a service, flat or under it.</summary>
internal sealed class RoutesApi(Database database, ConfigStore config, KongNews news)
{
    public async Task<KongAnswer> AddAsync(KongRequest request, KongFields fields)
    {
        var nested = request.Has("s");
        var reference = fields.Reference("service");
        if (!nested && !fields.Has("service")) fields.Note("service", "required field missing");
        var route = Read(fields);
        if (fields.Refusal is { } refusal) return refusal;
        var answer = await database.WriteAsync(async db =>
        {
            var service = await ConfigStore.FindAsync(
                db, ConfigKind.Service, nested ? request["s"] : reference!.Value);
            if (service is null) return nested ? KongAnswer.NotFound() : reference!.NotFound("services");
            if (nested && reference is not null
                && (await ConfigStore.FindAsync(db, ConfigKind.Service, reference.Value))?.Id != service.Id)
                return KongAnswer.SchemaViolation(new JsonObject { ["service"] = "value must be that of the path" });
            var stored = route with { Service = service.Id };
            if (Taken(await ConfigStore.AllAsync(db), stored) is { } taken) return taken;
            var row = await config.AddAsync(db, ConfigKind.Route, route.Name, ManagedBy.Kong, KongJson.Write(stored));
            return row is null
                ? KongAnswer.Taken(new JsonObject { ["name"] = route.Name })
                : KongAnswer.Created(Write(row));
        });
        if (answer.Wrote) await news.ConfigAsync();
        return answer;
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
    private async Task<bool> IsUnderAsync(KongRequest request, ConfigRow row) => !request.Has("s")
        || (await config.FindAsync(ConfigKind.Service, request["s"]))?.Id == KongJson.Read<KongRoute>(row).Service;

    /// <summary>A name is given once; without a name, the same paths and methods are the same route.</summary>
    private static KongAnswer? Taken(IReadOnlyList<ConfigRow> all, KongRoute route)
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

    private static KongRoute Read(KongFields fields)
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
        fields.None("ids and instants are given by the server", "id", "created_at", "updated_at");
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

    private static JsonObject Write(ConfigRow row)
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
