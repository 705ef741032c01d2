using System.Text.RegularExpressions;
using Tollgate.Config;
using Tollgate.Metering;

namespace Tollgate;

/// <summary>Which counters are read, out of what is published: Metering knows nothing of Config.</summary>
internal static partial class CounterSourcesOf
{
    public static IReadOnlyList<CounterSource> Published(Published published)
    {
        var operations = new Dictionary<(string Path, string? Method), int>();
        foreach (var operation in published.Apis.SelectMany(a => a.Operations))
            foreach (var method in operation.Methods ?? [null!])
                operations.TryAdd((Shape(operation.Template), method), operation.Key);
        return [.. from source in published.Sources
                   let meter = published.FindMeter(source.Document.Meter)
                   where meter is not null
                   select Of(source.Name, source.Document, meter.Meter, operations)];
    }

    private static CounterSource Of(string name, SourceDocument document, Catalog.Meter meter,
        Dictionary<(string Path, string? Method), int> operations)
    {
        var source = new CounterSource
        {
            Name = name,
            Prometheus = document.Prometheus is { } address ? new Uri(address) : null,
            Series = document.Series,
            Meter = meter,
            Subject = document.Subject,
            Endpoint = document.Endpoint,
            Method = document.Method,
            Dimensions = [.. (document.Dimensions ?? new Dictionary<string, string>())
                .OrderBy(d => d.Key, StringComparer.Ordinal).Select(d => (d.Key, d.Value))],
            FirstSample = document.FirstSample switch
            {
                "baseline" => FirstSample.Baseline,
                "count" => FirstSample.Count,
                _ => FirstSample.Proven,
            },
            TokenFile = document.TokenFile,
            OperationOf = (path, method) => operations.TryGetValue((Shape(path), method), out var key)
                || operations.TryGetValue((Shape(path), null), out key) ? key : 0,
        };
        return source with
        {
            MostSeries = document.MostSeries ?? source.MostSeries,
            Every = document.EverySeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : source.Every,
        };
    }

    /// <summary>A template is one whatever its parameters are called and however a framework writes them: {id}, :id,
    /// &lt;int:id&gt;.</summary>
    private static string Shape(string path) => Parameter().Replace(path, "/{}");

    [GeneratedRegex("/(\\{[^/}]*\\}|:[^/]+|<[^/>]*>)")]
    private static partial Regex Parameter();
}
