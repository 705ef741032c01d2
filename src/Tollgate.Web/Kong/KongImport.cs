using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Tollgate.Web.Kong;

/// <summary>What a file of Kong's says and is not so here.</summary>
/// <param name="Place">As <c>services[0].routes[1].plugins[0]</c>.</param>
/// <param name="Field">Below it; empty for all of it.</param>
/// <param name="Refused">True: it cannot be taken over. False: it is, and differs as is said.</param>
internal sealed record KongDifference(string Place, string Field, string Detail, bool Refused);

/// <summary>
/// Reads Kong's declarative file (<c>_format_version</c> 1.1, 2.1, 3.0) as the calls that would make the same, in an order in
/// which each finds what it refers to. Runs inside of one transaction; whoever calls it rolls it back when something is refused.
/// </summary>
internal sealed class KongImport(KongResources all)
{
    public const int MostEntities = 2_000;

    private delegate Task<KongAnswer> Adding(KongRequest request, KongFields fields);

    private static readonly string[] s_kinds =
        ["_format_version", "ca_certificates", "upstreams", "consumer_groups", "services", "routes", "consumers", "plugins"];

    private static readonly string[] s_references = ["service", "route", "consumer", "consumer_group"];

    private readonly Dictionary<string, string> _ids = new(StringComparer.Ordinal);

    // what stands in for things that were refused, and what is below it
    private readonly HashSet<string> _refused = new(StringComparer.Ordinal);
    private int _entities;
    private int _standIns;

    public List<KongDifference> Differences { get; } = [];

    /// <summary>How many of each kind were added.</summary>
    public SortedDictionary<string, int> Added { get; } = new(StringComparer.Ordinal);

    /// <summary>What was added, by kind, as a POST of it is answered.</summary>
    public SortedDictionary<string, List<JsonObject>> Entities { get; } = new(StringComparer.Ordinal);

    public async Task RunAsync(JsonObject file)
    {
        var version = (file["_format_version"] as JsonValue)?.ToString();
        if (version is not ("1.1" or "2.1" or "3.0"))
            Differ("", "_format_version", "must be \"1.1\", \"2.1\" or \"3.0\"");
        foreach (var name in file.Select(f => f.Key).Except(s_kinds).Where(n => n is not ("_info" or "_comment" or "_transform")))
            Differ(name, "", "not supported: there is no such thing here; leave it out");
        await EachAsync(file, "", "ca_certificates", (item, place) => AddAsync(item, place, "ca_certificates", all.Authorities.AddAsync));
        await EachAsync(file, "", "upstreams", UpstreamAsync);
        await EachAsync(file, "", "consumer_groups", GroupAsync);
        await EachAsync(file, "", "services", ServiceAsync);
        await EachAsync(file, "", "routes", (item, place) => RouteAsync(item, place, null));
        await EachAsync(file, "", "consumers", ConsumerAsync);
        await EachAsync(file, "", "plugins", (item, place) => AddAsync(item, place, "plugins", all.Plugins.AddAsync));
        foreach (var plugins in _later) await plugins();
    }

    // an endpoint_map names groups, and their plugins come with them: plugins are added when everything else is there
    private readonly List<Func<Task>> _later = [];

    private async Task UpstreamAsync(JsonObject item, string place)
    {
        var targets = Taken(item, "targets");
        if (await AddAsync(item, place, "upstreams", all.Upstreams.AddAsync) is { } id)
            await EachAsync(targets, place, "targets", (t, p) => AddAsync(t, p, "targets", all.Upstreams.AddTargetAsync, ("u", id)));
    }

    private async Task GroupAsync(JsonObject item, string place)
    {
        var (plugins, members) = (Taken(item, "plugins"), Taken(item, "consumers"));
        if (await AddParentAsync(item, place, "consumer_groups", "name", [], all.Groups.AddAsync) is not { } id) return;
        Plugins(plugins, place, ("g", id));
        _later.Add(() => EachAsync(members, place, "consumers", (m, p) => AddAsync(
            new JsonObject { ["consumer"] = (m["username"] ?? m["custom_id"] ?? m["name"])?.DeepClone() }, p, "memberships",
            all.Members.AddConsumerAsync, ("g", id))));
    }

    private async Task ServiceAsync(JsonObject item, string place)
    {
        var (plugins, routes) = (Taken(item, "plugins"), Taken(item, "routes"));
        var least = new JsonObject { ["url"] = "http://127.0.0.1:1" };
        if (await AddParentAsync(item, place, "services", "name", least, all.Services.AddAsync) is not { } id) return;
        await EachAsync(routes, place, "routes", (r, p) => RouteAsync(r, p, id));
        Plugins(plugins, place, ("s", id));
    }

    private async Task RouteAsync(JsonObject item, string place, string? service)
    {
        var plugins = Taken(item, "plugins");
        (string, string)[] within = service is null ? [] : [("s", service)];
        var least = new JsonObject { ["paths"] = new JsonArray($"/stand-in/{_standIns}") };
        if (service is null) least["service"] = item["service"]?.DeepClone();
        if (await AddParentAsync(item, place, "routes", "name", least, all.Routes.AddAsync, within) is { } id)
            Plugins(plugins, place, ("r", id));
    }

    private async Task ConsumerAsync(JsonObject item, string place)
    {
        var (groups, plugins) = (Taken(item, "groups"), Taken(item, "plugins"));
        var (keys, signers, access) = (Taken(item, "keyauth_credentials"), Taken(item, "jwt_secrets"), Taken(item, "acls"));
        if (await AddParentAsync(item, place, "consumers", "username", [], all.Consumers.AddAsync) is not { } id) return;
        await EachAsync(keys, place, "keyauth_credentials", (k, p) => AddAsync(k, p, "key-auths", all.Keys.AddAsync, ("c", id)));
        await EachAsync(signers, place, "jwt_secrets", (j, p) => AddAsync(j, p, "jwts", all.Signers.AddAsync, ("c", id)));
        await EachAsync(access, place, "acls", (a, p) => AddAsync(a, p, "acls", all.Access.AddAsync, ("c", id)));
        await EachAsync(groups, place, "groups", (g, p) => AddAsync(
            new JsonObject { ["group"] = g["name"]?.DeepClone() }, p, "memberships", all.Members.AddGroupAsync, ("c", id)));
        Plugins(plugins, place, ("c", id));
    }

    private void Plugins(JsonObject plugins, string place, (string, string) scope) => _later.Add(() =>
        EachAsync(plugins, place, "plugins", (item, at) => AddAsync(item, at, "plugins", all.Plugins.AddAsync, scope)));

    private static JsonObject Taken(JsonObject item, string name)
    {
        var taken = new JsonObject { [name] = item[name]?.DeepClone() };
        item.Remove(name);
        return taken;
    }

    private async Task EachAsync(JsonObject of, string place, string name, Func<JsonObject, string, Task> each)
    {
        var at = place.Length == 0 ? name : $"{place}.{name}";
        if (of[name] is not { } node) return;
        if (node is not JsonArray list)
        {
            Differ(at, "", "must be a list");
            return;
        }

        for (var i = 0; i < list.Count; i++)
        {
            // groups and members may stand there by name alone
            var item = list[i] is JsonValue alone && name is "groups" or "consumers"
                ? new JsonObject { ["name"] = alone.DeepClone() } : list[i];
            if (item is JsonObject entity) await each((JsonObject)entity.DeepClone(), $"{at}[{i}]");
            else Differ($"{at}[{i}]", "", "must be a record");
        }
    }

    /// <returns>The id that it has here; null when it was refused.</returns>
    private async Task<string?> AddAsync(
        JsonObject item, string place, string kind, Adding add, params (string Name, string Value)[] within)
    {
        if (++_entities == MostEntities + 1) Differ(place, "", $"a file has at most {MostEntities} things; apply it in parts");
        if (_entities > MostEntities) return null;
        var was = (item["id"] as JsonValue)?.ToString();
        KongDefaults.Leave(item, kind, within.Length > 0, (field, detail) => Differ(place, field, detail, refused: false));
        foreach (var field in s_references) Refer(item, field);
        if (item["ca_certificates"] is JsonArray authorities)
            item["ca_certificates"] = new JsonArray([.. authorities.Select(a => JsonValue.Create(_ids.GetValueOrDefault($"{a}", $"{a}")))]);
        var answer = await AskAsync(item, add, within);
        if (answer.Status == StatusCodes.Status201Created)
        {
            var id = (answer.Body?["id"] as JsonValue)?.ToString() ?? "";
            if (within.Any(w => _refused.Contains(w.Value)) || s_references.Any(f => _refused.Contains($"{answer.Body?[f]?["id"]}")))
                _refused.Add(id);
            else Count(kind, answer.Body!);
            if (was is not null) _ids[was] = id;
            return id;
        }

        if (answer.Body?["fields"] is JsonObject fields && $"{answer.Body["name"]}" == "schema violation")
            Tell(fields, place, "");
        else Differ(place, "", (answer.Body?["message"] as JsonValue)?.ToString() ?? "refused");
        return null;
    }

    private void Count(string kind, JsonObject entity)
    {
        Added[kind] = Added.GetValueOrDefault(kind) + 1;
        if (!Entities.TryGetValue(kind, out var all)) Entities.Add(kind, all = []);
        all.Add(entity);
    }

    /// <summary>What stands below something that was refused is looked at all the same, below something like it: nothing of such a
    /// file is applied, and all its faults are told at once.</summary>
    /// <param name="named">The field with its name, by which others may refer to it.</param>
    /// <param name="least">What something like it must have beside a name.</param>
    private async Task<string?> AddParentAsync(JsonObject item, string place, string kind, string named, JsonObject least,
        Adding add, params (string Name, string Value)[] within)
    {
        var (was, given) = ((item["id"] as JsonValue)?.ToString(), item[named]?.DeepClone());
        if (await AddAsync(item, place, kind, add, within) is { } added) return added;
        if (_entities > MostEntities) return null;
        Refer(least, "service");
        foreach (var name in (JsonNode?[])[given, $"stand-in-{++_standIns}"])
        {
            var asked = (JsonObject)least.DeepClone();
            asked[named] = name;
            var answer = await AskAsync(asked, add, within);
            if (answer.Status != StatusCodes.Status201Created) continue;
            var id = $"{answer.Body!["id"]}";
            _refused.Add(id);
            if (was is not null) _ids[was] = id;
            return id;
        }

        return null;
    }

    private static Task<KongAnswer> AskAsync(JsonObject item, Adding add, (string Name, string Value)[] within)
    {
        var context = new DefaultHttpContext();
        foreach (var (name, value) in within) context.Request.RouteValues[name] = value;
        return add(new KongRequest(context), new KongFields(item, isForm: false));
    }

    /// <summary>A reference by name, or by an id that the file gave.</summary>
    private void Refer(JsonObject item, string field)
    {
        var name = (item[field] as JsonValue)?.ToString() ?? (item[field]?["id"] as JsonValue)?.ToString();
        if (name is null) return;
        item[field] = _ids.TryGetValue(name, out var id) ? new JsonObject { ["id"] = id }
            : item[field] is JsonValue ? new JsonObject { [field == "consumer" ? "username" : "name"] = name } : item[field]!.DeepClone();
    }

    private void Tell(JsonObject faults, string place, string path)
    {
        foreach (var (name, fault) in faults)
        {
            var field = path.Length == 0 ? name : $"{path}.{name}";
            if (fault is JsonObject inner) Tell(inner, place, field);
            else if (fault is JsonArray list) Differ(place, field, string.Join("; ", list.Where(f => f is not null).Select(f => $"{f}")));
            else Differ(place, field, $"{fault}");
        }
    }

    private void Differ(string place, string field, string detail, bool refused = true) =>
        Differences.Add(new KongDifference(place, field, detail, refused));
}
