using System.Data.Common;
using System.Text.Json.Nodes;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Kong's services: upstreams; each is an API of Tollgate.</summary>
internal sealed class ServicesApi(Database database, ConfigStore config, KongNews news)
{
    private static readonly string[] s_parts = ["protocol", "host", "port", "path"];
    private static readonly UpstreamTimeouts s_times = new();

    private readonly KongObjects _objects = new(database, config, news, ConfigKind.Service, Write);

    public Task<KongAnswer> AddAsync(KongRequest request, KongFields fields) => _objects.AddAsync(fields, DraftAsync);

    public Task<KongAnswer> PutAsync(KongRequest request, KongFields fields) => _objects.PutAsync(request["s"], fields, DraftAsync);

    public Task<KongAnswer> ChangeAsync(KongRequest request, KongFields sent) => _objects.ChangeAsync(
        db => ConfigStore.FindAsync(db, ConfigKind.Service, request["s"]), sent, DraftAsync, entity =>
        {
            if (sent.Sends("url"))
                foreach (var part in s_parts) entity.Remove(part);
            // the two are one: whoever says one of them says both
            if (sent.Sends("read_timeout")) entity.Remove("write_timeout");
            if (sent.Sends("write_timeout")) entity.Remove("read_timeout");
        });

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page) =>
        page.Of(await config.OfKindAsync(ConfigKind.Service), Write);

    public async Task<KongAnswer> GetAsync(KongRequest request) =>
        await config.FindAsync(ConfigKind.Service, request["s"]) is { } row
            ? KongAnswer.Ok(Write(row)) : KongAnswer.NotFound();

    /// <summary>Removes a service with its plugins, unless routes still lead to it.</summary>
    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        var answer = await database.WriteAsync(async db =>
        {
            if (await ConfigStore.FindAsync(db, ConfigKind.Service, request["s"]) is not { } row)
                return KongAnswer.NoContent;
            var all = await ConfigStore.AllAsync(db);
            if (all.Any(r => r.Kind == ConfigKind.Route && KongJson.Read<KongRoute>(r).Service == row.Id))
                return KongAnswer.InUse("services", "routes");
            foreach (var plugin in all.Where(r => r.Kind == ConfigKind.Plugin
                && KongJson.Read<KongPlugin>(r).Service == row.Id))
                await ConfigStore.DeleteAsync(db, plugin);
            await ConfigStore.DeleteAsync(db, row);
            return KongAnswer.NoContent;
        });
        if (answer.Wrote) await news.ConfigAsync();
        return answer;
    }

    private static async Task<KongDraft> DraftAsync(DbConnection db, KongFields fields, ConfigRow? row)
    {
        var service = Read(fields);
        if (fields.Refusal is { } refusal) return KongDraft.Refused(refusal);
        // an API of the file under the same name would share the usage of its operations
        if (service.Name is { } name && (await ConfigStore.FindAsync(db, ConfigKind.Service, name) is { } other && other.Id != row?.Id
            || await ConfigStore.FindAsync(db, ConfigKind.Api, name) is not null))
            return KongDraft.Refused(KongAnswer.Taken(new JsonObject { ["name"] = name }));
        foreach (var id in service.CaCertificates ?? [])
            if (await ConfigStore.FindAsync(db, ConfigKind.CaCertificate, id) is null)
                return KongDraft.Refused(KongAnswer.NoSuch(
                    "ca_certificates", new JsonObject { ["id"] = Guid.Parse(id).ToString() }, "ca_certificates"));
        return new KongDraft(service.Name, KongJson.Write(service));
    }

    internal static KongService Read(KongFields fields)
    {
        var name = fields.Name();
        var tags = fields.Tags();
        var at = fields.Has("url") ? FromUrl(fields) : FromParts(fields);
        fields.Only("enabled", "a service works until it is deleted", "true");
        var retries = fields.Integer("retries", 0, UpstreamTarget.MostRetries) ?? 0;
        var connect = fields.Integer("connect_timeout", 1, UpstreamTimeouts.Most);
        var read = fields.Integer("read_timeout", 1, UpstreamTimeouts.Most);
        var write = fields.Integer("write_timeout", 1, UpstreamTimeouts.Most);
        if (write != read && write is not null && read is not null)
            fields.Note("write_timeout", "not supported: a time of its own; silence is counted in both directions at once, so " +
                "send the same as read_timeout or leave it out");
        var verify = fields.Flag("tls_verify");
        var authorities = fields.Texts("ca_certificates", id => Guid.TryParseExact(id, "D", out _) ? null : "expected a valid UUID", 20);
        fields.None("the key of a client certificate stands in no database: give the API in the file, with tls.certificate_file",
            "client_certificate");
        fields.None("not in this version", "tls_verify_depth", "tls_sans");
        foreach (var (field, given) in new[] { ("tls_verify", verify is not null), ("ca_certificates", authorities is not null) })
            if (given && at.Protocol != "https") fields.Note(field, "can only be set when the protocol is https");
        if (verify is false && authorities is not null)
            fields.Note("ca_certificates", "with tls_verify=false every certificate is taken, so they mean nothing");
        fields.GivenByServer("id", "created_at", "updated_at");
        return at with
        {
            Name = name,
            Tags = tags,
            Retries = (int)retries,
            TlsVerify = verify,
            CaCertificates = authorities is { Count: > 0 } ? [.. authorities.Select(a => Guid.Parse(a).ToString("N"))] : null,
            ConnectTimeout = connect == s_times.Connect ? null : (int?)connect,
            ReadTimeout = (read ?? write) == s_times.Idle ? null : (int?)(read ?? write),
        };
    }

    private static KongService FromUrl(KongFields fields)
    {
        foreach (var part in s_parts)
            if (fields.Has(part)) fields.Note(part, "expected either url or protocol, host, port and path");
        var text = fields.Text("url");
        if (text is null) return new KongService();
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https")
            || url.Host.Length == 0 || url.Port is < 1 or > 65535)
            fields.Note("url", "expected http:// or https://, a host, and optionally a port and a path");
        else if (url.UserInfo.Length > 0 || url.Query.Length > 0 || url.Fragment.Length > 0)
            fields.Note("url", "a user, a query or a fragment cannot be part of an upstream");
        else if (url.AbsolutePath is var path && path != "/" && PathRules.FaultOfPath(path) is { } fault)
            fields.Note("url", $"its path: {fault}");
        else return new KongService
        {
            Protocol = url.Scheme,
            Host = url.IdnHost,
            Port = url.Port,
            Path = path == "/" ? null : path,
        };
        return new KongService();
    }

    private static KongService FromParts(KongFields fields)
    {
        var protocol = fields.OneOf("protocol", "http", "https") ?? "http";
        var host = fields.Text("host", required: true, most: 255) ?? "localhost";
        if (Uri.CheckHostName(host) == UriHostNameType.Unknown)
            fields.Note("host", "invalid value: expected a host name or an address");
        var port = fields.Integer("port", 1, 65535) ?? 80;
        var path = fields.Text("path");
        if (path is not null and not "/" && PathRules.FaultOfPath(path) is { } fault) fields.Note("path", fault);
        return new KongService { Protocol = protocol, Host = host, Port = (int)port, Path = path is "/" ? null : path };
    }

    internal static JsonObject Write(ConfigRow row)
    {
        var service = KongJson.Read<KongService>(row);
        var entity = KongEntity.Of(row);
        entity["protocol"] = service.Protocol;
        entity["host"] = service.Host;
        entity["port"] = service.Port;
        entity["path"] = service.Path;
        entity["enabled"] = true;
        entity["retries"] = service.Retries;
        entity["connect_timeout"] = service.Timeouts.Connect;
        entity["read_timeout"] = service.Timeouts.Idle;
        entity["write_timeout"] = service.Timeouts.Idle;
        if (service.TlsVerify is { } verify) entity["tls_verify"] = verify;
        if (service.CaCertificates is { } authorities)
            entity["ca_certificates"] = KongEntity.List([.. authorities.Select(a => Guid.ParseExact(a, "N").ToString())]);
        entity["tags"] = KongEntity.List(service.Tags);
        return entity.Dated(row);
    }
}
