using System.Globalization;
using NodaTime;

namespace Tollgate.Catalog;

/// <summary>What a <see cref="Span"/> counts.</summary>
public enum SpanUnit : byte { Day, Week, Month, Year }

/// <summary>
/// A length of local time, as "14 days" or "3 months": its end is at the same hour of a later day, whatever DST does
/// in between. A month that is too short ends it on its last day.
/// </summary>
/// <param name="Count">1 to <see cref="Most"/>.</param>
public readonly record struct Span(int Count, SpanUnit Unit)
{
    public const int Most = 3_660;

    /// <summary>For messages.</summary>
    public const string Forms = "a number and days, weeks, months or years, as '14 days' or '3 months'";

    /// <summary>When it is over that begins at an instant.</summary>
    public Instant From(Instant start, DateTimeZone zone)
    {
        var local = start.InZone(zone).LocalDateTime;
        return (Unit switch
        {
            SpanUnit.Day => local.PlusDays(Count),
            SpanUnit.Week => local.PlusWeeks(Count),
            SpanUnit.Month => local.PlusMonths(Count),
            _ => local.PlusYears(Count),
        }).InZoneLeniently(zone).ToInstant();
    }

    /// <summary>Reads <c>14 days</c> or <c>1 month</c>; null when it is none.</summary>
    public static Span? Find(string text)
    {
        var space = text.IndexOf(' ', StringComparison.Ordinal);
        if (space is < 1 or > 4
            || !int.TryParse(text.AsSpan(0, space), NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            || count is < 1 or > Most)
            return null;
        return text[(space + 1)..] switch
        {
            "day" or "days" => new Span(count, SpanUnit.Day),
            "week" or "weeks" => new Span(count, SpanUnit.Week),
            "month" or "months" => new Span(count, SpanUnit.Month),
            "year" or "years" when count <= 10 => new Span(count, SpanUnit.Year),
            _ => null,
        };
    }

    public override string ToString() =>
        $"{Count} {Unit.ToString().ToLowerInvariant()}{(Count == 1 ? "" : "s")}";
}

/// <summary>
/// Something that a plan has or has not, shown to whoever asks for it; what it means is the application's. Exactly one
/// of the three.
/// </summary>
/// <param name="Has">On or off.</param>
/// <param name="Value">A text or a number, as "priority".</param>
/// <param name="Quota">It is as much as a quota of the plan allows: name of the quota.</param>
public sealed record Feature(bool? Has, string? Value, string? Quota);

/// <summary>
/// A stretch at the beginning of a subscription in which some terms are others than the plan's, as a ramp of prices.
/// The phases follow each other from the end of the trial, or from the start.
/// </summary>
public sealed record PlanPhase(string Name, Span For)
{
    /// <summary>In place of those of the plan with the same names, or beside them.</summary>
    public IReadOnlyList<PriceComponent> Prices { get; init; } = [];

    /// <summary>The same by code of a currency, for plans that are sold in several.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<PriceComponent>> Currencies { get; init; } = PlanTerms.NoCurrencies;

    /// <summary>In place of the plan's; null for those.</summary>
    public IReadOnlyList<Limit>? Limits { get; init; }

    /// <summary>Name of a quota → units; the others keep the plan's allowance.</summary>
    public IReadOnlyDictionary<string, decimal> Allowances { get; init; } = PlanTerms.NoAllowances;

    /// <summary>The quotas of its plan as this phase has them.</summary>
    public IReadOnlyList<Quota> Apply(IReadOnlyList<Quota> quotas) => Allowances.Count == 0 ? quotas :
        [.. quotas.Select(q => Allowances.TryGetValue(q.Name, out var a) ? q with { Allowance = a } : q)];
}

/// <summary>What a version of a plan fixes beside prices and quotas.</summary>
public sealed record PlanTerms
{
    internal static readonly IReadOnlyDictionary<string, IReadOnlyList<PriceComponent>> NoCurrencies =
        new Dictionary<string, IReadOnlyList<PriceComponent>>();

    internal static readonly IReadOnlyDictionary<string, decimal> NoAllowances = new Dictionary<string, decimal>();

    public static PlanTerms None { get; } = new();

    /// <summary>Access for so long, and nothing is charged; null for none.</summary>
    public Span? Trial { get; init; }

    /// <summary>In the order of the plan; unique by name.</summary>
    public IReadOnlyList<(string Name, Feature Feature)> Features { get; init; } = [];

    /// <summary>One after the other; unique by name.</summary>
    public IReadOnlyList<PlanPhase> Phases { get; init; } = [];

    /// <summary>The plan's prices in other currencies than its own, all of them in each; by code.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<PriceComponent>> Currencies { get; init; } = NoCurrencies;

    public PlanPhase? FindPhase(string? name) => name is null ? null : Phases.FirstOrDefault(p => p.Name == name);

    /// <summary>
    /// Cuts a stretch of time where a phase ends: the phases count from an origin, and what lies behind them has the
    /// plan's own terms (null).
    /// </summary>
    /// <param name="from">Start of the stretch; at or after the origin.</param>
    /// <param name="to">Null while it runs on.</param>
    public IEnumerable<(Instant From, Instant? To, PlanPhase? Phase)> Cut(
        Instant origin, Instant from, Instant? to, DateTimeZone zone)
    {
        var end = origin;
        foreach (var phase in Phases)
        {
            end = phase.For.From(end, zone);
            if (end <= from) continue;
            if (to <= from) yield break;
            var until = to < end ? to.Value : end;
            yield return (from, until, phase);
            from = until;
        }

        if (to is null || from < to) yield return (from, to, null);
    }
}
