using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>A series as it stands after the samples that were taken.</summary>
internal sealed record SeriesState
{
    public required int Key { get; init; }

    /// <summary>0: none was taken yet.</summary>
    public long At { get; set; }

    public long Value { get; set; }

    /// <summary>It had samples that did not count, or may have had: its first value is no beginning.</summary>
    public bool IsDoubted { get; set; }
}

/// <summary>What happened to samples since the start of the process.</summary>
public sealed record CounterTally
{
    public long Samples { get; set; }

    /// <summary>Not newer than one that was taken.</summary>
    public long Old { get; set; }

    public long Resets { get; set; }

    /// <summary>First samples that only began the counting.</summary>
    public long Baselines { get; set; }

    /// <summary>NaN, infinite, negative, too large to be exact, or out of time.</summary>
    public long Refused { get; set; }

    /// <summary>Without the label that says whose they are.</summary>
    public long Nobodys { get; set; }

    /// <summary>Of series beyond the most.</summary>
    public long TooMany { get; set; }

    public long Units { get; set; }
}

/// <summary>Growth of one series in a quarter of an hour; none with a reset or a beginning.</summary>
internal sealed record Growth(SeriesLabels Labels, SeriesState Series, long At, long Quantity, bool IsReset);

/// <summary>
/// Decides what samples count. Pure, but for the state that it moves: samples in the order of their times, each compared
/// with the last one of its series. A counter that is smaller than before began again at zero, so all of it is new.
/// </summary>
internal sealed class CounterReading(CounterSource source)
{
    /// <summary>Doubles above it skip whole numbers.</summary>
    private const double MostExact = 9_007_199_254_740_992;

    // when a target was seen first: a series that was not there then, and is later, began in between
    private readonly Dictionary<string, long> _targets = new(StringComparer.Ordinal);
    private readonly decimal _scale = (decimal)Math.Pow(10, source.Meter.Scale);

    public void SawTarget(string? target, long at)
    {
        if (target is not null && (!_targets.TryGetValue(target, out var first) || at < first)) _targets[target] = at;
    }

    /// <summary>Series were left out: which ones are new cannot be told until targets were seen again.</summary>
    public void ForgetTargets() => _targets.Clear();

    /// <summary>Whole units × 10^scale, cut off; null when the value can be no count.</summary>
    public long? UnitsOf(double value)
    {
        if (!double.IsFinite(value) || value < 0 || value > MostExact) return null;
        var units = decimal.Floor((decimal)value * _scale);
        return units <= Meter.MaxQuantity ? (long)units : null;
    }

    /// <param name="samples">In order of time.</param>
    /// <param name="stateOf">The state of a series; null when there are too many.</param>
    public List<Growth> Take(IEnumerable<RawSample> samples, Func<SeriesLabels, SeriesState?> stateOf, CounterTally tally)
    {
        var grown = new List<Growth>();
        foreach (var sample in samples)
        {
            tally.Samples++;
            if (string.IsNullOrEmpty(sample.Labels[source.Subject])) tally.Nobodys++;
            else if (stateOf(sample.Labels) is not { } series) tally.TooMany++;
            else if (UnitsOf(sample.Value) is not { } value) Refuse(sample, series, tally);
            else if (series.At > 0 && sample.At <= series.At) tally.Old++;
            else
            {
                SawTarget(sample.Labels.Target, sample.At);
                Take(sample, series, value, grown, tally);
            }
        }

        return Together(grown);
    }

    private void Refuse(in RawSample sample, SeriesState series, CounterTally tally)
    {
        tally.Refused++;
        series.IsDoubted |= series.At == 0;
        SawTarget(sample.Labels.Target, sample.At);
    }

    private void Take(in RawSample sample, SeriesState series, long value, List<Growth> grown, CounterTally tally)
    {
        var first = series.At == 0;
        var reset = !first && value < series.Value;
        var quantity = first ? Counts(sample, series) ? value : 0 : reset ? value : value - series.Value;
        if (first && quantity == 0 && value > 0) tally.Baselines++;
        if (reset) tally.Resets++;
        tally.Units += quantity;
        (series.At, series.Value) = (sample.At, value);
        if (first || quantity > 0 || reset) grown.Add(new Growth(sample.Labels, series with { }, sample.At, quantity, reset));
    }

    private bool Counts(in RawSample first, SeriesState series) => source.FirstSample switch
    {
        FirstSample.Count => true,
        FirstSample.Baseline => false,
        _ => !series.IsDoubted && first.Labels.Target is { } target && _targets[target] < first.At,
    };

    /// <summary>One record for a series and a quarter of an hour; a reset stands alone, so that each is told.</summary>
    private static List<Growth> Together(List<Growth> grown)
    {
        var (together, last) = (new List<Growth>(), new Dictionary<int, int>());
        foreach (var g in grown)
        {
            if (!g.IsReset && last.TryGetValue(g.Series.Key, out var at) && !together[at].IsReset
                && RollupKey.BucketOf(together[at].At) == RollupKey.BucketOf(g.At))
            {
                together[at] = g with { Quantity = together[at].Quantity + g.Quantity };
                continue;
            }

            last[g.Series.Key] = together.Count;
            together.Add(g);
        }

        return together;
    }
}
