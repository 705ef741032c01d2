using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>What becomes of the first sample of a series that was never seen before.</summary>
public enum FirstSample : byte
{
    /// <summary>It counts from zero where it is proved that the series began while its target was being read; else it is
    /// only where counting begins. Never more than the truth.</summary>
    Proven,

    /// <summary>It never counts.</summary>
    Baseline,

    /// <summary>It always counts from zero. A target that ran before it was read is billed for that time too.</summary>
    Count,
}

/// <summary>Counters of a Prometheus that are usage of a meter.</summary>
public sealed record CounterSource
{
    public required string Name { get; init; }

    /// <summary>Where its query API is, without a trailing slash; null: it sends its samples by remote write.</summary>
    public Uri? Prometheus { get; init; }

    /// <summary>A selector of series, as <c>api_requests_total{job="shop"}</c>.</summary>
    public required string Series { get; init; }

    /// <summary>The same, for samples that are sent.</summary>
    public SeriesSelector Selector => field ??= SeriesSelector.Parse(Series).Selector
        ?? throw new InvalidOperationException($"'{Series}' is no selector.");

    /// <summary>A count or a sum.</summary>
    public required Meter Meter { get; init; }

    /// <summary>The label that says whose usage it is: a consumer, a customer or a subscription.</summary>
    public required string Subject { get; init; }

    /// <summary>The label that holds a path, and the one that holds a method; null for none.</summary>
    public string? Endpoint { get; init; }

    public string? Method { get; init; }

    /// <summary>Dimension → label, in ordinal order.</summary>
    public IReadOnlyList<(string Name, string Label)> Dimensions { get; init; } = [];

    public FirstSample FirstSample { get; init; }

    /// <summary>Series that it may have in all its life; further ones are refused, and said.</summary>
    public int MostSeries { get; init; } = 10_000;

    /// <summary>Machine time between two readings.</summary>
    public TimeSpan Every { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>A file with a bearer token; read each time.</summary>
    public string? TokenFile { get; init; }

    /// <summary>The key of the operation at an endpoint and with a method; 0 when there is none.</summary>
    public Func<string, string?, int> OperationOf { get; init; } = (_, _) => 0;

    /// <summary>Two sources of one meaning are the same one. What is sent may have other labels than what is asked for.
    /// </summary>
    internal string Meaning => $"{Series}\n{Meter.Key}\n{Subject}{(Prometheus is null ? "\nsent" : "")}";
}

/// <summary>A raw sample as Prometheus has it.</summary>
/// <param name="Labels">The name of the metric under <c>__name__</c>.</param>
/// <param name="At">Microseconds UTC.</param>
public readonly record struct RawSample(SeriesLabels Labels, long At, double Value)
{
    /// <summary>The one NaN by which Prometheus says that a series has ended.</summary>
    public bool IsStale => BitConverter.DoubleToUInt64Bits(Value) == 0x7FF0_0000_0000_0002;
}

/// <summary>The labels of a series, and one text for them.</summary>
public sealed class SeriesLabels(SortedDictionary<string, string> all)
{
    public string Text { get; } = DimensionSets.Write(all);

    /// <summary>The labels of a text.</summary>
    public static SeriesLabels Of(string text) =>
        new(new SortedDictionary<string, string>(DimensionSets.Read(text).ToDictionary(), StringComparer.Ordinal));

    public string? this[string name] => all.GetValueOrDefault(name);

    /// <summary>Whether another series has each of these labels, and maybe more.</summary>
    public bool IsWithin(SeriesLabels other) => all.All(label => other[label.Key] == label.Value);

    /// <summary>The process that was scraped; null where Prometheus does not say.</summary>
    public string? Target => this["instance"] is { } instance ? $"{this["job"]}\n{instance}" : null;
}

/// <summary>What a record of a counter says in place of an event's identity.</summary>
internal readonly record struct CounterSample(int Series, bool IsReset, long Value)
{
    public UInt128 Identity => new((uint)Series | (IsReset ? 1UL << 32 : 0), (ulong)Value);

    public static CounterSample Of(in JournalRecord record)
    {
        var high = (ulong)(record.Identity >> 64);
        return new CounterSample((int)high, (high >> 32) != 0, (long)(ulong)record.Identity);
    }
}
