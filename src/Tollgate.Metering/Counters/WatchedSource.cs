namespace Tollgate.Metering;

/// <summary>What is known of a source in this process. Whoever changes it has its turn.</summary>
internal sealed class WatchedSource(CounterSource source) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private int _waiting;

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

    /// <summary>Who waits for a turn.</summary>
    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Waits for the turn; it ends when the answer is disposed of.</summary>
    public async Task<IDisposable> TurnAsync(CancellationToken stop)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            await _turn.WaitAsync(stop);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }

        return new Turn(_turn);
    }

    public void Load(
        CounterStore.SourceRow row, IReadOnlyList<StoredSeries> stored, IReadOnlyList<ParkedTarget> parked)
    {
        (Key, ReadTo, Series, Reading) = (row.Key, row.ReadTo, new(StringComparer.Ordinal), new CounterReading(source));
        foreach (var s in stored)
        {
            Series[s.Labels] = new SeriesState { Key = (int)s.Key, At = s.At, Value = s.Value, IsDoubted = s.At == 0 };
            if (row.Anew == 0 && s.FirstAt > 0)
                Reading.Know(SeriesLabels.Of(s.Labels), s.FirstAt);
        }

        foreach (var p in parked) Reading.Know(p);
        IsLoaded = true;
    }

    public CounterSourceStanding Standing(CounterSource now) =>
        new(now, Series.Count, ReadTo, Tally with { }, Reading.Parked, Trouble) { WithoutStart = Reading.WithoutStart };

    public void Dispose() => _turn.Dispose();

    private sealed class Turn(SemaphoreSlim turn) : IDisposable
    {
        public void Dispose() => turn.Release();
    }
}
