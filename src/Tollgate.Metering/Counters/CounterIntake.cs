using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>How a source stands.</summary>
/// <param name="ReadTo">Microseconds UTC; 0: not read yet.</param>
/// <param name="Parked">Targets that are not counted, and why.</param>
/// <param name="Trouble">Why it is not read now; null when it is.</param>
public sealed record CounterSourceStanding(
    CounterSource Source, int Series, long ReadTo, CounterTally Tally, IReadOnlyList<ParkedTarget> Parked, string? Trouble)
{
    /// <summary>Targets that do not say when their process started.</summary>
    public int WithoutStart { get; init; }
}

/// <summary>
/// Reads counters out of Prometheus into the journal. In memory stands what each series has come to; the drain keeps
/// the same in the store, in the transaction of its effect. A process that dies begins again from there, and what it
/// had read and not written down is read again.
/// </summary>
public sealed partial class CounterIntake(
    UsageJournal journal, Database database, UsageDrain drain, Clocks clocks, ILogger log) : IDisposable
{
    /// <summary>Read again each time: a scrape may be stored a little after its own time.</summary>
    private const long LookBackSeconds = 60;

    private const long LongestStretch = 600;

    private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(30) };
    private readonly EventKeyStore _keys = new(database);
    private readonly ConcurrentDictionary<string, WatchedSource> _readers = new(StringComparer.Ordinal);

    private volatile IReadOnlyList<CounterSource> _sources = [];

    /// <summary>Swapped whole when what is published changes.</summary>
    public IReadOnlyList<CounterSource> Sources
    {
        get => _sources;
        set => _sources = value;
    }

    public IReadOnlyList<CounterSourceStanding> Standing => [.. _sources.Select(s => _readers.TryGetValue(s.Name, out var r)
        ? r.Standing(s) : new CounterSourceStanding(s, 0, 0, new CounterTally(), [], "not read yet"))];

    /// <summary>Reads all sources that are due.</summary>
    public Task ReadAsync(CancellationToken stop) =>
        Task.WhenAll(_sources.Where(s => s.Prometheus is not null).Select(s => ReadAsync(s, stop)));

    /// <summary>Counts targets again that were parked: from their next samples on, and nothing of what lies between.
    /// </summary>
    /// <param name="source">Its name.</param>
    /// <param name="target">Null for all.</param>
    /// <returns>What was parked.</returns>
    public async Task<IReadOnlyList<ParkedTarget>> ReleaseAsync(CounterSource source, string? target)
    {
        var reader = WatchedOf(source);
        using (await reader.TurnAsync(CancellationToken.None))
        {
            if (!reader.IsLoaded) await LoadAsync(reader, source);
            await drain.CatchUpAsync();
            var released = reader.Reading.Parked.Where(p => target is null || p.Target == target).ToArray();
            await ParkedStore.ReleaseAsync(database, reader.Key, released, Micros.Now(clocks.Business));
            reader.IsLoaded = false;
            return released;
        }
    }

    public void Dispose()
    {
        _client.Dispose();
        foreach (var reader in _readers.Values) reader.Dispose();
    }

    private WatchedSource WatchedOf(CounterSource source) => _readers.AddOrUpdate(source.Name, _ => new WatchedSource(source),
        (_, r) => r.Source.Meaning == source.Meaning && r.Source.FirstSample == source.FirstSample ? r : new WatchedSource(source));

    private async Task ReadAsync(CounterSource source, CancellationToken stop)
    {
        var reader = WatchedOf(source);
        if (reader.ReadAt is { } last && clocks.Machine.GetElapsedTime(last) < source.Every) return;
        reader.ReadAt = clocks.Machine.GetTimestamp();
        try
        {
            using (await reader.TurnAsync(stop)) await ReadAsync(reader, source, stop);
            if (reader.Trouble is not null) log.LogInformation("Source {Source}: read again.", source.Name);
            reader.Trouble = null;
        }
        catch (Exception e) when (!stop.IsCancellationRequested)
        {
            if (reader.Trouble is null) log.LogError("Source {Source} is not read: {Why}", source.Name, e.Message);
            reader.Trouble = e.Message;
        }
    }

    private async Task ReadAsync(WatchedSource reader, CounterSource source, CancellationToken stop)
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

            var starts = await PrometheusQuery.StartsAsync(_client, source, JobsOf(reader, samples), from, to, stop);
            await TakeAsync(reader, source, [.. samples, .. starts], now);
            await drain.CatchUpAsync();
            reader.ReadTo = to * Micros.PerSecond;
            await CounterStore.ReadToAsync(database, reader.Key, reader.ReadTo, reader.IsShort);
            from = to;
        }
    }

    /// <summary>After the drain has caught up: what the journal holds is in the store.</summary>
    private async Task LoadAsync(WatchedSource reader, CounterSource source)
    {
        await drain.CatchUpAsync();
        var (row, ours) = await CounterStore.ClaimAsync(database, source, journal.Id);
        if (!ours) throw new InvalidOperationException($"the node of journal {(uint)row.Journal:x8} reads it; it goes on here " +
            "once that journal is closed or retired");
        reader.Load(row, await CounterStore.SeriesAsync(database, row.Key), await ParkedStore.ReadAsync(database, row.Key));
    }

    private static HashSet<string> JobsOf(WatchedSource reader, List<RawSample> samples)
    {
        var jobs = samples.Select(s => s.Labels["job"]).OfType<string>().ToHashSet(StringComparer.Ordinal);
        jobs.UnionWith(reader.Reading.Targets.Select(t => t.Name.Split('\n')).Where(t => t.Length == 2).Select(t => t[0]));
        return jobs;
    }

    private async Task TakeAsync(WatchedSource reader, CounterSource source, List<RawSample> samples, long nowSeconds)
    {
        var most = (nowSeconds + 3_600) * Micros.PerSecond;
        samples.Sort(CounterReading.InOrder);
        var ahead = samples.RemoveAll(s => s.At > most);
        reader.Tally.Refused += ahead;
        var unknown = samples.Where(s => !CounterReading.IsStart(s.Labels)
                && !reader.Series.ContainsKey(s.Labels.Text) && !string.IsNullOrEmpty(s.Labels[source.Subject]))
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
        await ParkAsync(reader, source);
        if (grown.Count > 0 && !await AppendAsync(source, grown))
            throw new IOException(journal.Trouble ?? "the usage journal has no room now");
        reader.IsLoaded = true;
    }

    private async Task ParkAsync(WatchedSource reader, CounterSource source)
    {
        if (reader.Reading.TakeParked() is not { Count: > 0 } parked) return;
        await ParkedStore.AddAsync(database, reader.Key, parked);
        foreach (var p in parked)
            log.LogError("Source {Source}: the target {Target} is parked since {At}, nothing of it is counted: {Why} Give each " +
                "process an instance label of its own, then POST /v1/sources/{Name}/release.", source.Name,
                p.Target.ReplaceLineEndings(" "), Micros.ToText(p.At), p.Why, source.Name);
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
}
