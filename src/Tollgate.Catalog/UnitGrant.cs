namespace Tollgate.Catalog;

/// <summary>Credit in units of a meter: it takes the place of what a price would ask for, beyond what the price includes.
/// </summary>
/// <param name="Key">Tells it from others.</param>
/// <param name="Left">Units of the meter, as they are counted: before any conversion.</param>
public sealed record UnitGrant(long Key, string Meter, decimal Left)
{
    /// <summary>Names of the prices that it is for; null for all of the meter.</summary>
    public IReadOnlyList<string>? Prices { get; init; }

    /// <summary>What is used from then on burns it; microseconds UTC.</summary>
    public long From { get; init; } = long.MinValue;

    public long To { get; init; } = long.MaxValue;

    public bool Covers(string price, long at) => From <= at && at < To && (Prices is null || Prices.Contains(price));

    public bool Equals(UnitGrant? other) => other is not null
        && (Key, Meter, Left, From, To) == (other.Key, other.Meter, other.Left, other.From, other.To)
        && (Prices ?? []).SequenceEqual(other.Prices ?? []) && Prices is null == other.Prices is null;

    public override int GetHashCode() => HashCode.Combine(Key, Left);
}

/// <summary>So many units of a grant were used.</summary>
public readonly record struct UnitBurn(long Grant, decimal Units);

/// <summary>
/// Usage of a price, in the order in which credit in units is burnt, and what of it lies beyond the included units.
/// </summary>
/// <param name="Used">In order of time.</param>
internal sealed record Beyond(PriceComponent Price, Usage[] Used, decimal Included)
{
    public List<UnitBurn>?[] Burns { get; } = new List<UnitBurn>?[Used.Length];

    /// <summary>What is beyond, and no credit was left for.</summary>
    public decimal Uncovered { get; set; }

    /// <summary>Each item with what it adds to what is beyond; below zero where a correction takes some back.</summary>
    public IEnumerable<(int Item, decimal Units)> Items()
    {
        // single events are priced one by one: no units of theirs stand for others
        if (Price.LooksAtEvents) yield break;
        var (total, free) = (0m, UnitCredit.Counted(Price.Price, Included));
        for (var i = 0; i < Used.Length; i++)
        {
            var before = Math.Max(0, total - free);
            total = Exact.Add(total, Used[i].Total);
            if (Math.Max(0, total - free) - before is not 0m and var units) yield return (i, units);
        }
    }
}

/// <summary>Burns credit in units: in order of time, and of grants in the order in which they are given.</summary>
public static class UnitCredit
{
    /// <summary>Included units, as priced, in units of the meter.</summary>
    public static decimal Counted(Price price, decimal included) => price.Convert switch
    {
        null => included,
        { Divides: true } c => Exact.Multiply(included, c.Factor),
        var c => included / c.Factor,
    };

    /// <summary>
    /// The plan with what credit also counts: a quota that stops calls, and that no price asks about, is a price of
    /// nothing beyond its allowance. So credit lets calls pass that the quota would refuse, and is burnt for them.
    /// </summary>
    /// <param name="meters">Of which there is credit.</param>
    /// <param name="interval">Of the subscription: the allowance of other windows is a limit that credit does not lift.</param>
    public static PlanVersion Measured(PlanVersion plan, IReadOnlySet<string> meters, Interval interval)
    {
        if (meters.Count == 0) return plan;
        PriceComponent[] quotas =
        [
            .. from q in plan.Quotas
               where meters.Contains(q.Meter) && IsLifted(q, interval)
               where !plan.Prices.Any(p => p.Meter == q.Meter && (p.Operations is null || q.Operations is null
                   || p.Operations.Intersect(q.Operations).Any()))
               select new PriceComponent("quota " + q.Name, q.Meter, q.Operations, new Price.PerUnit(0) { Included = q.Allowance }),
        ];
        return quotas.Length == 0 ? plan : plan with { Prices = [.. plan.Prices, .. quotas] };
    }

    /// <summary>Whether credit lets calls pass that a quota alone would refuse.</summary>
    public static bool IsLifted(Quota quota, Interval interval) => quota.Overage == Overage.Block
        && !quota.Per.Calendar && (quota.Per.Unit is null || quota.Per.Unit == interval);

    /// <summary>Takes units from grants in their order, as far as something is left: the one place that says which credit pays
    /// for which usage, for the gate and for invoices.</summary>
    /// <param name="grants">In the order in which they are burnt.</param>
    /// <param name="left">Of each; becomes less.</param>
    /// <param name="price">Whose usage it is.</param>
    /// <param name="at">When it was used; null for whenever the grant is valid.</param>
    /// <param name="units">At most.</param>
    /// <param name="taken">Of each; becomes more. Empty when nobody asks.</param>
    /// <returns>How many were taken.</returns>
    public static decimal Take(
        ReadOnlySpan<UnitGrant> grants, Span<decimal> left, PriceComponent price, long? at, decimal units, Span<decimal> taken)
    {
        var sum = 0m;
        for (var g = 0; g < grants.Length && units > 0; g++)
        {
            var grant = grants[g];
            if (left[g] <= 0 || grant.Meter != price.Meter || !grant.Covers(price.Name, at ?? grant.To - 1)) continue;
            var part = Math.Min(units, left[g]);
            (left[g], units, sum) = (left[g] - part, units - part, sum + part);
            if (!taken.IsEmpty) taken[g] += part;
        }

        return sum;
    }

    /// <summary>Gives units back that a correction takes back, also for both: what was taken last comes back first.</summary>
    /// <param name="left">Of each grant; becomes more.</param>
    /// <param name="taken">Of each; becomes less. Empty when nothing was.</param>
    /// <param name="units">At most.</param>
    /// <returns>How many came back.</returns>
    public static decimal GiveBack(Span<decimal> left, Span<decimal> taken, decimal units)
    {
        var sum = 0m;
        for (var g = taken.Length - 1; g >= 0 && units > 0; g--)
        {
            var part = Math.Min(units, taken[g]);
            (taken[g], left[g], units, sum) = (taken[g] - part, left[g] + part, units - part, sum + part);
        }

        return sum;
    }

    internal static void Burn(IReadOnlyList<Beyond> prices, IReadOnlyList<UnitGrant> grants)
    {
        var left = grants.Select(g => g.Left).ToArray();
        UnitGrant[] inOrder = [.. grants];
        // by price, item and grant
        var burnt = prices.Select(p => new decimal[]?[p.Used.Length]).ToArray();
        var items = prices.SelectMany((p, order) => p.Items().Select(i => (p, order, i.Item, i.Units)))
            .OrderBy(i => i.p.Used[i.Item].At).ThenBy(i => i.p.Used[i.Item].Operation, StringComparer.Ordinal)
            .ThenBy(i => i.order).ThenBy(i => i.Item);
        foreach (var (price, order, item, units) in items)
            if (units > 0)
            {
                var taken = burnt[order][item] ??= new decimal[left.Length];
                price.Uncovered += units - Take(inOrder, left, price.Price, price.Used[item].At, units, taken);
            }
            else GiveBackOf(price, burnt[order].AsSpan(0, item), -units);

        for (var order = 0; order < burnt.Length; order++)
            for (var i = 0; i < burnt[order].Length; i++)
                if (burnt[order][i] is { } taken)
                    prices[order].Burns[i] = [.. grants.Select((g, at) => new UnitBurn(g.Key, taken[at])).Where(b => b.Units > 0)];

        // what a correction takes back was not covered, or was covered last
        void GiveBackOf(Beyond of, Span<decimal[]?> before, decimal units)
        {
            var uncovered = Math.Min(units, of.Uncovered);
            (units, of.Uncovered) = (units - uncovered, of.Uncovered - uncovered);
            for (var i = before.Length - 1; i >= 0 && units > 0; i--) units -= GiveBack(left, before[i], units);
        }
    }
}
