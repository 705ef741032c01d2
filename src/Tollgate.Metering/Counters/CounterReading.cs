using System.Collections.Concurrent;
using System.Globalization;
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

    /// <summary>Samples that wait until it is clear whether the counter began again; null: none.</summary>
    public List<(RawSample Sample, long Value)>? Held { get; set; }

    /// <summary>How often it did what one process does not do, and when last: it came back to where it was before it fell,
    /// or fell again at once.</summary>
    public int Doubts { get; set; }

    public long DoubtedAt { get; set; }
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

    /// <summary>Marks that a series has ended.</summary>
    public long Stale { get; set; }

    /// <summary>Without the label that says whose they are.</summary>
    public long Nobodys { get; set; }

    /// <summary>Of series beyond the most.</summary>
    public long TooMany { get; set; }

    /// <summary>Of targets that are parked.</summary>
    public long Parked { get; set; }

    public long Units { get; set; }
}

/// <summary>Growth of one series in a quarter of an hour; none with a reset or a beginning.</summary>
internal sealed record Growth(SeriesLabels Labels, SeriesState Series, long At, long Quantity, bool IsReset);

/// <summary>
/// Decides what samples count. Pure, but for the state that it moves: samples in the order of their times, each compared
/// with the last one of its series. A counter that is smaller than before began again at zero, so all of it is new; where
/// nothing says that its process is another one, that is believed only when it does not come back to where it was.
/// </summary>
internal sealed class CounterReading(CounterSource source)
{
    /// <summary>What a process says of its start, seconds since 1970.</summary>
    public const string StartName = "process_start_time_seconds";

    /// <summary>Doubles above it skip whole numbers.</summary>
    private const double MostExact = 9_007_199_254_740_992;

    /// <summary>Samples of a series that fell, until it is taken for a beginning.</summary>
    private const int Confirming = 4;

    /// <summary>A process that was scraped this soon after its start was not counted before under other labels.</summary>
    private const long Young = 300 * Micros.PerSecond;

    private const long Hour = 3_600 * Micros.PerSecond;

    // by name; what is scraped without an instance is a target for each of its series
    private readonly ConcurrentDictionary<string, ScrapeTarget> _targets = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<SeriesLabels>> _siblings = new(StringComparer.Ordinal);
    private readonly List<ParkedTarget> _parked = [];
    private readonly decimal _scale = (decimal)Math.Pow(10, source.Meter.Scale);
    private long _watchedSince = long.MaxValue;

    /// <summary>Targets with what they say of themselves.</summary>
    public IEnumerable<ScrapeTarget> Targets => _targets.Values;

    /// <summary>Whether a series is what a process says of its start.</summary>
    public static bool IsStart(SeriesLabels labels) => labels["__name__"] == StartName;

    /// <summary>Targets that do not say when their process started: of two behind one it may not be found out.</summary>
    public int WithoutStart => _targets.Values.Count(t => t.First != long.MaxValue && t.Start == 0);

    public IReadOnlyList<ParkedTarget> Parked => [.. _targets.Values.Select(t => t.Parked).OfType<ParkedTarget>()];

    /// <summary>By time; of one time, what processes say of their start first.</summary>
    public static int InOrder(RawSample a, RawSample b) => a.At != b.At ? a.At.CompareTo(b.At)
        : IsStart(b.Labels).CompareTo(IsStart(a.Labels));

    /// <summary>A series that is known from before, and when it was seen first.</summary>
    public void Know(SeriesLabels labels, long firstAt)
    {
        Saw(TargetOf(labels), firstAt);
        SiblingsOf(labels).Add(labels);
    }

    /// <summary>A target that is parked, or was.</summary>
    public void Know(ParkedTarget parked) => TargetOf(parked.Target).Know(parked);

    /// <summary>Targets that were parked since this was asked last.</summary>
    public IReadOnlyList<ParkedTarget> TakeParked()
    {
        var taken = _parked.ToArray();
        _parked.Clear();
        return taken;
    }

    /// <summary>Series were left out: which ones are new cannot be told until targets were seen again.</summary>
    public void ForgetTargets()
    {
        foreach (var target in _targets.Values) target.First = long.MaxValue;
        _watchedSince = long.MaxValue;
    }

    /// <summary>Whole units × 10^scale, cut off; null when the value can be no count.</summary>
    public long? UnitsOf(double value)
    {
        if (!double.IsFinite(value) || value < 0 || value > MostExact) return null;
        var units = decimal.Floor((decimal)value * _scale);
        return units <= Meter.MaxQuantity ? (long)units : null;
    }

    /// <param name="samples">In order of time; of one time, what processes say of their start first.</param>
    /// <param name="stateOf">The state of a series; null when there are too many.</param>
    /// <param name="tally">Added to.</param>
    public List<Growth> Take(IEnumerable<RawSample> samples, Func<SeriesLabels, SeriesState?> stateOf, CounterTally tally)
    {
        var grown = new List<Growth>();
        foreach (var sample in samples)
        {
            if (IsStart(sample.Labels))
            {
                SawStart(sample);
                continue;
            }

            tally.Samples++;
            var target = TargetOf(sample.Labels);
            if (string.IsNullOrEmpty(sample.Labels[source.Subject])) tally.Nobodys++;
            else if (stateOf(sample.Labels) is not { } series) tally.TooMany++;
            else if (sample.IsStale) tally.Stale++;
            else if (UnitsOf(sample.Value) is not { } value) Refuse(sample, series, target, tally);
            else if (sample.At <= Math.Max(target.From, Math.Max(series.At, series.Held?[^1].Sample.At ?? 0))) tally.Old++;
            else if (target.Parked is not null) tally.Parked++;
            else
            {
                Saw(target, sample.At);
                Take(sample, series, target, value, grown, tally);
            }
        }

        return Together(grown);
    }

    private void SawStart(in RawSample sample)
    {
        // a target without an instance has no process of its own
        if (sample.Labels.Target is not { } name || !double.IsFinite(sample.Value) || sample.Value is <= 0 or > 1e11) return;
        var target = TargetOf(name);
        var was = target.Parked;
        target.Saw((long)(sample.Value * Micros.PerSecond), sample.At);
        if (sample.At > target.From) Saw(target, sample.At);
        if (was is null && target.Parked is { } parked) _parked.Add(parked);
    }

    private void Refuse(in RawSample sample, SeriesState series, ScrapeTarget target, CounterTally tally)
    {
        tally.Refused++;
        series.IsDoubted |= series.At == 0;
        Saw(target, sample.At);
    }

    private void Take(
        in RawSample sample, SeriesState series, ScrapeTarget target, long value, List<Growth> grown, CounterTally tally)
    {
        if (series.Held is { } held)
        {
            held.Add((sample, value));
            Decide(series, target, grown, tally);
            return;
        }

        var first = series.At == 0;
        var again = !first && target.RestartedAt > series.At && target.RestartedAt <= sample.At;
        if (!first && !again && value < series.Value)
        {
            series.Held = [(sample, value)];
            Decide(series, target, grown, tally);
            return;
        }

        if (first)
        {
            var counts = Counts(sample, series, target);
            if (!counts && value > 0) tally.Baselines++;
            Add(sample, series, value, counts ? value : 0, isReset: false, grown, tally);
            SiblingsOf(sample.Labels).Add(sample.Labels);
        }
        else
        {
            Add(sample, series, value, again ? value : value - series.Value, again, grown, tally);
        }
    }

    private static void Add(in RawSample sample, SeriesState series, long value, long quantity, bool isReset,
        List<Growth> grown, CounterTally tally)
    {
        var first = series.At == 0;
        if (isReset) tally.Resets++;
        tally.Units += quantity;
        (series.At, series.Value) = (sample.At, value);
        if (first || quantity > 0 || isReset) grown.Add(new Growth(sample.Labels, series with { }, sample.At, quantity, isReset));
    }

    /// <summary>The counter fell. Whether its process is another one is known, or comes out of what follows.</summary>
    private void Decide(SeriesState series, ScrapeTarget target, List<Growth> grown, CounterTally tally)
    {
        var held = series.Held!;
        var (sample, value) = held[^1];
        var fell = held[0].Sample.At;
        if (target.RestartedAt > series.At && target.RestartedAt <= fell)
        {
            Release(series, target, 0, isReset: true, grown, tally);
            return;
        }

        // it went on where it was: what lay between was another process, or this one is quicker than it looks
        var back = held.Count > 1 && value >= series.Value;
        var again = held.Count > 1 && value < held[^2].Value;
        if ((back || again) && IsDoubtful(series, sample.At))
        {
            target.Park(sample.At, string.Create(CultureInfo.InvariantCulture, $"The counter {sample.Labels.Text} goes up and " +
                $"down (last {series.Value}, {string.Join(", ", held.Select(h => h.Value))}): two processes answer behind one target."));
            _parked.Add(target.Parked!);
            tally.Parked += held.Count;
            series.Held = null;
        }
        else if (back)
        {
            Release(series, target, held.Count - 1, isReset: false, grown, tally);
        }
        else if (held.Count >= Confirming && IsRising(held))
        {
            Release(series, target, 0, isReset: true, grown, tally);
        }
    }

    /// <summary>Twice within an hour is too often.</summary>
    private static bool IsDoubtful(SeriesState series, long at)
    {
        series.Doubts = at - series.DoubtedAt > Hour ? 1 : series.Doubts + 1;
        series.DoubtedAt = at;
        return series.Doubts > 1;
    }

    /// <summary>The last samples are those of one process.</summary>
    private static bool IsRising(List<(RawSample Sample, long Value)> held)
    {
        for (var i = held.Count - Confirming + 1; i < held.Count; i++)
            if (held[i].Value < held[i - 1].Value) return false;
        return true;
    }

    /// <summary>Takes held samples from one on as they are.</summary>
    private void Release(
        SeriesState series, ScrapeTarget target, int from, bool isReset, List<Growth> grown, CounterTally tally)
    {
        var held = series.Held!;
        series.Held = null;
        var (sample, value) = held[from];
        Add(sample, series, value, isReset ? value : value - series.Value, isReset, grown, tally);
        foreach (var (next, units) in held.Skip(from + 1))
            if (target.Parked is null) Take(next, series, target, units, grown, tally);
    }

    private bool Counts(in RawSample first, SeriesState series, ScrapeTarget target) => source.FirstSample switch
    {
        FirstSample.Count => true,
        FirstSample.Baseline => false,
        _ => !series.IsDoubted && (IsYoung(first, target) || (IsNew(first, target) && !IsRenamed(first.Labels))),
    };

    /// <summary>The process started while we watched, and a moment ago.</summary>
    private bool IsYoung(in RawSample first, ScrapeTarget target) =>
        target.Start > 0 && target.StartSeenAt >= first.At && target.Start >= _watchedSince
        && first.At - target.Start is >= -ScrapeTarget.SameStart and <= Young;

    /// <summary>The target was seen before, and without the series.</summary>
    private static bool IsNew(in RawSample first, ScrapeTarget target) =>
        first.Labels.Target is not null && target.First < first.At;

    /// <summary>Another series of the same is known, with some labels more or fewer: labels were changed under way.</summary>
    private bool IsRenamed(SeriesLabels labels) => SiblingsOf(labels).Exists(known => known.Text != labels.Text
        && (known.IsWithin(labels) || labels.IsWithin(known)));

    private void Saw(ScrapeTarget target, long at)
    {
        target.First = Math.Min(target.First, at);
        _watchedSince = Math.Min(_watchedSince, at);
    }

    private ScrapeTarget TargetOf(SeriesLabels labels) => TargetOf(labels.Target ?? labels.Text);

    private ScrapeTarget TargetOf(string name)
    {
        if (!_targets.TryGetValue(name, out var target)) _targets[name] = target = new ScrapeTarget(name);
        return target;
    }

    private List<SeriesLabels> SiblingsOf(SeriesLabels labels)
    {
        var name = $"{labels.Target}\n{labels[source.Subject]}";
        if (!_siblings.TryGetValue(name, out var siblings)) _siblings[name] = siblings = [];
        return siblings;
    }

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
