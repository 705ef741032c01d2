using Tollgate.Catalog;
using Tollgate.Config.File;

namespace Tollgate.Config;

/// <summary>What becomes of running subscriptions when a plan gets a new version of its prices.</summary>
public enum Migration : byte
{
    /// <summary>They stay on the version that they run on.</summary>
    Never,

    /// <summary>They move at once; usage before keeps the old prices.</summary>
    Now,

    /// <summary>Each moves when the period that it has paid for is over.</summary>
    Renewal,
}

/// <summary>A configuration file that was read and checked: everything in it may be applied as it is.</summary>
public sealed record ConfigFile(Currency Currency, IReadOnlyList<FileApi> Apis, IReadOnlyList<FilePlan> Plans)
{
    /// <summary>What is counted; <c>calls</c> is there without being named.</summary>
    public IReadOnlyList<File.FileMeter> Meters { get; init; } = [];

    /// <summary>Counters of a Prometheus that are usage.</summary>
    public IReadOnlyList<File.FileSource> Sources { get; init; } = [];

    /// <summary>What is allowed, and may not be meant; each names its field.</summary>
    public IEnumerable<Problem> Warnings => OfPrices.Concat(TooMuchReserved).Concat(TooHeavy);

    private IEnumerable<Problem> OfPrices =>
        from plan in Plans
        from warning in PlanChecks.Warnings(plan.Prices, plan.Terms)
        select warning with { Field = $"plans.{plan.Name}.{warning.Field}" };

    /// <summary>Operations that set more aside than a plan allows of it: none of their calls passes.</summary>
    private IEnumerable<Problem> TooMuchReserved =>
        from plan in Plans
        from quota in plan.Quotas
        where quota.Overage == Overage.Block
        from api in Apis
        from of in api.Units
        where quota.Covers(of.Key) && (plan.Operations.Contains("*") || plan.Operations.Contains(of.Key))
        let reserve = of.Value.Reserve?.GetValueOrDefault(quota.Meter) ?? 0
        where reserve > quota.Allowance
        select new Problem("reserve_above_allowance", $"A call of '{of.Key}' sets {reserve:0.#########} {quota.Meter} aside and the " +
            $"quota '{quota.Name}' allows {quota.Allowance:0.#########}, so none passes.", $"plans.{plan.Name}.quotas");

    /// <summary>Operations whose one call counts for more than a plan allows.</summary>
    private IEnumerable<Problem> TooHeavy =>
        from plan in Plans
        from quota in plan.Quotas
        where quota.Overage == Overage.Block && quota.Meter == Meter.CallsName
        from api in Apis
        from of in api.Units
        where quota.Covers(of.Key) && (plan.Operations.Contains("*") || plan.Operations.Contains(of.Key))
        where of.Value.Weight > quota.Allowance
        select new Problem("weight_above_allowance", $"A call of '{of.Key}' counts for {of.Value.Weight} and the quota " +
            $"'{quota.Name}' allows {quota.Allowance:0.#########}, so none passes.", $"plans.{plan.Name}.quotas");
}

/// <summary>An API of the file.</summary>
/// <param name="Operations">Name → <c>GET /path/{parameter}</c>; names are unique over all APIs of the file.</param>
public sealed record FileApi(string Name, Uri Upstream, IReadOnlyDictionary<string, string> Operations)
{
    /// <summary>By name of the operation; those that count as one are absent.</summary>
    public IReadOnlyDictionary<string, OperationUnits> Units { get; init; } = new Dictionary<string, OperationUnits>();

    /// <summary>Null for the default.</summary>
    public IReadOnlyList<string>? UnitsHeaders { get; init; }

    /// <summary>How callers say who they are; null for the default.</summary>
    public ApiAccess? Access { get; init; }

    /// <summary>All servers when there are several; the upstream is the first.</summary>
    public IReadOnlyList<UpstreamTarget> Targets { get; init; } = [];

    /// <summary>0 to <see cref="UpstreamTarget.MostRetries"/>.</summary>
    public int Retries { get; init; }

    /// <summary>Null: it says nothing of it.</summary>
    public ProxySettings? Proxy { get; init; }
}

/// <summary>A plan of the file, with what it inherits by <c>extends</c> filled in.</summary>
/// <param name="DisplayName">For people; the plan's own name when null.</param>
/// <param name="Operations">Names of operations that exist, or <c>*</c>.</param>
/// <param name="Prices">None: the plan costs nothing, and calls are counted all the same.</param>
public sealed record FilePlan(
    string Name, string? DisplayName, IReadOnlyList<string> Operations, IReadOnlyList<Limit> Limits,
    IReadOnlyList<PriceComponent> Prices)
{
    /// <summary>In the order of the file; unique by name.</summary>
    public IReadOnlyList<Quota> Quotas { get; init; } = [];

    /// <summary>Trial, features, phases, and the prices in other currencies than the file's.</summary>
    public PlanTerms Terms { get; init; } = PlanTerms.None;

    /// <summary>Which headers tell callers where their limits stand; of the whole file.</summary>
    public HeaderFamilies Headers { get; init; } = HeaderFamilies.Kong;

    /// <summary>Where a caller who is refused can get more; an absolute URL.</summary>
    public string? UpgradeUrl { get; init; }

    /// <summary>What limits that nodes share do while what they share is away.</summary>
    public LimitsUnavailable LimitsUnavailable { get; init; }

    /// <summary>Whether a node refuses calls while it does not hear what others change.</summary>
    public bool ClosedWhenStale { get; init; }

    /// <summary>What becomes of calls that cannot be written down.</summary>
    public MeteringUnavailable Metering { get; init; }

    public Migration Migrate { get; init; } = Migration.Never;

    /// <summary>Statuses of answers that are billed; null for the default.</summary>
    public IReadOnlyList<string>? Billable { get; init; }
}
