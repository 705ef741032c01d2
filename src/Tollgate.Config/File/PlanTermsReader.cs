using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A map of prices that was read.</summary>
/// <param name="Currency">Null for the plan's own.</param>
internal sealed record PriceList(string? Currency, IReadOnlyList<PriceDraft> Prices);

/// <summary>A phase that was read.</summary>
internal sealed record PhaseDraft(PlanPhase Phase, IReadOnlyList<PriceList> Lists)
{
    public PlanPhase Done => Phase with
    {
        Prices = [.. Lists.Where(l => l.Currency is null).SelectMany(l => l.Prices).Select(p => p.Component)],
        Currencies = Lists.Where(l => l.Currency is not null).ToDictionary(
            l => l.Currency!, IReadOnlyList<PriceComponent> (l) => [.. l.Prices.Select(p => p.Component)]),
    };
}

/// <summary>
/// Reads what a plan fixes beside prices and quotas: trial, features, phases, prices in other currencies. The same for
/// the file, for requests and for published versions.
/// </summary>
public sealed class PlanTermsReader
{
    private readonly Findings _findings;
    private readonly Func<Node, List<PriceDraft>> _readPrices;

    internal PlanTermsReader(Findings findings, Func<Node, List<PriceDraft>> readPrices) =>
        (_findings, _readPrices) = (findings, readPrices);

    private const string NoTrial = "none";

    private const int MostFeatures = 100, LongestValue = 500, MostPhases = 12, MostCurrencies = 50;

    private const string PhaseExample = "{ name: ramp, for: 3 months, prices: { base: … } }";

    /// <summary>The terms as <see cref="PlanTermsWriter"/> writes them, or as a request has them.</summary>
    /// <param name="node">The map.</param>
    /// <param name="meters">Those that prices may name; null where they are not known.</param>
    public static Result<PlanTerms> Read(Node node, IReadOnlyCollection<PublishedMeter>? meters = null)
    {
        var findings = Findings.Of(meters);
        var prices = new PriceReader(findings);
        var reader = new PlanTermsReader(findings, prices.ReadAll);
        var terms = PlanTerms.None;
        if (MapReader.Open(node, findings, "{ trial: 14 days }") is { } fields)
        {
            terms = new PlanTerms
            {
                Trial = reader.ReadTrial(fields.Take("trial"), out _),
                Features = reader.ReadFeatures(fields.Take("features")) ?? [],
                Phases = [.. (reader.ReadPhases(fields.Take("phases")) ?? []).Select(p => p.Done)],
                Currencies = reader.ReadCurrencies(fields.Take("currencies")).ToDictionary(
                    l => l.Currency!, IReadOnlyList<PriceComponent> (l) => [.. l.Prices.Select(p => p.Component)]),
            };
            fields.Close();
        }

        return findings.Any ? Result<PlanTerms>.Refused(findings.InOrder()) : terms;
    }

    /// <param name="said">Whether something stands there: <c>none</c> takes an inherited trial away.</param>
    public Span? ReadTrial(Node? node, out bool said)
    {
        said = node is not null;
        if (_findings.Text(node, "14 days") is not { } text || text == NoTrial) return null;
        if (Span.Find(text) is { } span) return span;
        _findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a trial: {Span.Forms}, or '{NoTrial}'.");
        return null;
    }

    public List<(string Name, Feature Feature)>? ReadFeatures(Node? node)
    {
        if (node is null || MapReader.Open(node, _findings, "{ support: priority }") is null) return null;
        var fields = ((MapNode)node).Fields;
        if (fields.Count > MostFeatures)
            _findings.Add(Code.TooMany, node, $"These are {fields.Count} features; a plan has at most {MostFeatures}.");
        var features = new List<(string, Feature)>();
        foreach (var field in fields.Take(MostFeatures))
            if (Names.Check(field, "a feature", _findings) && ReadFeature(field.Value) is { } feature)
                features.Add((field.Name, feature));
        return features;
    }

    internal List<PhaseDraft>? ReadPhases(Node? node)
    {
        if (_findings.Items(node, $"[{PhaseExample}]") is not { } items) return null;
        if (items.Count > MostPhases)
            _findings.Add(Code.TooMany, node!, $"These are {items.Count} phases; a plan has at most {MostPhases}.");
        var phases = new List<PhaseDraft>();
        foreach (var item in items.Take(MostPhases))
        {
            if (ReadPhase(item) is not { } draft) continue;
            if (phases.Exists(p => p.Phase.Name == draft.Phase.Name))
                _findings.Add(Code.DuplicateName, item, $"There is a phase '{draft.Phase.Name}' already. Rename one.");
            else
                phases.Add(draft);
        }

        return phases;
    }

    /// <summary>Currency → prices.</summary>
    internal List<PriceList> ReadCurrencies(Node? node)
    {
        if (node is null || MapReader.Open(node, _findings, "{ EUR: { base: { model: flat, amount: \"45.00\", every: month } } }") is null)
            return [];
        var lists = new List<PriceList>();
        foreach (var field in ((MapNode)node).Fields.Take(MostCurrencies))
        {
            if (Currency.Find(field.Name) is null)
                _findings.Add(new(Code.UnknownCurrency, $"{Quote.Of(field.Name)} is not a currency code of ISO 4217, as " +
                    "USD, EUR or JPY.", field.Value.Path, field.Place));
            lists.Add(new PriceList(field.Name, _readPrices(field.Value)));
        }

        return lists;
    }

    private Feature? ReadFeature(Node node)
    {
        if (node is ScalarNode { Kind: ScalarKind.Boolean }) return new Feature(_findings.Flag(node), null, null);
        if (node is MapNode)
        {
            var fields = MapReader.Open(node, _findings, "{ quota: calls }")!;
            var quota = _findings.Text(fields.Need("quota", "calls"), "calls");
            fields.Close();
            return quota is null ? null : new Feature(null, null, quota);
        }

        if (_findings.Text(node, "priority") is not { } text) return null;
        if (text.Length is > 0 and <= LongestValue && !text.Any(char.IsControl)) return new Feature(null, text, null);
        _findings.Add(Code.BadValue, node, $"The value of a feature has 1 to {LongestValue} characters in one line.");
        return null;
    }

    private PhaseDraft? ReadPhase(Node node)
    {
        if (MapReader.Open(node, _findings, PhaseExample) is not { } fields) return null;
        var nameNode = fields.Need("name", "ramp");
        var name = _findings.Text(nameNode, "ramp");
        if (name is not null && !Names.IsName(name))
        {
            _findings.Add(Code.BadName, nameNode!, $"{Quote.Of(name)} cannot be the name of a phase: 1 to {Names.Longest} " +
                "letters, digits, '_' and '-'.");
            name = null;
        }

        var forNode = fields.Need("for", "3 months");
        var length = _findings.Text(forNode, "3 months") is { } text ? Span.Find(text) : null;
        if (forNode is ScalarNode && length is null)
            _findings.Add(Code.BadValue, forNode, $"This is not the length of a phase: {Span.Forms}.");
        var prices = fields.Take("prices");
        List<PriceList> lists = prices is null ? [] : [new PriceList(null, _readPrices(prices))];
        lists.AddRange(ReadCurrencies(fields.Take("currencies")));
        var limitsNode = fields.Take("limits");
        var limits = limitsNode is null ? null : new LimitReader(_findings).ReadAll(limitsNode);
        var allowances = ReadAllowances(fields.Take("allowances"));
        fields.Close();
        return name is null || length is not { } span ? null
            : new PhaseDraft(new PlanPhase(name, span) { Limits = limits, Allowances = allowances }, lists);
    }

    private OrderedDictionary<string, decimal> ReadAllowances(Node? node)
    {
        var allowances = new OrderedDictionary<string, decimal>(StringComparer.Ordinal);
        if (node is null || MapReader.Open(node, _findings, "{ calls: 20_000 }") is null) return allowances;
        foreach (var field in ((MapNode)node).Fields.OrderBy(f => f.Name, StringComparer.Ordinal))
        {
            if (_findings.Text(field.Value, "20_000") is not { } text) continue;
            if (QuotaReader.ParseAllowance(text) is { } units) allowances.Add(field.Name, units);
            else _findings.Add(Code.BadValue, field.Value, $"{Quote.Of(text)} is not an allowance: a whole number of units.");
        }

        return allowances;
    }
}
