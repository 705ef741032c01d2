using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>How a source stands.</summary>
/// <param name="ReadTo">Microseconds UTC; 0: not read yet.</param>
/// <param name="Trouble">Why it is not read now; null when it is.</param>
public sealed record CounterSourceStanding(CounterSource Source, int Series, long ReadTo, CounterTally Tally, string? Trouble);

/// <summary>
/// Reads counters out of Prometheus into the journal. In memory stands what each series has come to; the drain keeps
/// the same in the store, in the transaction of its effect. A process that dies begins again from there, and what it
/// had read and not written down is read again.
/// </summary>
public sealed class CounterIntake(
    UsageJournal journal, Database database, UsageDrain drain, Clocks clocks, ILogger log) : IDisposable
{
    /// <summary>Read again each time: a scrape may be stored a little after its own time.</summary>
    private const long LookBackSeconds = 60;

    private const long LongestStretch = 600;

    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(30) };
    private readonly EventKeyStore _keys = new(database);
    private readonly ConcurrentDictionary<string, Reader> _readers = new(StringComparer.Ordinal);

    private volatile IReadOnlyList<CounterSource> _sources = [];

    /// <summary>Swapped whole when what is published changes.</summary>
    public IReadOnlyList<CounterSource> Sources
    {
        get => _sources;
        set => _sources = value;
    }

    public IReadOnlyList<CounterSourceStanding> Standing => [.. _sources.Select(s => _readers.TryGetValue(s.Name, out var r)
        ? r.Standing(s) : new CounterSourceStanding(s, 0, 0, new CounterTally(), "not read yet"))];

    /// <summary>Reads all sources that are due.</summary>
    public Task ReadAsync(CancellationToken stop) => Task.WhenAll(_sources.Select(s => ReadAsync(s, stop)));

    public void Dispose() => _client.Dispose();

    private async Task ReadAsync(CounterSource source, CancellationToken stop)
    {
        var reader = _readers.AddOrUpdate(source.Name, _ => new Reader(source),
            (_, r) => r.Source.Meaning == source.Meaning && r.Source.FirstSample == source.FirstSample ? r : new Reader(source));
        if (reader.ReadAt is { } last && clocks.Machine.GetElapsedTime(last) < source.Every) return;
        reader.ReadAt = clocks.Machine.GetTimestamp();
        try
        {
            await ReadAsync(reader, source, stop);
            if (reader.Trouble is not null) log.LogInformation("Source {Source}: read again.", source.Name);
            reader.Trouble = null;
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            if (reader.Trouble is null) log.LogError("Source {Source} is not read: {Why}", source.Name, e.Message);
            reader.Trouble = e.Message;
        }
    }

    private async Task ReadAsync(Reader reader, CounterSource source, CancellationToken stop)
    {
        if (!reader.IsLoaded) await LoadAsync(reader, source);
        var now = Micros.Now(clocks.Business) / Micros.PerSecond;
        // the first time a short look is enough to know where counting begins
        var from = reader.ReadTo == 0 ? now - LookBackSeconds : (reader.ReadTo / Micros.PerSecond) - LookBackSeconds;
        var stretch = LongestStretch;
        while (from < now)
        {
            var to = Math.Min(now, from + stretch);
            if (await PrometheusQuery.ReadAsync(_client, source, from, to, stop) is not { } samples)
            {
                if (stretch == 1) throw new HttpRequestException(
                    $"one second of '{source.Series}' is more than {PrometheusQuery.MostBytes >> 20} MiB: select fewer series");
                stretch = Math.Max(1, stretch / 4);
                continue;
            }

            await TakeAsync(reader, source, samples, now);
            await drain.CatchUpAsync();
            reader.ReadTo = to * Micros.PerSecond;
            await CounterStore.ReadToAsync(database, reader.Key, reader.ReadTo, reader.IsShort);
            from = to;
        }
    }

    /// <summary>After the drain has caught up: what the journal holds is in the store.</summary>
    private async Task LoadAsync(Reader reader, CounterSource source)
    {
        await drain.CatchUpAsync();
        var (row, ours) = await CounterStore.ClaimAsync(database, source, journal.Id);
        if (!ours) throw new InvalidOperationException($"the node of journal {(uint)row.Journal:x8} reads it; it goes on here " +
            "once that journal is closed or retired");
        var series = await CounterStore.SeriesAsync(database, row.Key);
        reader.Load(row, series);
    }

    private async Task TakeAsync(Reader reader, CounterSource source, List<RawSample> samples, long nowSeconds)
    {
        var most = (nowSeconds + 3_600) * Micros.PerSecond;
        var ahead = samples.RemoveAll(s => s.At > most);
        reader.Tally.Refused += ahead;
        var unknown = samples.Where(s => !reader.Series.ContainsKey(s.Labels.Text) && !string.IsNullOrEmpty(s.Labels[source.Subject]))
            .Select(s => s.Labels.Text).Distinct(StringComparer.Ordinal)
            .Take(Math.Max(0, source.MostSeries - reader.Series.Count)).ToArray();
        if (unknown.Length > 0)
            foreach (var (text, key) in await CounterStore.GiveAsync(database, reader.Key, unknown))
                reader.Series[text] = new SeriesState { Key = key };
        var many = reader.Tally.TooMany;
        var grown = reader.Reading.Take(samples, labels => reader.Series.GetValueOrDefault(labels.Text), reader.Tally);
        if (many == 0 && reader.Tally.TooMany > 0)
            log.LogError("Source {Source} has {Most} series already; further ones are not counted (most_series).",
                source.Name, source.MostSeries);
        foreach (var reset in grown.Where(g => g.IsReset))
            log.LogWarning("Source {Source}: the counter {Labels} began again at {At}; {Units} counted since.",
                source.Name, reset.Labels.Text, Micros.ToText(reset.At), reset.Quantity);
        reader.IsShort = reader.Tally.TooMany > many;
        if (reader.IsShort) reader.Reading.ForgetTargets();
        // until it is in the journal, memory says more than the store: after a failure the store is read again
        reader.IsLoaded = false;
        if (grown.Count > 0 && !await AppendAsync(source, grown))
            throw new IOException(journal.Trouble ?? "the usage journal has no room now");
        reader.IsLoaded = true;
    }

    private async Task<bool> AppendAsync(CounterSource source, List<Growth> grown)
    {
        var sets = grown.Select(g => SetOf(source, g.Labels)).ToArray();
        await _keys.LearnAsync(
            [.. grown.Select(g => g.Labels[source.Subject]!).Where(s => _keys.Subject(s) == 0).Distinct(StringComparer.Ordinal)],
            [.. sets.OfType<string>().Where(s => _keys.Set(s) == 0).Distinct(StringComparer.Ordinal)]);
        var records = new List<UsageEvent>(grown.Count);
        foreach (var (i, g) in grown.Index())
        {
            var method = source.Method is { } m ? g.Labels[m] : null;
            records.Add(new UsageEvent
            {
                IsCounter = true,
                Identity = new CounterSample(g.Series.Key, g.IsReset, g.Series.Value).Identity,
                OccurredAt = g.At,
                Subject = _keys.Subject(g.Labels[source.Subject]!),
                Meter = source.Meter.Key,
                Quantity = g.Quantity,
                Operation = source.Endpoint is { } e && g.Labels[e] is { } path ? source.OperationOf(path, method) : 0,
                Method = method is null ? (byte)0 : MethodCode.Of(method),
                Dimensions = sets[i] is { } set ? _keys.Set(set) : 0,
                IsFirst = true,
                Left = 0,
            });
        }

        // all or none of a reading would be better; what was written before a refusal is in the store when it is read again
        for (var at = 0; at < records.Count; at += UsageJournal.MostEventRecords)
            if (!journal.TryAppendEvents(CollectionsMarshal.AsSpan(records).Slice(
                at, Math.Min(UsageJournal.MostEventRecords, records.Count - at)))) return false;
        return true;
    }

    private static string? SetOf(CounterSource source, SeriesLabels labels)
    {
        if (source.Dimensions.Count == 0) return null;
        var set = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, label) in source.Dimensions)
            if (labels[label] is { Length: > 0 and <= EventIntake.LongestText } value) set[name] = value;
        return set.Count == 0 ? null : DimensionSets.Write(set);
    }

    /// <summary>What is known of a source in this process.</summary>
    private sealed class Reader(CounterSource source)
    {
        public CounterSource Source => source;

        public Dictionary<string, SeriesState> Series { get; private set; } = new(StringComparer.Ordinal);

        public CounterReading Reading { get; private set; } = new(source);

        public CounterTally Tally { get; } = new();

        public long Key { get; private set; }

        public long ReadTo { get; set; }

        public long? ReadAt { get; set; }

        public bool IsLoaded { get; set; }

        /// <summary>Series were left out of the last reading.</summary>
        public bool IsShort { get; set; }

        public string? Trouble { get; set; }

        public void Load(CounterStore.SourceRow row, IReadOnlyList<StoredSeries> stored)
        {
            (Key, ReadTo, Series, Reading) = (row.Key, row.ReadTo, new(StringComparer.Ordinal), new CounterReading(source));
            foreach (var s in stored)
            {
                Series[s.Labels] = new SeriesState { Key = (int)s.Key, At = s.At, Value = s.Value, IsDoubted = s.At == 0 };
                if (row.Anew == 0 && s.FirstAt > 0)
                    Reading.SawTarget(new SeriesLabels(new(DimensionSets.Read(s.Labels).ToDictionary(), StringComparer.Ordinal)).Target,
                        s.FirstAt);
            }

            IsLoaded = true;
        }

        public CounterSourceStanding Standing(CounterSource now) => new(now, Series.Count, ReadTo, Tally with { }, Trouble);
    }
}
