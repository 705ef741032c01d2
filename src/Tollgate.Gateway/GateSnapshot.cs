using System.Collections;
using System.Collections.Frozen;
using System.Globalization;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway.Cost;
using Tollgate.Gateway.Routing;

namespace Tollgate.Gateway;

/// <summary>
/// Routes, operations and plans, compiled for the hot path. Immutable; a change of configuration makes a new one and
/// swaps it whole, so that a call is decided by one state from its first check to its last.
/// </summary>
public sealed class GateSnapshot
{
    private readonly OperationMatcher<CompiledOperation> _matcher;
    private readonly FrozenDictionary<string, CompiledPlan> _plans;

    private GateSnapshot(OperationMatcher<CompiledOperation> matcher, IEnumerable<CompiledPlan> plans)
    {
        _matcher = matcher;
        _plans = plans.ToFrozenDictionary(p => p.Id, StringComparer.Ordinal);
    }

    public static GateSnapshot Empty { get; } = Compile(Published.Nothing);

    public static GateSnapshot Compile(Published published)
    {
        var patterns = new List<OperationPattern<CompiledOperation>>();
        string[] credentialHeaders = [.. published.Apis.SelectMany(a => a.KeyHeaders)
            .Concat(Publication.DefaultKeyHeaders).Distinct(StringComparer.OrdinalIgnoreCase)];
        foreach (var api in published.Apis)
        {
            var compiledApi = new CompiledApi(api, credentialHeaders);
            foreach (var operation in api.Operations)
            {
                var compiled = new CompiledOperation(
                    compiledApi, operation, OperationCost.Of(operation, published.Meters));
                foreach (var method in operation.Methods ?? [null!])
                    patterns.Add(new OperationPattern<CompiledOperation>(
                        method, operation.Template, operation.IsPrefix, compiled));
            }
        }

        return new GateSnapshot(
            OperationMatcher<CompiledOperation>.Build(patterns), published.Plans.Select(p => new CompiledPlan(p)));
    }

    /// <summary>The operation that this call is, or null: what no operation matches is denied.</summary>
    public CompiledOperation? Match(string method, ReadOnlySpan<char> path) => _matcher.Match(method, path);

    public CompiledPlan? FindPlan(string planId) => _plans.GetValueOrDefault(planId);
}

/// <summary>An API on the hot path.</summary>
public sealed class CompiledApi(PublishedApi api, string[] credentialHeaders)
{
    public string Name { get; } = api.Name;

    /// <summary>Served by the application that the gate stands in, not by an upstream.</summary>
    public bool IsApplication { get; } = api.IsApplication;

    public bool RequiresKey { get; } = api.RequiresKey;

    public bool Gated { get; } = api.Gated;

    /// <summary>Where this API looks for a key.</summary>
    public string[] KeyHeaders { get; } = [.. api.KeyHeaders];

    /// <summary>Where any API looks for one: none of these reaches an upstream, whichever API is called.</summary>
    public string[] CredentialHeaders { get; } = credentialHeaders;

    public bool IsCredential(string header)
    {
        foreach (var name in CredentialHeaders)
            if (header.Length == name.Length && header.Equals(name, StringComparison.OrdinalIgnoreCase)) return true;
        return false;
    }

    /// <summary>Where its upstream tells units of meters; none of these reaches a caller.</summary>
    public string[] UnitsHeaders { get; } = [.. api.UnitsHeaders];

    public CompiledTarget[] Targets { get; } = api.Targets.Count > 0
        ? [.. api.Targets.Select(t => new CompiledTarget(t))] : [new CompiledTarget(new UpstreamTarget(api.Upstream))];

    public int Retries { get; } = api.Retries;
}

/// <summary>A server of an upstream on the hot path.</summary>
public sealed class CompiledTarget(UpstreamTarget target)
{
    /// <summary>Scheme, host and port.</summary>
    public string Authority { get; } = target.Url.GetLeftPart(UriPartial.Authority);

    /// <summary>The path under which it serves, without a trailing slash; often empty.</summary>
    public string BasePath { get; } = target.Url.AbsolutePath.TrimEnd('/');

    public int Weight { get; } = target.Weight;
}

/// <summary>An operation on the hot path.</summary>
public sealed class CompiledOperation(CompiledApi api, PublishedOperation operation, OperationCost cost)
{
    public CompiledApi Api { get; } = api;

    public int Key { get; } = operation.Key;

    public string Name { get; } = operation.Name;

    public string Endpoint { get; } = operation.Endpoint;

    public string StripPrefix { get; } = operation.StripPrefix;

    /// <summary>What a call counts for.</summary>
    public OperationCost Cost { get; } = cost;
}

/// <summary>A plan on the hot path: which operations, how often.</summary>
public sealed class CompiledPlan
{
    private readonly BitArray _operations;

    public CompiledPlan(PublishedPlan plan)
    {
        Id = plan.Id;
        Name = plan.Name;
        Billable = plan.Billable;
        _operations = new BitArray(plan.Operations.Count == 0 ? 0 : plan.Operations.Max() + 1);
        foreach (var key in plan.Operations) _operations[key] = true;

        // of two limits of one unit only the tighter can ever refuse, and it is the one that the headers show
        Limits = plan.Limits.GroupBy(l => l.Per).Select(g => new CompiledLimit(g.Min(l => l.Count), g.Key))
            .OrderBy(l => l.Unit).ToArray();
    }

    public string Id { get; }

    public string Name { get; }

    public CompiledLimit[] Limits { get; }

    /// <summary>Statuses of answers that are billed.</summary>
    public StatusSet Billable { get; }

    public bool Includes(int operation) => operation < _operations.Length && _operations[operation];
}

/// <summary>A limit with the texts of its headers.</summary>
public sealed class CompiledLimit(long count, WindowUnit unit)
{
    private static readonly TextInfo s_case = CultureInfo.InvariantCulture.TextInfo;

    public long Count { get; } = count;

    public WindowUnit Unit { get; } = unit;

    public string CountText { get; } = count.ToString(CultureInfo.InvariantCulture);

    public string LimitHeader { get; } = "X-RateLimit-Limit-" + s_case.ToTitleCase(LimitWindow.NameOf(unit));

    public string RemainingHeader { get; } = "X-RateLimit-Remaining-" + s_case.ToTitleCase(LimitWindow.NameOf(unit));

    public override string ToString() => $"{Count}/{LimitWindow.NameOf(Unit)}";
}
