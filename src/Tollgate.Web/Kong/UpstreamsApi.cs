using System.Data.Common;
using System.Text.Json.Nodes;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Kong's upstreams and their targets: servers under a name that services have as their host.</summary>
internal sealed class UpstreamsApi(Database database, ConfigStore config, KongNews news)
{
    private readonly KongObjects _objects = new(database, config, news, ConfigKind.Upstream, Write);
    private readonly KongObjects _targets = new(database, config, news, ConfigKind.Target, WriteTarget);

    public Task<KongAnswer> AddAsync(KongRequest request, KongFields fields) => _objects.AddAsync(fields, DraftAsync);

    public Task<KongAnswer> PutAsync(KongRequest request, KongFields fields) => _objects.PutAsync(request["u"], fields, DraftAsync);

    public Task<KongAnswer> ChangeAsync(KongRequest request, KongFields sent) => _objects.ChangeAsync(
        db => ConfigStore.FindAsync(db, ConfigKind.Upstream, request["u"]), sent, DraftAsync, entity =>
        {
            // there is one interval under two names: the one that is sent is meant
            if (entity["healthchecks"]?["active"] is not { } active) return;
            var other = sent.Sends("healthchecks", "active", "unhealthy", "interval") ? "healthy" : "unhealthy";
            active[other]!.AsObject().Remove("interval");
        });

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page) =>
        page.Of(await config.OfKindAsync(ConfigKind.Upstream), Write);

    public async Task<KongAnswer> GetAsync(KongRequest request) =>
        await config.FindAsync(ConfigKind.Upstream, request["u"]) is { } row ? KongAnswer.Ok(Write(row)) : KongAnswer.NotFound();

    /// <summary>Removes an upstream with its targets. A service that names it then goes to the host of that name.</summary>
    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        await database.WriteAsync(async db =>
        {
            if (await ConfigStore.FindAsync(db, ConfigKind.Upstream, request["u"]) is not { } row) return;
            foreach (var target in (await ConfigStore.AllAsync(db)).Where(t => IsOf(t, row))) await ConfigStore.DeleteAsync(db, target);
            await ConfigStore.DeleteAsync(db, row);
        });
        await news.ConfigAsync();
        return KongAnswer.NoContent;
    }

    public Task<KongAnswer> AddTargetAsync(KongRequest request, KongFields fields) =>
        _targets.AddAsync(fields, (db, read, row) => DraftTargetAsync(db, request, read, row));

    /// <summary>Under its address, or under an id.</summary>
    public Task<KongAnswer> PutTargetAsync(KongRequest request, KongFields fields)
    {
        var at = request["t"];
        if (!Guid.TryParseExact(at, "D", out _)) fields.NamedBy("target", at);
        return _targets.PutAsync(at, fields, (db, read, row) => DraftTargetAsync(db, request, read, row), named: "target",
            find: async db => await FindTargetAsync(db, request) ?? await ConfigStore.FindAsync(db, ConfigKind.Target, at));
    }

    public Task<KongAnswer> ChangeTargetAsync(KongRequest request, KongFields sent) => _targets.ChangeAsync(
        db => FindTargetAsync(db, request), sent, (db, fields, row) => DraftTargetAsync(db, request, fields, row));

    public async Task<KongAnswer> ListTargetsAsync(KongRequest request, KongPage page)
    {
        if (await config.FindAsync(ConfigKind.Upstream, request["u"]) is not { } upstream) return KongAnswer.NotFound();
        return page.Of((await config.OfKindAsync(ConfigKind.Target)).Where(t => IsOf(t, upstream)), WriteTarget);
    }

    public async Task<KongAnswer> GetTargetAsync(KongRequest request) =>
        await FindTargetAsync(request) is { } row ? KongAnswer.Ok(WriteTarget(row)) : KongAnswer.NotFound();

    public async Task<KongAnswer> DeleteTargetAsync(KongRequest request)
    {
        if (await FindTargetAsync(request) is not { } row) return KongAnswer.NoContent;
        await database.WriteAsync(db => ConfigStore.DeleteAsync(db, row));
        await news.ConfigAsync();
        return KongAnswer.NoContent;
    }

    private Task<ConfigRow?> FindTargetAsync(KongRequest request) => database.ReadAsync(db => FindTargetAsync(db, request));

    private static async Task<ConfigRow?> FindTargetAsync(DbConnection db, KongRequest request)
    {
        if (await ConfigStore.FindAsync(db, ConfigKind.Upstream, request["u"]) is not { } upstream) return null;
        var address = AddressOf(request["t"]);
        return (await ConfigStore.OfKindAsync(db, ConfigKind.Target)).Where(t => IsOf(t, upstream)).FirstOrDefault(
            t => t.Id == ConfigStore.HexOf(request["t"]) || KongJson.Read<KongTarget>(t).Target == address);
    }

    private static async Task<KongDraft> DraftAsync(DbConnection db, KongFields fields, ConfigRow? row)
    {
        var name = fields.Name(required: true);
        var upstream = Read(fields);
        if (fields.Refusal is { } refusal) return KongDraft.Refused(refusal);
        return await ConfigStore.FindAsync(db, ConfigKind.Upstream, name!) is { } other && other.Id != row?.Id
            ? KongDraft.Refused(KongAnswer.Taken(new JsonObject { ["name"] = name }))
            : new KongDraft(name, KongJson.Write(upstream));
    }

    private static async Task<KongDraft> DraftTargetAsync(DbConnection db, KongRequest request, KongFields fields, ConfigRow? row)
    {
        var upstream = await ConfigStore.FindAsync(db, ConfigKind.Upstream, request["u"]);
        // what was read may be put back as it is
        if (fields.Stored is not null) fields.Drop("upstream", KongEntity.Reference(upstream?.Id));
        var text = fields.Text("target", required: true, most: 261);
        var weight = fields.Integer("weight", 0, UpstreamTarget.MostWeight) ?? UpstreamTarget.MostWeight;
        var tags = fields.Tags();
        fields.GivenByServer("id", "created_at", "updated_at");
        fields.None("the path names it already", "upstream");
        var address = text is null ? null : AddressOf(text);
        if (text is not null && address is null)
            fields.Note("target", "invalid target; expected a host or an address, and a port: 'HOST:PORT'");
        if (fields.Refusal is { } refusal) return KongDraft.Refused(refusal);
        if (upstream is null || (row is not null && !IsOf(row, upstream))) return KongDraft.Refused(KongAnswer.NotFound());
        var same = (await ConfigStore.AllAsync(db)).Where(t => IsOf(t, upstream) && t.Id != row?.Id).ToArray();
        if (same.Any(t => KongJson.Read<KongTarget>(t).Target == address))
            return KongDraft.Refused(KongAnswer.Taken(
                new JsonObject { ["target"] = address, ["upstream"] = KongEntity.Reference(upstream.Id) }));
        return same.Length >= UpstreamTarget.MostTargets
            ? KongDraft.Refused(KongAnswer.SchemaViolation(new JsonObject
            {
                ["target"] = $"an upstream has at most {UpstreamTarget.MostTargets} targets",
            }))
            : new KongDraft(null, KongJson.Write(new KongTarget(upstream.Id, address!, (int)weight) { Tags = tags }));
    }

    internal static KongUpstream Read(KongFields fields)
    {
        var algorithm = fields.OneOf("algorithm", "round-robin", "least-connections");
        var tags = fields.Tags();
        fields.Only("slots", "servers are chosen by weight without slots; leave it out", "10000");
        fields.None("servers are chosen without looking at the call", "hash_on", "hash_fallback", "hash_on_header",
            "hash_fallback_header", "hash_on_cookie", "hash_on_cookie_path", "hash_on_query_arg", "hash_on_uri_capture",
            "hash_fallback_query_arg", "hash_fallback_uri_capture");
        fields.None("not in this version", "host_header", "client_certificate", "use_srv_name", "sticky_sessions_cookie");
        fields.GivenByServer("id", "created_at", "updated_at");
        return new KongUpstream
        {
            Balancing = algorithm == "least-connections" ? LoadBalancing.LeastRequests : LoadBalancing.Weighted,
            Health = fields.Has("healthchecks") || fields.Shape is not null ? ReadHealth(fields.Record("healthchecks")) : null,
            Tags = tags,
        };
    }

    private static HealthCheck? ReadHealth(KongFields checks)
    {
        checks.None("what calls say is counted anyway: five failures in a row leave a server out for 10 s", "passive");
        checks.None("with all servers out, all are asked", "threshold");
        if (!checks.Has("active") && checks.Shape is null) return null;
        var active = checks.Record("active");
        active.Only("type", "http and https are asked as the service is", "http", "https");
        active.Only("concurrency", "servers are asked side by side; leave it out", "10");
        active.None("not in this version", "https_sni", "https_verify_certificate", "headers");
        var path = active.Text("http_path") ?? "/";
        if (path[0] != '/' || path.Any(c => c is <= ' ' or > '~' or '#')) active.Note("http_path", "should start with: /");
        var timeout = active.Integer("timeout", 1, 3_600) ?? 1;
        var (healthy, unhealthy) = (active.Record("healthy"), active.Record("unhealthy"));
        var interval = healthy.Integer("interval", 1, 3_600);
        var other = unhealthy.Integer("interval", 1, 3_600);
        if (interval is null && other is null) healthy.Note("interval", "required here: how often a server is asked, in seconds");
        if (interval is not null && other is not null && interval != other)
            unhealthy.Note("interval", "not supported: one of its own; a server is asked at one pace");
        foreach (var record in (KongFields[])[healthy, unhealthy])
            record.None("200 to 399 is well, everything else is not", "http_statuses");
        unhealthy.None("failures of every kind count together, as http_failures", "tcp_failures", "timeouts");
        return new HealthCheck
        {
            Path = path,
            Timeout = (int)timeout * 1_000,
            Interval = (int)(interval ?? other ?? 10) * 1_000,
            Healthy = (int)(healthy.Integer("successes", 1, 100) ?? 2),
            Unhealthy = (int)(unhealthy.Integer("http_failures", 1, 100) ?? 3),
        };
    }

    /// <summary>Host and port; Kong's port is 8000 where none is said.</summary>
    private static string? AddressOf(string text)
    {
        var withPort = text.Contains(':') ? text : text + ":8000";
        return Uri.TryCreate("http://" + withPort, UriKind.Absolute, out var uri) && uri.PathAndQuery == "/"
            && uri.UserInfo.Length == 0 && uri.Fragment.Length == 0 && uri.Port > 0
            && uri.HostNameType != UriHostNameType.Unknown && !withPort.EndsWith('/')
            ? uri.GetComponents(UriComponents.HostAndPort | UriComponents.StrongPort, UriFormat.UriEscaped) : null;
    }

    private static bool IsOf(ConfigRow target, ConfigRow upstream) =>
        target.Kind == ConfigKind.Target && KongJson.Read<KongTarget>(target).Upstream == upstream.Id;

    internal static JsonObject Write(ConfigRow row)
    {
        var upstream = KongJson.Read<KongUpstream>(row);
        var entity = KongEntity.Of(row);
        entity["algorithm"] = upstream.Balancing == LoadBalancing.LeastRequests ? "least-connections" : "round-robin";
        if (upstream.Health is { } health)
        {
            entity["healthchecks"] = new JsonObject
            {
                ["active"] = new JsonObject
                {
                    ["http_path"] = health.Path,
                    ["timeout"] = health.Timeout / 1_000,
                    ["healthy"] = new JsonObject { ["interval"] = health.Interval / 1_000, ["successes"] = health.Healthy },
                    ["unhealthy"] = new JsonObject { ["interval"] = health.Interval / 1_000, ["http_failures"] = health.Unhealthy },
                },
            };
        }

        entity["tags"] = KongEntity.List(upstream.Tags);
        return entity.Dated(row);
    }

    private static JsonObject WriteTarget(ConfigRow row)
    {
        var target = KongJson.Read<KongTarget>(row);
        var entity = KongEntity.Of(row, named: false);
        entity["target"] = target.Target;
        entity["weight"] = target.Weight;
        entity["upstream"] = KongEntity.Reference(target.Upstream);
        entity["tags"] = KongEntity.List(target.Tags);
        return entity.Dated(row);
    }
}
