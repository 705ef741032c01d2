using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway.Cost;
using Tollgate.Gateway.Routing;
using Tollgate.Gateway.Tokens;

namespace Tollgate.Gateway;

/// <summary>
/// Routes, operations and plans, compiled for the hot path. Immutable; a change of configuration makes a new one and
/// swaps it whole, so that a call is decided by one state from its first check to its last.
/// </summary>
public sealed class GateSnapshot
{
    private static long s_versions;

    private readonly HostMatcher<CompiledOperation> _matcher;
    private readonly FrozenDictionary<string, CompiledPlan> _plans;

    private readonly ConcurrentDictionary<(string Plan, int Version, Interval Unit), Terms> _terms = new();
    private readonly Published _published;

    // null for nearly everybody
    private readonly FrozenDictionary<int, (OwnLimits Limits, BoundTerms Alone)>? _own;
    private readonly ILookup<string, int> _operationKeys;
    private readonly FrozenDictionary<string, PublishedMeter> _meters;

    private GateSnapshot(
        HostMatcher<CompiledOperation> matcher, CompiledApi[] apis, Published published, CredentialPlaces places)
    {
        _matcher = matcher;
        Apis = apis;
        AnswersPreflights = published.Faces.Any(a => a.Proxy.Cors is not null);
        _plans = published.Plans.Select(p => new CompiledPlan(p)).ToFrozenDictionary(p => p.Id, StringComparer.Ordinal);
        KeyQueries = places.Queries;
        _published = published;
        _own = published.OwnLimits.Count == 0 ? null : published.OwnLimits.ToFrozenDictionary(o => o.Key,
            o => (o.Value, new BoundTerms(new Terms(o.Value.Limits, [], HeaderFamilies.Kong), [], AreOwn: true)));
        _meters = published.Meters.ToFrozenDictionary(m => m.Name, StringComparer.Ordinal);
        _operationKeys = published.Apis.SelectMany(a => a.Operations).ToLookup(o => o.Name, o => o.Key);
    }

    /// <summary>Tells snapshots of one process apart.</summary>
    public long Version { get; } = Interlocked.Increment(ref s_versions);

    internal CompiledApi[] Apis { get; }

    /// <summary>Whether any API has rules for pages of other origins.</summary>
    internal bool AnswersPreflights { get; }

    /// <summary>Where any API looks for a key in the query: none of these reaches an upstream.</summary>
    public string[] KeyQueries { get; }

    public static GateSnapshot Empty { get; } = Compile(Published.Nothing);

    /// <param name="published">What is in force.</param>
    /// <param name="tokens">Who checks tokens; none where no API takes any.</param>
    public static GateSnapshot Compile(Published published, TokenVerifiers? tokens = null)
    {
        var patterns = new List<(IReadOnlyList<string>, OperationPattern<CompiledOperation>)>();
        var apis = new List<CompiledApi>();
        var places = new CredentialPlaces(published);
        foreach (var api in published.Apis)
        {
            var compiledApi = new CompiledApi(api, places, tokens);
            apis.Add(compiledApi);
            var own = api.Faces.Skip(1).ToDictionary<PublishedApi, object, CompiledApi>(
                face => face, face => new CompiledApi(face, places, tokens, compiledApi), ReferenceEqualityComparer.Instance);
            foreach (var operation in api.Operations)
            {
                var compiled = new CompiledOperation(
                    operation.Own is { } face ? own[face] : compiledApi, operation, OperationCost.Of(operation, published.Meters));
                foreach (var method in operation.Methods ?? [null!])
                    patterns.Add((operation.Hosts, new OperationPattern<CompiledOperation>(
                        method, operation.Template, operation.IsPrefix, compiled)));
            }
        }

        return new GateSnapshot(HostMatcher<CompiledOperation>.Build(patterns), [.. apis], published, places);
    }

    /// <summary>The operation that this call is, or null: what no operation matches is denied.</summary>
    /// <param name="method">As the request spells it.</param>
    /// <param name="path">In canonical form.</param>
    /// <param name="host">Of the request; none finds what is there under every host.</param>
    public CompiledOperation? Match(string method, ReadOnlySpan<char> path, HostString host = default) =>
        _matcher.Match(method, path, host);

    /// <summary>Those that operations are declared under, exact and <c>*.</c>.</summary>
    internal IEnumerable<string> Hosts => _published.Apis.SelectMany(a => a.Operations).SelectMany(o => o.Hosts).Distinct();

    public PublishedMeter? FindMeter(string name) => _meters.GetValueOrDefault(name);

    /// <summary>The operation of a key; null for 0 and for those that are gone.</summary>
    public string? NameOf(int operation) => operation == 0 ? null
        : _published.Apis.SelectMany(a => a.Operations).FirstOrDefault(o => o.Key == operation)?.Name;

    public PublishedMeter? FindMeter(int key) => key == Meter.CallsKey ? FindMeter(Meter.CallsName)
        : _published.Meters.FirstOrDefault(m => m.Meter.Key == key);

    public CompiledPlan? FindPlan(string planId) => _plans.GetValueOrDefault(planId);

    /// <summary>Keys of consumers that have limits of their own.</summary>
    internal IEnumerable<int> WithOwnLimits => _own?.Keys ?? [];

    /// <summary>Limits that a consumer has for itself; null for nearly everybody.</summary>
    internal OwnLimits? OwnOf(int consumer) => _own is not null && _own.TryGetValue(consumer, out var own) ? own.Limits : null;

    /// <summary>By what calls of a consumer with limits of its own are counted that belong to no subscription.</summary>
    internal BoundTerms? AloneOf(int consumer) => _own is not null && _own.TryGetValue(consumer, out var own) ? own.Alone : null;

    /// <summary>What a subscription to a plan may use: the live limits of the plan, and the quotas of the version that it
    /// runs on, with what was agreed on otherwise.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="of">The subscription.</param>
    /// <param name="own">Of the consumer that calls. In the place of all limits that the subscription has, but for those that a
    /// plugin of another name says of its group.</param>
    public Terms TermsOf(CompiledPlan plan, Entitlement of, OwnLimits? own = null) =>
        of.Overrides.IsNone && of.PlanPhase is null && own is null
            ? _terms.GetOrAdd((plan.Id, of.PlanVersion, of.Interval), _ => Compile(plan, of, null))
            : Compile(plan, of, own);

    private Terms Compile(CompiledPlan plan, Entitlement of, OwnLimits? own)
    {
        var version = _published.VersionOf(plan.Id, of.PlanVersion);
        var phase = version.Terms.FindPhase(of.PlanPhase);
        var quotas = of.Overrides.Apply(phase?.Apply(version.Quotas) ?? version.Quotas);
        // a version may be older than the end of a meter: nothing counts on that any more
        var limits = of.Overrides.Limits ?? phase?.Limits ?? plan.Limits;
        if (own is not null) limits = plan.LimitedBy is { } by && by != own.Plugin ? [.. own.Limits, .. limits] : own.Limits;
        return new Terms(limits, quotas.Where(q => _meters.ContainsKey(q.Meter))
            .Select(q => new CompiledQuota(q, name => _operationKeys[name], of.Interval, _meters[q.Meter])), plan.Families);
    }
}

/// <summary>A plan on the hot path: which operations. How often stands in the <see cref="Terms"/> of a subscription.
/// </summary>
public sealed class CompiledPlan
{
    private readonly BitArray _operations;

    public CompiledPlan(PublishedPlan plan)
    {
        Id = plan.Id;
        Name = plan.Name;
        Billable = plan.Billable;
        Limits = plan.Limits;
        LimitedBy = plan.LimitedBy;
        UpgradeUrl = plan.UpgradeUrl;
        Unavailable = plan.LimitsUnavailable switch
        {
            LimitsUnavailable.Open => Sharing.Open,
            LimitsUnavailable.Closed => Sharing.Closed,
            _ => Sharing.Share,
        };
        ClosedWhenStale = plan.ClosedWhenStale;
        PassesUnrecorded = plan.Metering == MeteringUnavailable.Open;
        Families = plan.Headers;
        _operations = new BitArray(plan.Operations.Count == 0 ? 0 : plan.Operations.Max() + 1);
        foreach (var key in plan.Operations) _operations[key] = true;
    }

    public string Id { get; }

    public string Name { get; }

    /// <summary>Of subscriptions that have agreed on no others.</summary>
    public IReadOnlyList<Limit> Limits { get; }

    /// <summary>The plugin of Kong's that says limits of it; null: none does.</summary>
    internal string? LimitedBy { get; }

    /// <summary>Where a caller who is refused can get more; none unless the plan says.</summary>
    public string? UpgradeUrl { get; }

    /// <summary>How calls are held to shared limits while what is shared is away.</summary>
    internal Sharing Unavailable { get; }

    /// <summary>Whether calls are refused while this node does not hear what others change.</summary>
    public bool ClosedWhenStale { get; }

    /// <summary>Whether calls pass that cannot be written down.</summary>
    internal bool PassesUnrecorded { get; }

    public HeaderFamilies Families { get; }

    /// <summary>Statuses of answers that are billed.</summary>
    public StatusSet Billable { get; }

    public bool Includes(int operation) => operation < _operations.Length && _operations[operation];
}
