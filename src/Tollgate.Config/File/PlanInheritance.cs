using System.Globalization;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>
/// Fills in what plans take from the plans that they extend. Scalars and lists of the plan itself stand in place of
/// inherited ones; prices are added by name, and one of the same name replaces the inherited one whole. The name for
/// people is not inherited: two plans would look like one.
/// </summary>
internal sealed class PlanInheritance(
    Findings findings, IReadOnlyDictionary<string, PlanDraft> drafts, IReadOnlySet<string> names,
    HeaderFamilies headers, string currency)
{
    /// <summary>Plans in one chain.</summary>
    private const int MostLevels = 16;

    private readonly HashSet<string> _reported = new(StringComparer.Ordinal);

    /// <summary>In the order of the file.</summary>
    public List<FilePlan> Plans() => [.. drafts.Values.Select(PlanOf).OfType<FilePlan>()];

    private FilePlan? PlanOf(PlanDraft draft)
    {
        if (ChainOf(draft) is not { } chain) return null;
        var operations = chain.FirstOfAll(p => p.Operations);
        if (operations is null && chain.IsWhole)
        {
            findings.Add(new(Code.MissingField, "'operations' is missing. Add it, as 'operations: [\"*\"]' for " +
                "every operation of the file.", draft.Node.PathOf("operations"), draft.Node.Place));
        }

        var prices = PricesOf(chain);
        if (prices.Count > PriceReader.MostPrices)
        {
            findings.Add(Code.TooMany, draft.Node, $"These are {prices.Count} prices with the inherited ones; a " +
                $"plan has at most {PriceReader.MostPrices}.");
        }
        else if (operations is { IsRight: true, IsEvery: false })
        {
            var included = operations.Names.ToHashSet(StringComparer.Ordinal);
            CheckPrices(draft, included, prices);
            CheckPrices(draft, included, [.. OtherPrices(draft).Select(p => (p, draft))]);
        }

        var (limits, quotas) = (chain.FirstOfAll(p => p.Limits) ?? [], chain.FirstOfAll(p => p.Quotas) ?? []);
        if (limits.Count <= Limit.MostOfPlan && limits.Count + quotas.Count > Limit.MostOfPlan)
        {
            findings.Add(Code.TooMany, draft.Node, $"These are {limits.Count} limits and {quotas.Count} quotas; a plan " +
                $"has at most {Limit.MostOfPlan} of both together.");
        }

        var terms = TermsOf(chain);
        if (chain.IsWhole) CheckTerms(draft, prices, quotas, terms);

        return operations is null ? null : new FilePlan(
            draft.Name, draft.DisplayName, operations.Names, limits,
            [.. prices.Select(p => p.Price.Component)])
        {
            Quotas = quotas,
            Terms = terms,
            UpgradeUrl = chain.FirstOfAll(p => p.UpgradeUrl),
            Metering = chain.Plans.Select(p => p.Metering).FirstOrDefault(c => c is not null) ?? MeteringUnavailable.Closed,
            LimitsUnavailable =
                chain.Plans.Select(p => p.LimitsUnavailable).FirstOrDefault(c => c is not null) ?? LimitsUnavailable.Share,
            ClosedWhenStale = chain.Plans.Select(p => p.ClosedWhenStale).FirstOrDefault(c => c is not null) ?? false,
            Headers = headers,
            Billable = chain.FirstOfAll(p => p.Billable),
            Migrate = chain.Plans.Select(p => p.Migrate).FirstOrDefault(m => m is not null) ?? Migration.Never,
        };
    }

    /// <summary>The plan, the one that it extends, and so on; null when that never ends.</summary>
    private Chain? ChainOf(PlanDraft draft)
    {
        var plans = new List<PlanDraft> { draft };
        while (plans[^1].Extends is { } parent)
        {
            var child = plans[^1];
            if (!drafts.TryGetValue(parent, out var next))
            {
                if (!names.Contains(parent) && _reported.Add(child.Name)) UnknownPlan(child, parent);
                return new Chain(plans, IsWhole: false);
            }

            if (plans.IndexOf(next) is >= 0 and var start)
            {
                Circle(plans[start..]);
                return null;
            }

            plans.Add(next);
            if (plans.Count <= MostLevels) continue;
            findings.Add(Code.ExtendsTooDeep, draft.Node.Find("extends")!, $"This chain of plans is longer than " +
                $"{MostLevels}. Extend a plan that is nearer to its beginning.");
            return null;
        }

        return new Chain(plans, IsWhole: plans[^1].Node.Find("extends") is null);
    }

    private void UnknownPlan(PlanDraft child, string parent) => findings.Add(Code.UnknownPlan,
        child.Node.Find("extends")!, $"There is no plan {Quote.Of(parent)}.{findings.DidYouMean(parent, names)} " +
        $"Known are: {Names.List(names)}.");

    /// <summary>Once for all plans of a circle.</summary>
    private void Circle(List<PlanDraft> circle)
    {
        if (circle.Any(p => _reported.Contains(p.Name))) return;
        foreach (var plan in circle) _reported.Add(plan.Name);
        var way = string.Join(" → ", circle.Append(circle[0]).Select(p => p.Name));
        findings.Add(Code.CircularExtends, circle[0].Node.Find("extends")!,
            $"These plans extend each other in a circle: {way}. Remove one 'extends'.");
    }

    private static List<(PriceDraft Price, PlanDraft From)> PricesOf(Chain chain)
    {
        var prices = new OrderedDictionary<string, (PriceDraft, PlanDraft)>(StringComparer.Ordinal);
        foreach (var plan in chain.Plans.Reverse())
        {
            foreach (var price in plan.Prices) prices[price.Component.Name] = (price, plan);
        }

        return [.. prices.Values];
    }

    /// <summary>At the price's own field, or where the plan says what it extends.</summary>
    private void CheckTerms(
        PlanDraft draft, List<(PriceDraft Price, PlanDraft From)> prices, IReadOnlyList<Quota> quotas, PlanTerms terms)
    {
        foreach (var problem in PlanChecks.Faults([.. prices.Select(p => p.Price.Component)], quotas, terms, currency))
        {
            var steps = problem.Field!.Replace("[", ".[", StringComparison.Ordinal).Split('.');
            var at = Deepest(draft.Node, steps);
            if (at != draft.Node) findings.Add(problem.Code, at, problem.Detail);
            else if (draft.Node.Find("extends") is { } extends)
                findings.Add(problem.Code, extends, (steps[0] == "prices" ? $"The inherited price '{steps[1]}': " : "Inherited: ")
                    + problem.Detail);
            else findings.Add(problem.Code, draft.Node, problem.Detail);
        }
    }

    /// <summary>The field that a problem names, or the nearest one around it that the plan has; the plan itself when that
    /// would be a field that holds others.</summary>
    private static Node Deepest(Node plan, string[] steps)
    {
        var at = plan;
        foreach (var step in steps)
        {
            var next = step[0] == '[' ? (at as ListNode)?.Items[int.Parse(step[1..^1], CultureInfo.InvariantCulture)]
                : at.Find(step);
            if (next is null) break;
            at = next;
        }

        return steps[0] == "prices" && at == plan.Find("prices") ? plan : at;
    }

    /// <summary>Each of the plan's own prices in other currencies and in phases.</summary>
    private static IEnumerable<PriceDraft> OtherPrices(PlanDraft draft) =>
        (draft.Phases ?? []).SelectMany(p => p.Lists).Concat(draft.Currencies).SelectMany(l => l.Prices);

    /// <summary>Features are added by name, prices in other currencies by currency and name.</summary>
    private static PlanTerms TermsOf(Chain chain)
    {
        var features = new OrderedDictionary<string, Feature>(StringComparer.Ordinal);
        var currencies = new OrderedDictionary<string, IReadOnlyList<PriceComponent>>(StringComparer.Ordinal);
        foreach (var plan in chain.Plans.Reverse())
        {
            foreach (var (name, feature) in plan.Features) features[name] = feature;
            foreach (var (code, prices) in plan.Currencies)
                currencies[code!] = PlanVersion.With(
                    currencies.GetValueOrDefault(code!) ?? [], [.. prices.Select(p => p.Component)]);
        }

        return new PlanTerms
        {
            Trial = chain.Plans.FirstOrDefault(p => p.SaysTrial)?.Trial,
            Features = [.. features.Select(f => (f.Key, f.Value))],
            Phases = [.. (chain.FirstOfAll(p => p.Phases) ?? []).Select(p => p.Done)],
            Currencies = currencies,
        };
    }

    /// <summary>A price for calls that the plan does not let through would never bill, which nobody means.</summary>
    private void CheckPrices(
        PlanDraft draft, HashSet<string> included, List<(PriceDraft Price, PlanDraft From)> prices)
    {
        foreach (var (price, from) in prices)
        {
            foreach (var (operation, at) in price.Operations)
            {
                if (included.Contains(operation)) continue;
                var own = from == draft;
                var inherited = own ? "" : $", which is inherited from '{from.Name}',";
                findings.Add(Code.PriceOutsidePlan, own ? at : draft.Node.Find("extends")!,
                    $"The price '{price.Component.Name}'{inherited} bills the operation '{operation}', which the " +
                    $"plan '{draft.Name}' does not include. Add it to the plan's operations, or change the price.");
            }
        }
    }

    /// <param name="IsWhole">False when an end of it is missing, so that what is missing may have stood there.</param>
    private sealed record Chain(IReadOnlyList<PlanDraft> Plans, bool IsWhole)
    {
        public T? FirstOfAll<T>(Func<PlanDraft, T?> part) where T : class =>
            Plans.Select(part).FirstOrDefault(p => p is not null);
    }
}
