using System.Text.Json;
using System.Text.Json.Serialization;
using Tollgate.Catalog;
using Tollgate.Config.Kong;

namespace Tollgate.Config;

/// <summary>
/// What the stored objects mean, whoever wrote them: the file's APIs and plans and the Kong-shaped services, routes,
/// plugins and groups become one set of APIs and plans. Pure but for the keys, which the caller brings.
/// </summary>
public sealed class Publication
{
    /// <summary>Where a key is looked for unless an API says otherwise (wire.md, "The caller").</summary>
    public static readonly IReadOnlyList<string> DefaultKeyHeaders = ["apikey", "X-API-Key"];

    private readonly IReadOnlyList<ConfigRow> _rows;
    private readonly KongCompiler _kong;
    private readonly List<PublishedApi> _apis;
    private readonly List<PublishedMeter> _meters;

    public Publication(IReadOnlyList<ConfigRow> rows)
    {
        _rows = rows;
        _kong = new KongCompiler(rows);
        var native = rows.Where(r => r.Kind == ConfigKind.Api).Select(ReadApi).ToArray();
        _apis = [.. native, .. WithoutThose(native, _kong.Apis())];
        var meters = rows.Where(r => r.Kind == ConfigKind.Meter).Select(PublishedMeter.Read).ToArray();
        _meters =
        [
            meters.FirstOrDefault(m => m.Name == Meter.CallsName) ?? PublishedMeter.Calls,
            .. meters.Where(m => m.Name != Meter.CallsName),
        ];
    }

    /// <summary>All operations by name, so that the store can give a key to those without one.</summary>
    public IEnumerable<(string Api, string Operation, string Endpoint)> Operations =>
        from api in _apis from o in api.Operations select (api.Name, o.Name, o.Endpoint);

    /// <summary>All meters by what never changes about them, so that the store can give a key to those without one.
    /// </summary>
    public IEnumerable<Meter> Meters => _meters.Select(m => m.Meter);

    /// <param name="meters">By name, with their keys.</param>
    public Published Publish(
        IReadOnlyDictionary<(string Api, string Operation), int> keys, IReadOnlyDictionary<string, Meter> meters,
        IReadOnlyDictionary<string, int> versions)
    {
        var apis = _apis.Select(api => api with
        {
            Operations = [.. api.Operations.Select(o => o with { Key = keys[(api.Name, o.Name)] })],
        }).ToArray();
        var plans = _rows.Where(r => r.Kind == ConfigKind.Plan).Select(r => PlanOf(r, apis, keys, versions)).ToArray();
        return new Published(apis, plans)
        {
            Meters = [.. _meters.Select(m => m with { Meter = meters[m.Name] })],
            AsksForRedis = _kong.AsksForRedis,
            OwnLimits = _kong.OwnLimits(),
            Sources = [.. _rows.Where(r => r.Kind == ConfigKind.Source)
                .Select(r => new PublishedSource(r.Name, SourceDocument.Read(r.Document)))],
        };
    }

    private PublishedPlan PlanOf(
        ConfigRow row, PublishedApi[] apis, IReadOnlyDictionary<(string, string), int> keys,
        IReadOnlyDictionary<string, int> versions)
    {
        var document = JsonSerializer.Deserialize<PlanDocument>(row.Document, PlanDocument.Json)!;
        var listed = document.Operations.ToHashSet(StringComparer.Ordinal);
        var native = from api in apis
                     where api.ManagedBy != ManagedBy.Kong
                     from o in api.Operations
                     where listed.Contains("*") || listed.Contains(o.Name)
                     select o.Key;
        var kong = _kong.OperationsOf(row.Name).Where(keys.ContainsKey).Select(o => keys[o]);
        var id = PlanIdOf(row);
        return new PublishedPlan
        {
            Id = id,
            Name = row.Name,
            DisplayName = document.Name ?? row.Name,
            ManagedBy = row.Manager,
            Operations = native.Concat(kong).ToHashSet(),
            Limits = [.. document.Limits.Select(l => Limit.TryParse(l)!), .. _kong.LimitsOf(row.Id)],
            LimitedBy = _kong.LimitedBy(row.Id),
            Billable = document.Billable is { } billable ? StatusSet.Of(billable) : StatusSet.Below500,
            Headers = document.Headers ?? HeaderFamilies.Kong,
            UpgradeUrl = document.UpgradeUrl,
            LimitsUnavailable = document.LimitsUnavailable ?? LimitsUnavailable.Share,
            ClosedWhenStale = document.ClosedWhenStale,
            Metering = document.Metering ?? MeteringUnavailable.Closed,
            Version = versions.GetValueOrDefault(id),
            CreatedAt = row.CreatedAt,
        };
    }

    /// <summary>The id of a plan under which versions and subscriptions know it.</summary>
    /// <summary>An operation that an API declares and a Kong gate lists too is the API's: no call has two readings, and
    /// neither side can break the other's publication.</summary>
    private static IEnumerable<PublishedApi> WithoutThose(IEnumerable<PublishedApi> native, IEnumerable<PublishedApi> kong)
    {
        var taken = (from api in native from o in api.Operations from method in MethodsOf(o) from host in HostsOf(o)
                     select Shape(host, method, o)).ToHashSet(StringComparer.Ordinal);
        return kong.Select(api => api with { Operations = [.. api.Operations.Select(Left).OfType<PublishedOperation>()] });

        PublishedOperation? Left(PublishedOperation o)
        {
            if (o.IsPrefix) return o;
            var methods = MethodsOf(o).Where(m => !HostsOf(o).Any(h => taken.Contains(Shape(h, m, o)))).ToArray();
            return methods.Length == 0 ? null : o.Methods is null ? o : o with { Methods = methods! };
        }

        static IEnumerable<string?> MethodsOf(PublishedOperation o) => o.Methods ?? [null!];
        static IEnumerable<string> HostsOf(PublishedOperation o) => o.Hosts.Count == 0 ? [""] : o.Hosts;
        static string Shape(string host, string? method, PublishedOperation o) =>
            $"{host} {method} {GateEntry.ShapeOf(o.Template)}";
    }

    public static string ApiIdOf(ConfigRow api) => new Id<Api>(Guid.ParseExact(api.Id, "N")).ToString();

    public static string PlanIdOf(ConfigRow plan) => new Id<Plan>(Guid.ParseExact(plan.Id, "N")).ToString();

    private static PublishedApi ReadApi(ConfigRow row)
    {
        var document = JsonSerializer.Deserialize<ApiDocument>(row.Document, PlanDocument.Json)!;
        var proxy = document.Proxy ?? ProxySettings.None;
        return new PublishedApi
        {
            Proxy = proxy,
            Id = ApiIdOf(row),
            Name = row.Name,
            ManagedBy = row.Manager,
            Upstream = new Uri(document.Upstream),
            Targets = document.Targets ?? [],
            Retries = document.Retries,
            RequiresKey = true,
            Gated = true,
            KeyHeaders = document.Access?.KeyHeaders ?? DefaultKeyHeaders,
            KeyQueries = document.Access?.KeyQuery is { } query ? [query] : [],
            Anonymous = document.Access?.Anonymous,
            Jwt = document.Access?.Jwt,
            UnitsHeaders = document.UnitsHeaders ?? PublishedApi.DefaultUnitsHeaders,
            Operations = document.Operations.Select(o =>
            {
                var space = o.Value.IndexOf(' ');
                var template = o.Value[(space + 1)..];
                return new PublishedOperation
                {
                    Name = o.Key,
                    Endpoint = template,
                    Methods = space < 0 ? null : [o.Value[..space]],
                    Template = template,
                    Weight = document.Units?.GetValueOrDefault(o.Key)?.Weight ?? 1,
                    FreeRetries = document.Units?.GetValueOrDefault(o.Key)?.FreeRetries ?? 0,
                    Reserve = document.Units?.GetValueOrDefault(o.Key)?.Reserve,
                    CutsOverrun = document.Units?.GetValueOrDefault(o.Key)?.CutsOverrun ?? false,
                    StripPrefix = proxy.StripPrefix,
                    Rewrite = proxy.Rewrites.GetValueOrDefault(o.Key),
                    Hosts = proxy.Hosts,
                    PreserveHost = proxy.PreserveHost,
                };
            }).ToArray(),
        };
    }
}

/// <summary>An API as the store keeps it.</summary>
/// <param name="Operations">Name → <c>GET /path/{parameter}</c>, or a path alone for any method.</param>
public sealed record ApiDocument(string Upstream, IReadOnlyDictionary<string, string> Operations)
{
    /// <summary>Operations whose calls do not count as one, by name; null for none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, OperationUnits>? Units { get; init; }

    /// <summary>How callers say who they are; null for the default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ApiAccess? Access { get; init; }

    /// <summary>Headers in which the upstream tells units; null for the default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? UnitsHeaders { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<UpstreamTarget>? Targets { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Retries { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ProxySettings? Proxy { get; init; }
}

/// <summary>What a call of an operation counts for.</summary>
/// <param name="Weight">Units of <c>calls</c>, 0 to <see cref="Most"/>, unless the upstream says another number.</param>
public sealed record OperationUnits(long Weight)
{
    public const long Most = 1_000_000_000;

    /// <summary>The most that an operation may allow of <see cref="FreeRetries"/>.</summary>
    public const int MostFreeRetries = 3;

    /// <summary>How often a call that was billed, and whose answer was not delivered whole, may be repeated for nothing by
    /// its <c>Idempotency-Key</c>; 0 to <see cref="MostFreeRetries"/>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int FreeRetries { get; init; }

    /// <summary>By name of a meter (<c>calls</c> too): what is set aside for a call whose cost only its answer tells, in
    /// units; above zero. Null for none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, decimal>? Reserve { get; init; }

    /// <summary>Whether an answer that costs more than quotas and balances have room for ends there; else it goes on, and
    /// what is beyond costs nothing.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool CutsOverrun { get; init; }
}

/// <summary>The live part of a plan as the store keeps it: access settings, no prices.</summary>
/// <param name="Name">For people; the plan's own name when null.</param>
/// <param name="Operations">Names of operations, or <c>*</c> for every declared one.</param>
/// <param name="Limits">As <see cref="Limit.ToString"/> writes them.</param>
public sealed record PlanDocument(string? Name, IReadOnlyList<string> Operations, IReadOnlyList<string> Limits)
{
    /// <summary>As <see cref="StatusSet"/> reads them; null for the default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Billable { get; init; }

    /// <summary>Null for the default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public HeaderFamilies? Headers { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? UpgradeUrl { get; init; }

    /// <summary>Null for the default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public LimitsUnavailable? LimitsUnavailable { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool ClosedWhenStale { get; init; }

    /// <summary>Null for the default.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public MeteringUnavailable? Metering { get; init; }

    public static PlanDocument Empty { get; } = new(null, [], []);

    public static JsonSerializerOptions Json { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DictionaryKeyPolicy = null,
    };

    public string Write() => JsonSerializer.Serialize(this, Json);
}
