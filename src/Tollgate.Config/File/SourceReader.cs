using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A source of the file.</summary>
public sealed record FileSource(string Name, SourceDocument Document);

/// <summary>Reads the sources of a file: counters of a Prometheus that are usage of a meter.</summary>
internal sealed class SourceReader(Findings findings)
{
    private const int MostSources = 100, MostDimensions = 16, LongestText = 2_048;

    private const string Example =
        "{ prometheus: \"http://127.0.0.1:9090\", series: api_requests_total, subject: consumer_id }";

    public List<FileSource> Read(Node? node)
    {
        if (node is null || MapReader.Open(node, findings, $"shop: {Example}") is null) return [];
        var fields = ((MapNode)node).Fields;
        if (fields.Count > MostSources)
            findings.Add(Code.TooMany, node, $"These are {fields.Count} sources; at most {MostSources} are read.");
        return fields.Take(MostSources).Select(Read).OfType<FileSource>().ToList();
    }

    private FileSource? Read(Field field)
    {
        var named = Names.Check(field, "a source", findings);
        if (MapReader.Open(field.Value, findings, Example) is not { } fields) return null;
        var prometheus = ReadUrl(fields.Need("prometheus", "http://127.0.0.1:9090"));
        var series = ReadSeries(fields.Need("series", "api_requests_total{job=\"shop\"}"));
        var meterNode = fields.Take("meter");
        var meter = meterNode is null ? Meter.CallsName : findings.Meter(meterNode);
        if (meter is not null && findings.WholeMeters.Contains(meter))
            findings.Add(Code.BadValue, meterNode!, $"The meter {Quote.Of(meter)} does not add up; a counter feeds a count or a sum.");
        var subject = ReadLabel(fields.Need("subject", "consumer_id"), "consumer_id");
        var document = new SourceDocument(prometheus ?? "", series ?? "", meter ?? "", subject ?? "")
        {
            Endpoint = ReadLabel(fields.Take("endpoint"), "endpoint"),
            Method = ReadLabel(fields.Take("method"), "method"),
            Dimensions = ReadDimensions(fields.Take("dimensions")),
            FirstSample = fields.Take("first_sample") is { } first ? findings.Choice(first, "proven", "baseline", "count") : null,
            MostSeries = findings.Whole(fields.Take("most_series"), 1, 1_000_000),
            EverySeconds = findings.Whole(fields.Take("every_seconds"), 1, 3_600),
            TokenFile = findings.Text(fields.Take("token_file"), "/run/secrets/prometheus"),
        };
        fields.Close();
        return named && prometheus is not null && series is not null && meter is not null && subject is not null
            ? new FileSource(field.Name, document) : null;
    }

    private string? ReadUrl(Node? node)
    {
        if (findings.Text(node, "http://127.0.0.1:9090") is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.UserInfo.Length == 0
            && url.Query.Length == 0 && url.Fragment.Length == 0)
            return url.AbsoluteUri.TrimEnd('/');
        findings.Add(Code.BadValue, node!, "This is not where a Prometheus is: http or https, a host and maybe a path, as " +
            "'http://127.0.0.1:9090'. What it asks for goes into 'token_file'.");
        return null;
    }

    /// <summary>One selector of series, of nothing else: what follows it is ours to write.</summary>
    private string? ReadSeries(Node? node)
    {
        if (findings.Text(node, "api_requests_total") is not { } text) return null;
        if (text.Length <= LongestText && IsSelector(text.Trim())) return text.Trim();
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a selector of series: a name, and matchers of labels in " +
            "braces, as 'api_requests_total{job=\"shop\"}'. No function and no range: raw samples are read, since rate() and " +
            "increase() guess.");
        return null;
    }

    private static bool IsSelector(string text)
    {
        var at = 0;
        while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] is '_' or ':')) at++;
        if (at == 0 || char.IsAsciiDigit(text[0])) return false;
        if (at == text.Length) return true;
        if (text[at] != '{' || text[^1] != '}') return false;
        char? quote = null;
        for (var i = at + 1; i < text.Length; i++)
        {
            if (char.IsControl(text[i])) return false;
            if (quote is not null && text[i] == '\\') i++;
            else if (quote is not null) quote = text[i] == quote ? null : quote;
            else if (text[i] is '"' or '\'') quote = text[i];
            else if (text[i] == '}') return i == text.Length - 1;
            else if (text[i] is '{' or '[' or ']' or '(' or ')' or '`' or '#') return false;
        }

        return false;
    }

    private string? ReadLabel(Node? node, string example)
    {
        if (findings.Text(node, example) is not { } text) return null;
        if (text.Length is > 0 and <= 255 && !char.IsAsciiDigit(text[0]) && text.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
            return text;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not the name of a label: letters, digits and '_', as '{example}'.");
        return null;
    }

    private OrderedDictionary<string, string>? ReadDimensions(Node? node)
    {
        if (node is null || MapReader.Open(node, findings, "{ region: region }") is null) return null;
        var fields = ((MapNode)node).Fields;
        if (fields.Count > MostDimensions)
            findings.Add(Code.TooMany, node, $"These are {fields.Count} dimensions; at most {MostDimensions} are read.");
        var dimensions = new OrderedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var field in fields.Take(MostDimensions).OrderBy(f => f.Name, StringComparer.Ordinal))
            if (Names.Check(field, "a dimension", findings) && ReadLabel(field.Value, "region") is { } label)
                dimensions.Add(field.Name, label);
        return dimensions.Count == 0 ? null : dimensions;
    }
}
