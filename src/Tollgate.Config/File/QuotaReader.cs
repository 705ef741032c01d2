using System.Globalization;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A quota that was read, and where it names operations.</summary>
internal sealed record QuotaDraft(Quota Quota, IReadOnlyList<(string Operation, Node Node)> Operations);

/// <summary>Reads quotas: the same for the file, for requests and for published versions.</summary>
public sealed class QuotaReader
{
    private const int MostOperations = 10_000;

    private const string Example = "{ meter: calls, allowance: 10_000, per: month, overage: block }";

    private readonly Findings _findings;

    internal QuotaReader(Findings findings) => _findings = findings;

    /// <summary>Reads a list of quotas as <see cref="QuotaWriter"/> writes it. Whether the operations exist is for the
    /// caller to know.</summary>
    public static Result<IReadOnlyList<Quota>> Read(Node quotas)
    {
        var findings = new Findings();
        var read = new QuotaReader(findings).ReadAll(quotas).ConvertAll(q => q.Quota);
        return findings.Any ? Result<IReadOnlyList<Quota>>.Refused(findings.InOrder()) : read;
    }

    internal List<QuotaDraft> ReadAll(Node node)
    {
        var drafts = new List<QuotaDraft>();
        foreach (var item in _findings.Items(node, $"[{Example}]") ?? [])
        {
            if (ReadQuota(item) is not { } draft) continue;
            if (drafts.Exists(d => d.Quota.Name == draft.Quota.Name))
            {
                _findings.Add(Code.DuplicateName, item, $"There is a quota '{draft.Quota.Name}' already. Quotas are " +
                    "told apart by their names, which are the names of their meters unless said: add 'name: …'.");
            }
            else
            {
                drafts.Add(draft);
            }
        }

        return drafts;
    }

    private QuotaDraft? ReadQuota(Node node)
    {
        if (MapReader.Open(node, _findings, Example) is not { } fields) return null;
        var nameNode = fields.Take("name");
        var meter = ReadMeter(fields.Need("meter", PriceReader.Calls));
        var operations = ReadWhere(fields.Take("where"), out var whereIsRight);
        var allowance = ReadAllowance(fields.Need("allowance", "10_000"));
        var per = ReadPeriod(fields.Need("per", "month"));
        var overage = _findings.Choice(fields.Take("overage"), "block", "bill") ?? "block";
        fields.Close();
        var named = ReadName(nameNode, out var name);
        if (meter is null || allowance is not { } units || per is not { } period || !whereIsRight || !named) return null;
        return new QuotaDraft(new Quota(name ?? meter, meter, units)
        {
            // in one order, so that equal quotas are equal text
            Operations = operations?.Select(o => o.Operation).Order(StringComparer.Ordinal).ToArray(),
            Per = period,
            Overage = overage == "bill" ? Overage.Bill : Overage.Block,
        }, operations ?? []);
    }

    private bool ReadName(Node? node, out string? name)
    {
        name = _findings.Text(node, "calls");
        if (node is null) return true;
        if (name is null) return false;
        if (Names.IsName(name)) return true;
        _findings.Add(Code.BadName, node, $"{Quote.Of(name)} cannot be the name of a quota: a name has 1 to " +
            $"{Names.Longest} letters (a-z, A-Z), digits, '_' and '-', and begins with a letter or digit.");
        return false;
    }

    private string? ReadMeter(Node? node)
    {
        if (_findings.Text(node, PriceReader.Calls) is not { } meter) return null;
        if (meter == PriceReader.Calls) return meter;
        _findings.Add(Code.UnknownMeter, node!, $"There is no meter {Quote.Of(meter)}." +
            $"{_findings.DidYouMean(meter, [PriceReader.Calls])} Known is: {PriceReader.Calls}.");
        return null;
    }

    private decimal? ReadAllowance(Node? node)
    {
        if (_findings.Text(node, "10_000") is not { } text) return null;
        if (ParseAllowance(text) is { } units) return units;
        _findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} cannot be an allowance: it is a whole number from 0 to " +
            $"{Quota.MaxAllowance.ToString("0", CultureInfo.InvariantCulture)}, as '10_000'.");
        return null;
    }

    /// <summary>Units of a meter; digits may be grouped by single underscores.</summary>
    public static decimal? ParseAllowance(ReadOnlySpan<char> text)
    {
        if (text.Length is 0 or > 40) return null;
        var units = 0m;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '_' && i > 0 && i + 1 < text.Length && text[i - 1] != '_') continue;
            if (!char.IsAsciiDigit(text[i])) return null;
            units = units * 10 + (text[i] - '0');
            if (units > Quota.MaxAllowance) return null;
        }

        return units;
    }

    private QuotaPeriod? ReadPeriod(Node? node)
    {
        if (_findings.Text(node, "month") is not { } text) return null;
        if (QuotaPeriod.Find(text) is { } period) return period;
        _findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a period of a quota. Known are: " +
            $"{QuotaPeriod.Forms}.");
        return null;
    }

    private List<(string Operation, Node Node)>? ReadWhere(Node? where, out bool right)
    {
        right = where is null;
        if (where is null || MapReader.Open(where, _findings, "{ operation: quote }") is not { } fields) return null;
        var node = fields.Need("operation", "quote");
        fields.Close();
        if (node is null) return null;
        var items = node is ListNode list ? list.Items : [node];
        if (items.Count is 0 or > MostOperations)
        {
            _findings.Add(Code.BadValue, node, items.Count > 0
                ? $"A quota names at most {MostOperations} operations."
                : "An empty list counts nothing: name an operation, or leave 'where' out for every one.");
            return null;
        }

        var operations = new List<(string, Node)>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (_findings.Text(item, "quote") is not { } name) continue;
            if (name is "" or "*")
                _findings.Add(Code.BadValue, item, "Every operation is meant when 'where' is left out.");
            else if (!seen.Add(name))
                _findings.Add(Code.DuplicateName, item, $"{Quote.Of(name)} stands in this list twice. Remove one.");
            else
                operations.Add((name, item));
        }

        right = operations.Count == items.Count;
        return operations;
    }
}
