using System.Text.Json;
using System.Text.Json.Serialization;

namespace Tollgate.Config;

/// <summary>Counters of a Prometheus that are usage, as the file says it and the store keeps it.</summary>
/// <param name="Prometheus">Where its query API is; null with <see cref="RemoteWrite"/>.</param>
/// <param name="Series">A selector.</param>
/// <param name="Subject">The label that says whose usage it is.</param>
public sealed record SourceDocument(string? Prometheus, string Series, string Meter, string Subject)
{
    /// <summary>The labels with a path and a method: together they name an operation.</summary>
    public string? Endpoint { get; init; }

    public string? Method { get; init; }

    /// <summary>Dimension → label.</summary>
    public IReadOnlyDictionary<string, string>? Dimensions { get; init; }

    /// <summary>proven, baseline or count; null for proven.</summary>
    public string? FirstSample { get; init; }

    public int? MostSeries { get; init; }

    public int? EverySeconds { get; init; }

    public string? TokenFile { get; init; }

    /// <summary>It sends its samples itself; null for no.</summary>
    public bool? RemoteWrite { get; init; }

    private static readonly JsonSerializerOptions s_json =
        new(PlanDocument.Json) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    public string Write() => JsonSerializer.Serialize(this, s_json);

    public static SourceDocument Read(string document) => JsonSerializer.Deserialize<SourceDocument>(document, s_json)!;
}

/// <summary>A source as it is published.</summary>
public sealed record PublishedSource(string Name, SourceDocument Document);
