using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A plan as its own lines say it: what is null is left out, and may come from the plan that it extends.
/// </summary>
internal sealed record PlanDraft
{
    public required string Name { get; init; }

    public required MapNode Node { get; init; }

    public string? DisplayName { get; init; }

    public string? Extends { get; init; }

    public OperationList? Operations { get; init; }

    public IReadOnlyList<Limit>? Limits { get; init; }

    /// <summary>Of the operations that they name, those that exist.</summary>
    public IReadOnlyList<PriceDraft> Prices { get; init; } = [];

    public IReadOnlyList<Quota>? Quotas { get; init; }

    /// <summary>Whether it says something of a trial, even that there is none.</summary>
    public bool SaysTrial { get; init; }

    public Span? Trial { get; init; }

    public IReadOnlyList<(string Name, Feature Feature)> Features { get; init; } = [];

    public IReadOnlyList<PhaseDraft>? Phases { get; init; }

    public IReadOnlyList<PriceList> Currencies { get; init; } = [];

    public string? UpgradeUrl { get; init; }

    public LimitsUnavailable? LimitsUnavailable { get; init; }

    public bool? ClosedWhenStale { get; init; }

    public MeteringUnavailable? Metering { get; init; }

    public Migration? Migrate { get; init; }

    public IReadOnlyList<string>? Billable { get; init; }
}

/// <summary>The operations of a plan, as its own line says them.</summary>
/// <param name="IsRight">False when something in it was found wrong: then nothing follows from what is missing.</param>
internal sealed record OperationList(IReadOnlyList<string> Names, bool IsRight)
{
    public const string Every = "*";

    public bool IsEvery => Names.Contains(Every);
}

/// <summary>Reads one plan after the other, each for itself.</summary>
internal sealed class PlanReader(Findings findings, IReadOnlyCollection<string> operations)
{
    private readonly HashSet<string> _operations = operations.ToHashSet(StringComparer.Ordinal);
    private readonly PriceReader _prices = new(findings);
    private readonly QuotaReader _quotas = new(findings);
    private readonly LimitReader _limits = new(findings);

    /// <summary>Null when it has no usable name or is no map.</summary>
    public PlanDraft? Read(Field plan)
    {
        var named = Names.Check(plan, "a plan", findings);
        if (MapReader.Open(plan.Value, findings, "{ operations: [\"*\"] }") is not { } fields) return null;
        var terms = new PlanTermsReader(findings, ReadPrices);
        var draft = new PlanDraft
        {
            Name = plan.Name,
            Node = (MapNode)plan.Value,
            DisplayName = ReadDisplayName(fields.Take("name")),
            Extends = findings.Text(fields.Take("extends"), "free"),
            Operations = ReadOperations(fields.Take("operations")),
            Limits = _limits.ReadAll(fields.Take("limits")),
            UpgradeUrl = ReadUrl(fields.Take("upgrade_url")),
            LimitsUnavailable = findings.Choice(fields.Take("limits_unavailable"), "share", "open", "closed") switch
            {
                "share" => LimitsUnavailable.Share,
                "open" => LimitsUnavailable.Open,
                "closed" => LimitsUnavailable.Closed,
                _ => null,
            },
            ClosedWhenStale = findings.Choice(fields.Take("when_stale"), "open", "closed") switch
            {
                "open" => false,
                "closed" => true,
                _ => null,
            },
            Metering = findings.Choice(fields.Take("metering"), "closed", "open") switch
            {
                "closed" => MeteringUnavailable.Closed,
                "open" => MeteringUnavailable.Open,
                _ => null,
            },
            Quotas = ReadQuotas(fields.Take("quotas")),
            Prices = ReadPrices(fields.Take("prices")),
            Billable = new UnitsReader(findings).ReadBillable(fields.Take("billable")),
            Migrate = findings.Choice(fields.Take("migrate"), "never", "now", "renewal") switch
            {
                "never" => Migration.Never,
                "now" => Migration.Now,
                "renewal" => Migration.Renewal,
                _ => null,
            },
            Trial = terms.ReadTrial(fields.Take("trial"), out var saysTrial),
            SaysTrial = saysTrial,
            Features = terms.ReadFeatures(fields.Take("features")) ?? [],
            Phases = terms.ReadPhases(fields.Take("phases")),
            Currencies = terms.ReadCurrencies(fields.Take("currencies")),
        };
        fields.Close();
        return named ? draft : null;
    }

    private string? ReadDisplayName(Node? node)
    {
        const int longest = 200;
        if (findings.Text(node, "Pro") is not { } text) return null;
        if (text.Trim().Length > 0 && text.Length <= longest && !text.Any(char.IsControl)) return text;
        findings.Add(Code.BadValue, node!, $"A name for people has 1 to {longest} characters in one line.");
        return null;
    }

    private string? ReadUrl(Node? node)
    {
        const int longest = 500;
        if (findings.Text(node, "https://example.com/plans") is not { } text) return null;
        if (text.Length <= longest && text.All(c => c is > ' ' and <= '~')
            && Uri.TryCreate(text, UriKind.Absolute, out var url) && (url.Scheme is "http" or "https"))
            return text;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not an absolute http or https URL of at most " +
            $"{longest} characters, as 'https://example.com/plans'.");
        return null;
    }

    private OperationList? ReadOperations(Node? node)
    {
        if (node is null) return null;
        var items = findings.Items(node, "[quote, analytics]") ?? [];
        var names = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (findings.Text(item, "quote") is not { } name) continue;
            if (!seen.Add(name))
                findings.Add(Code.DuplicateName, item, $"{Quote.Of(name)} stands in this list twice. Remove one.");
            else if (name == OperationList.Every || IsKnown(item, name))
                names.Add(name);
        }

        if (seen.Contains(OperationList.Every) && items.Count > 1)
        {
            findings.Add(Code.BadValue, node, "'*' is every operation of the file and stands alone: write [\"*\"], " +
                "or only names.");
        }

        return new OperationList(names, node is ListNode && names.Count == items.Count);
    }

    private bool IsKnown(Node node, string operation)
    {
        if (_operations.Contains(operation)) return true;
        if (findings.Full) findings.Add(Code.UnknownOperation, node, "");
        else
        {
            findings.Add(Code.UnknownOperation, node, $"No API of this file has an operation {Quote.Of(operation)}." +
                $"{findings.DidYouMean(operation, operations)} Known are: {Names.List(operations)}.");
        }

        return false;
    }

    private List<Quota>? ReadQuotas(Node? node)
    {
        if (node is null) return null;
        var drafts = _quotas.ReadAll(node);
        foreach (var (name, at) in drafts.SelectMany(d => d.Operations)) IsKnown(at, name);
        return drafts.ConvertAll(d => d.Quota);
    }

    private List<PriceDraft> ReadPrices(Node? node)
    {
        if (node is null) return [];
        return _prices.ReadAll(node).ConvertAll(
            p => p with { Operations = p.Operations.Where(o => IsKnown(o.Node, o.Operation)).ToArray() });
    }
}
