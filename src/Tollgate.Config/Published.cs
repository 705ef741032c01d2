using Tollgate.Catalog;

namespace Tollgate.Config;

/// <summary>Which side wrote an object; the others may look, and change it only by taking it over.</summary>
public enum ManagedBy : byte { File, Api, Kong }

/// <summary>All that is published at one moment: immutable, swapped whole.</summary>
public sealed record Published(IReadOnlyList<PublishedApi> Apis, IReadOnlyList<PublishedPlan> Plans)
{
    public static Published Nothing { get; } = new([], []);

    /// <summary>What is counted, <c>calls</c> first.</summary>
    public IReadOnlyList<PublishedMeter> Meters { get; init; } = [PublishedMeter.Calls];

    /// <summary>Counters that are read from a Prometheus.</summary>
    public IReadOnlyList<PublishedSource> Sources { get; init; } = [];

    /// <summary>Limits that single consumers have, by their keys; nearly always none.</summary>
    public IReadOnlyDictionary<int, OwnLimits> OwnLimits { get; init; } = new Dictionary<int, OwnLimits>();

    /// <summary>Whether a limit of Kong's asks to be counted over a Redis (<c>policy: redis</c>).</summary>
    public bool AsksForRedis { get; init; }

    /// <summary>Every API, followed by what single operations of it show in its place.</summary>
    public IEnumerable<PublishedApi> Faces => Apis.SelectMany(a => a.Faces);

    public PublishedMeter? FindMeter(string name) => Meters.FirstOrDefault(m => m.Name == name);

    /// <summary>What plan versions fix beside prices, newest and older; those that fix nothing are absent.</summary>
    public IReadOnlyDictionary<(string PlanId, int Version), PublishedVersion> Versions { get; init; } =
        new Dictionary<(string, int), PublishedVersion>();

    /// <summary>What a plan version fixes beside prices.</summary>
    public PublishedVersion VersionOf(string planId, int version) =>
        Versions.GetValueOrDefault((planId, version), PublishedVersion.Nothing);

    /// <summary>The plan with this id or name, or null.</summary>
    public PublishedPlan? FindPlan(string idOrName) =>
        Plans.FirstOrDefault(p => p.Name == idOrName)
        ?? (Id<Plan>.TryParse(idOrName, out var id) ? Plans.FirstOrDefault(p => p.Id == id.ToString()) : null);
}

/// <summary>How often one consumer may call, in the place of what is said of others: a plugin of Kong's on the consumer.</summary>
/// <param name="Plugin">Its name. It stands in the place of the group's plugin of that name, and beside one of another.</param>
/// <param name="Limits">All of them hold at once.</param>
public sealed record OwnLimits(string Plugin, IReadOnlyList<Limit> Limits);

/// <summary>What a plan version fixes beside prices.</summary>
public sealed record PublishedVersion(IReadOnlyList<Quota> Quotas, PlanTerms Terms)
{
    public static PublishedVersion Nothing { get; } = new([], PlanTerms.None);
}

/// <summary>An upstream and the operations that lead to it.</summary>
public sealed record PublishedApi
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    public required ManagedBy ManagedBy { get; init; }

    /// <summary>http or https, with the path under which the upstream serves, without a trailing slash.</summary>
    public required Uri Upstream { get; init; }

    /// <summary>The upstream of what the application around the gate serves itself; <c>application</c> in the file.
    /// </summary>
    public static Uri Application { get; } = new("application:/");

    public bool IsApplication => Upstream.Scheme == Application.Scheme;

    /// <summary>All servers of the upstream when there are several, <see cref="Upstream"/> being the first; else none.
    /// </summary>
    public IReadOnlyList<UpstreamTarget> Targets { get; init; } = [];

    /// <summary>How often a call without a body, whose method may be repeated, is sent again when it got no answer.
    /// </summary>
    public int Retries { get; init; }

    /// <summary>How calls go there and back.</summary>
    public ProxySettings Proxy { get; init; } = ProxySettings.None;

    /// <summary>False forwards for everybody, as the consumer <c>anonymous</c>.</summary>
    public required bool RequiresKey { get; init; }

    /// <summary>True: only operations that the caller's plan includes pass. False (a Kong service without a gate):
    /// whatever its routes match.</summary>
    public required bool Gated { get; init; }

    /// <summary>Request headers in which a key is looked for.</summary>
    public required IReadOnlyList<string> KeyHeaders { get; init; }

    /// <summary>Parameters of the query in which a key is looked for too.</summary>
    public IReadOnlyList<string> KeyQueries { get; init; } = [];

    /// <summary>The username of the consumer that calls without any credential belong to; null: they are refused.
    /// </summary>
    public string? Anonymous { get; init; }

    /// <summary>Whose tokens are taken beside keys; null: nobody's.</summary>
    public JwtRules? Jwt { get; init; }

    /// <summary>How tokens are taken that consumers sign themselves, in the place of keys; null: not at all.</summary>
    public BearerRules? Bearers { get; init; }

    /// <summary>Which consumers it admits beside what their plans include; null: all.</summary>
    public AccessRules? Access { get; init; }

    /// <summary>Headers of an answer in which the upstream tells units of meters; none of them reaches the caller.
    /// </summary>
    public IReadOnlyList<string> UnitsHeaders { get; init; } = DefaultUnitsHeaders;

    public static IReadOnlyList<string> DefaultUnitsHeaders { get; } = ["Tollgate-Units", "X-Kong-Limit"];

    public required IReadOnlyList<PublishedOperation> Operations { get; init; }

    /// <summary>Itself, followed by what single operations show in its place, each once.</summary>
    public IEnumerable<PublishedApi> Faces => Operations.Select(o => o.Own).OfType<PublishedApi>()
        .Distinct<PublishedApi>(ReferenceEqualityComparer.Instance).Prepend(this);
}

/// <summary>A method and a path template that can be called, counted and priced.</summary>
public sealed record PublishedOperation
{
    /// <summary>Stands for (API, name) in the journal and the rollups, for ever; 0 until the store has given it.
    /// </summary>
    public int Key { get; init; }

    public required string Name { get; init; }

    /// <summary>What metrics and usage call it: the path template, or a Kong route's path.</summary>
    public required string Endpoint { get; init; }

    /// <summary>Null: any method.</summary>
    public required IReadOnlyList<string>? Methods { get; init; }

    public required string Template { get; init; }

    /// <summary>True: the template and everything below it (a Kong route).</summary>
    public bool IsPrefix { get; init; }

    /// <summary>Units of <c>calls</c> that a call counts for unless the upstream says another number.</summary>
    public long Weight { get; init; } = 1;

    /// <summary>See <see cref="OperationUnits.FreeRetries"/>.</summary>
    public int FreeRetries { get; init; }

    /// <summary>See <see cref="OperationUnits.Reserve"/>.</summary>
    public IReadOnlyDictionary<string, decimal>? Reserve { get; init; }

    /// <summary>See <see cref="OperationUnits.CutsOverrun"/>.</summary>
    public bool CutsOverrun { get; init; }

    /// <summary>What is taken off the front of the path before it is forwarded; empty for nothing.</summary>
    public string StripPrefix { get; init; } = "";

    /// <summary>The path that the upstream gets, with parameters of the template; null: the caller's own.</summary>
    public string? Rewrite { get; init; }

    /// <summary>See <see cref="ProxySettings.Hosts"/>.</summary>
    public IReadOnlyList<string> Hosts { get; init; } = [];

    /// <summary>Whether the upstream gets the host that the caller named.</summary>
    public bool PreserveHost { get; init; }

    /// <summary>The API as callers of this operation meet it, where that is another way than for the rest of it (plugins on a
    /// Kong route): the same servers behind other credentials, rules for pages, sizes and answers. It has no operations.
    /// Null: the API itself.</summary>
    public PublishedApi? Own { get; init; }
}

/// <summary>A plan as the gate needs it: what it lets call and how often. Live, not versioned.</summary>
public sealed record PublishedPlan
{
    public required string Id { get; init; }

    public required string Name { get; init; }

    public required string DisplayName { get; init; }

    public required ManagedBy ManagedBy { get; init; }

    /// <summary>Keys of the operations that it includes.</summary>
    public required IReadOnlySet<int> Operations { get; init; }

    /// <summary>All of them hold at once.</summary>
    public required IReadOnlyList<Limit> Limits { get; init; }

    /// <summary>The plugin of Kong's that says limits of it; null: none does.</summary>
    public string? LimitedBy { get; init; }

    /// <summary>Statuses of answers that are billed.</summary>
    public StatusSet Billable { get; init; } = StatusSet.Below500;

    /// <summary>Which headers tell callers where their limits stand.</summary>
    public HeaderFamilies Headers { get; init; } = HeaderFamilies.Kong;

    /// <summary>Where a caller who is refused can get more; an absolute URL.</summary>
    public string? UpgradeUrl { get; init; }

    /// <summary>What limits that nodes share do while what they share is away.</summary>
    public LimitsUnavailable LimitsUnavailable { get; init; }

    /// <summary>Whether a node refuses calls while it does not hear what others change: a key may have been revoked.</summary>
    public bool ClosedWhenStale { get; init; }

    /// <summary>What becomes of calls that cannot be written down.</summary>
    public MeteringUnavailable Metering { get; init; }

    /// <summary>The newest version of its prices; subscriptions may run on older ones.</summary>
    public required int Version { get; init; }

    public required long CreatedAt { get; init; }
}

/// <summary>Which headers tell callers where their limits stand: Kong's pairs with the older IETF draft's three, and the
/// newer draft's two structured fields.</summary>
[Flags]
public enum HeaderFamilies { None = 0, Kong = 1, Ietf = 2 }
