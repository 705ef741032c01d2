using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A source of the file.</summary>
public sealed record FileSource(string Name, SourceDocument Document);

/// <summary>Reads the sources of a file: counters of a Prometheus that are usage of a meter.</summary>
internal sealed class SourceReader(Findings findings)
{
    private const int MostSources = 100, MostDimensions = 16;

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
        var sent = findings.Flag(fields.Take("remote_write")) == true;
        var place = sent ? fields.Take("prometheus") : fields.Need("prometheus", "http://127.0.0.1:9090");
        var prometheus = ReadUrl(place);
        var series = ReadSeries(fields.Need("series", "api_requests_total{job=\"shop\"}"));
        var meterNode = fields.Take("meter");
        var meter = meterNode is null ? Meter.CallsName : findings.Meter(meterNode);
        if (meter is not null && findings.WholeMeters.Contains(meter))
            findings.Add(Code.BadValue, meterNode!, $"The meter {Quote.Of(meter)} does not add up; a counter feeds a count or a sum.");
        var subject = ReadLabel(fields.Need("subject", "consumer_id"), "consumer_id");
        var (every, token) = (fields.Take("every_seconds"), fields.Take("token_file"));
        if (sent)
        {
            RefuseAsking(place, "prometheus");
            RefuseAsking(every, "every_seconds");
            RefuseAsking(token, "token_file");
        }

        var document = new SourceDocument(sent ? null : prometheus ?? "", series ?? "", meter ?? "", subject ?? "")
        {
            Endpoint = ReadLabel(fields.Take("endpoint"), "endpoint"),
            Method = ReadLabel(fields.Take("method"), "method"),
            Dimensions = ReadDimensions(fields.Take("dimensions")),
            FirstSample = fields.Take("first_sample") is { } first ? findings.Choice(first, "proven", "baseline", "count") : null,
            MostSeries = findings.Whole(fields.Take("most_series"), 1, 1_000_000),
            EverySeconds = findings.Whole(every, 1, 3_600),
            TokenFile = findings.Text(token, "/run/secrets/prometheus"),
            RemoteWrite = sent ? true : null,
        };
        fields.Close();
        return named && (sent || prometheus is not null) && series is not null && meter is not null && subject is not null
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
        var (selector, wrong) = SeriesSelector.Parse(text);
        if (selector is not null) return selector.Text;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a selector of series ({wrong}): a name, and matchers of " +
            "labels in braces, as 'api_requests_total{job=\"shop\"}'. No function and no range: raw samples are read, since " +
            "rate() and increase() guess.");
        return null;
    }

    /// <summary>Where samples are sent to us nobody is asked for them.</summary>
    private void RefuseAsking(Node? node, string name)
    {
        if (node is not null)
            findings.Add(Code.BadValue, node, $"{Quote.Of(name)} is for asking Prometheus; with 'remote_write: true' it sends " +
                "its samples to POST /v1/sources/NAME/write.");
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
