using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>
/// Reads and checks <c>tollgate.yaml</c> (or JSON, which is YAML). What it answers may be applied as it is; otherwise
/// it answers every problem at once, each with its place and what would be right.
/// </summary>
public sealed class ConfigFileReader
{
    /// <summary>The format that this reads; a field that changes meaning makes a new one.</summary>
    public const string Version = "1";

    private const int MostPlans = 1_000;

    private readonly Findings _findings;

    private ConfigFileReader(Findings findings) => _findings = findings;

    /// <summary>Reads the text of a file.</summary>
    /// <param name="fileName">As it stands before line and column in messages.</param>
    public static Result<ConfigFile> Read(string text, string fileName)
    {
        var findings = new Findings();
        var root = YamlTree.Read(text, fileName, findings);
        var file = root is null ? null : new ConfigFileReader(findings).ReadFile(root);
        return findings.Any ? Result<ConfigFile>.Refused(findings.InOrder()) : file!;
    }

    /// <summary>Reads one plan that stands for itself, as a request has it: what it names must be published.</summary>
    /// <param name="plan">As below <c>plans</c> in the file; it extends nothing.</param>
    public static Result<FilePlan> ReadPlan(string name, Node plan, Currency currency, Published published)
    {
        var findings = Findings.Of(published.Meters);
        string[] operations = [.. published.Apis.SelectMany(a => a.Operations).Select(o => o.Name).Distinct()];
        var draft = new PlanReader(findings, operations).Read(new Field(name, null, plan));
        var drafts = new Dictionary<string, PlanDraft>(StringComparer.Ordinal);
        if (draft is not null) drafts.Add(name, draft);
        var read = new PlanInheritance(
            findings, drafts, new HashSet<string> { name }, HeaderFamilies.Kong, currency.Code).Plans();
        return findings.Any ? Result<FilePlan>.Refused(findings.InOrder()) : read[0];
    }

    private ConfigFile? ReadFile(Node root)
    {
        if (MapReader.Open(root, _findings, "version: 1") is not { } fields) return null;
        if (!IsReadable(fields.Need("version", "1"))) return null;
        var currency = ReadCurrency(fields.Need("currency", "USD"));
        var apis = new ApiReader(_findings);
        apis.Read(fields.Take("apis"));
        var meters = new MeterReader(_findings, apis.OperationNames);
        meters.Read(fields.Take("meters"));
        apis.ReadReserves(meters.Meters);
        _findings.Meters = meters.Names;
        _findings.WholeMeters = meters.Whole;
        _findings.Shapes = meters.Shapes;
        var sources = new SourceReader(_findings).Read(fields.Take("sources"));
        var headers = ReadHeaders(fields.Take("headers"));
        var plans = ReadPlans(fields.Take("plans"), apis.OperationNames, (headers, currency?.Code ?? ""));
        fields.Close();
        return currency is null ? null : new ConfigFile(currency, apis.Apis, plans) { Meters = meters.Meters, Sources = sources };
    }

    /// <summary>A file of another format is not read further: each of its differences would look like an error. One
    /// without a version is read for all else that it has.</summary>
    private bool IsReadable(Node? version)
    {
        if (version is null || _findings.Text(version, Version) is not { } text || text == Version) return true;
        _findings.Add(Code.UnsupportedVersion, version,
            $"{Quote.Of(text)} is not a version of this format that can be read; write 'version: {Version}'.");
        return false;
    }

    private Currency? ReadCurrency(Node? node)
    {
        if (_findings.Text(node, "USD") is not { } text) return null;
        if (Currency.Find(text) is { } found) return found;
        var near = Currency.Find(text.Trim().ToUpperInvariant()) is { } meant ? $" Did you mean '{meant}'?" : "";
        _findings.Add(Code.UnknownCurrency, node!,
            $"{Quote.Of(text)} is not a currency code of ISO 4217, as USD, EUR or JPY.{near}");
        return null;
    }

    private HeaderFamilies ReadHeaders(Node? node)
    {
        if (_findings.Items(node, "[kong, ietf]") is not { } items) return HeaderFamilies.Kong;
        var families = HeaderFamilies.None;
        foreach (var item in items)
        {
            var family = _findings.Choice(item, "kong", "ietf") switch
            {
                "kong" => HeaderFamilies.Kong,
                "ietf" => HeaderFamilies.Ietf,
                _ => HeaderFamilies.None,
            };
            if (families.HasFlag(family) && family != HeaderFamilies.None)
                _findings.Add(Code.DuplicateName, item, "This family of headers stands in this list twice. Remove one.");
            families |= family;
        }

        return families;
    }

    private List<FilePlan> ReadPlans(
        Node? node, IReadOnlyCollection<string> operations, (HeaderFamilies Headers, string Currency) of)
    {
        if (node is null || MapReader.Open(node, _findings, "free: { operations: [\"*\"] }") is null) return [];
        var fields = ((MapNode)node).Fields;
        if (fields.Count > MostPlans)
        {
            _findings.Add(Code.TooMany, node, $"These are {fields.Count} plans; at most {MostPlans} are read.");
            return [];
        }

        var reader = new PlanReader(_findings, operations);
        var drafts = fields.Select(reader.Read).OfType<PlanDraft>().ToDictionary(p => p.Name, StringComparer.Ordinal);
        var names = fields.Select(f => f.Name).ToHashSet(StringComparer.Ordinal);
        return new PlanInheritance(_findings, drafts, names, of.Headers, of.Currency).Plans();
    }
}
