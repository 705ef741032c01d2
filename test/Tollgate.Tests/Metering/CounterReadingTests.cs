using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Tests.Metering;

/// <summary>What samples of counters count: never more than the truth.</summary>
public sealed class CounterReadingTests
{
    private readonly Dictionary<string, SeriesState> _series = [];
    private readonly CounterTally _tally = new();

    // first sample: what the rule is; then the samples as time=value; then what counts
    [Theory]
    [InlineData("proven", "1=100 2=103 3=110", 10)]
    [InlineData("baseline", "1=100 2=103 3=110", 10)]
    [InlineData("count", "1=100 2=103 3=110", 110)]
    [InlineData("proven", "1=5 2=9 3=2 4=4 5=4 6=4", 8)] // began again: 2 and 2 more
    [InlineData("proven", "1=5 2=9 3=2 4=4 5=4", 4)] // which is not clear yet
    [InlineData("proven", "1=5 2=0 3=0 4=1 5=1", 1)]
    [InlineData("proven", "1=900 2=400 3=901 4=402 5=903 6=404 7=905", 1)] // two processes: one of them
    [InlineData("proven", "1=5 3=9 2=7 3=9 3=8 4=10", 5)] // out of order and twice
    [InlineData("proven", "1=5 100000=9", 4)] // whatever was missed in between
    [InlineData("proven", "1=5 2=NaN 3=9 4=+Inf 5=-Inf 6=-3 7=1e300 8=10", 5)]
    [InlineData("proven", "1=0.4 2=1.6 3=2.2 4=2.9", 2)] // cut off, never rounded up
    [InlineData("proven", "1=9007199254740992 2=9007199254740994", 0)] // beyond it doubles skip numbers
    public void Growth_counts(string rule, string samples, long expected)
    {
        var reading = new CounterReading(Source(rule));
        Assert.Equal(expected, reading.Take(Samples("a", samples), StateOf, _tally).Sum(g => g.Quantity));
        Assert.Equal(expected, _tally.Units);
    }

    [Fact]
    public void A_series_that_begins_while_its_target_is_read_counts_from_zero()
    {
        var reading = new CounterReading(Source("proven"));
        Assert.Equal(0, Sum(reading.Take(Samples("a", "1=100"), StateOf, _tally)));
        Assert.Equal(7, Sum(reading.Take(Samples("b", "2=7"), StateOf, _tally)));
    }

    [Fact]
    public void A_series_of_the_scrape_in_which_its_target_is_first_seen_only_begins()
    {
        var reading = new CounterReading(Source("proven"));
        Assert.Equal(0, Sum(reading.Take([.. Samples("a", "1=100"), .. Samples("b", "1=50")], StateOf, _tally)));
        Assert.Equal(2, _tally.Baselines);
    }

    [Fact]
    public void A_series_whose_first_values_were_no_counts_is_not_taken_for_a_new_one()
    {
        var reading = new CounterReading(Source("proven"));
        reading.Take([.. Samples("a", "1=100"), .. Samples("b", "1=NaN")], StateOf, _tally);
        Assert.Equal(0, Sum(reading.Take(Samples("b", "2=500"), StateOf, _tally)));
        Assert.Equal(1, _tally.Refused);
    }

    [Fact]
    public void A_series_without_a_target_only_begins()
    {
        var reading = new CounterReading(Source("proven"));
        reading.Take(Samples("a", "1=100", instance: null), StateOf, _tally);
        Assert.Equal(0, Sum(reading.Take(Samples("b", "2=7", instance: null), StateOf, _tally)));
    }

    [Fact]
    public void Every_reset_is_a_record_of_its_own()
    {
        var grown = new CounterReading(Source("proven")).Take(
            Samples("a", "1=5 2=8 3=1 4=2 5=2 6=2 7=0 8=1 9=1 10=1 11=4"), StateOf, _tally);
        Assert.Equal([false, true, false, true, false], grown.Select(g => g.IsReset));
        Assert.Equal([3L, 1, 1, 0, 4], grown.Select(g => g.Quantity));
        Assert.Equal(2, _tally.Resets);
    }

    [Fact]
    public void Samples_without_a_subject_and_of_too_many_series_are_counted_and_not_billed()
    {
        var reading = new CounterReading(Source("count"));
        Assert.Empty(reading.Take(Samples("", "1=5"), StateOf, _tally));
        Assert.Empty(reading.Take(Samples("a", "1=5"), _ => null, _tally));
        Assert.Equal((1, 1), (_tally.Nobodys, _tally.TooMany));
    }

    [Fact]
    public void The_record_of_a_counter_says_its_series_and_value()
    {
        var sample = new CounterSample(int.MaxValue, true, Meter.MaxQuantity);
        Assert.Equal(sample, CounterSample.Of(new JournalRecord { Identity = sample.Identity }));
        Assert.Equal(default, CounterSample.Of(new JournalRecord { Identity = default(CounterSample).Identity }));
    }

    [Fact]
    public void Never_more_than_the_truth_however_processes_and_scrapes_come()
    {
        for (var seed = 0; seed < 500; seed++) NeverMore(seed);
    }

    /// <summary>A process counts and restarts at any time; it is scraped at some times.</summary>
    private void NeverMore(int seed)
    {
        _series.Clear();
        var random = new Random(seed);
        var (truth, value, samples) = (0L, 0L, new List<RawSample>());
        var labels = Labels("a", "i");
        for (var at = 1; at <= 60; at++)
        {
            if (random.Next(10) == 0) value = 0;
            var more = random.Next(5);
            if (samples.Count > 0) truth += more;
            value += more;
            if (random.Next(3) > 0) samples.Add(new RawSample(labels, at, value));
        }

        Assert.InRange(Sum(new CounterReading(Source("proven")).Take(samples, StateOf, _tally)), 0, truth);
    }

    [Fact]
    public void What_a_process_says_of_its_start_makes_restarts_exact()
    {
        for (var seed = 0; seed < 300; seed++) Exact(seed);
    }

    /// <summary>Restarts happen right after a scrape, so that nothing dies uncounted: then the sum is the truth, also where
    /// a counter is beyond its old value at once.</summary>
    private void Exact(int seed)
    {
        _series.Clear();
        var random = new Random(seed);
        var (truth, value, start, samples) = (0L, 50L, 100 * Second, new List<RawSample>());
        for (var i = 0; i < 60; i++)
        {
            var at = (1_000 + i * 15) * Second;
            if (i > 0 && random.Next(6) == 0) (value, start) = (0, at - 10 * Second);
            var more = i == 0 ? 0 : random.Next(80);
            (value, truth) = (value + more, truth + more);
            samples.Add(Start(start, at));
            samples.Add(new RawSample(Labels("a", "i"), at, value));
        }

        Assert.Equal(truth, Sum(new CounterReading(Source("proven")).Take(samples, StateOf, _tally)));
    }

    [Theory]
    [InlineData(200, 100)] // the younger process answers second …
    [InlineData(100, 200)] // … or first
    [InlineData(100, 1_005)] // it started between two scrapes, and the first one still answers
    public void Two_processes_behind_one_target_are_parked_by_their_starts(int first, int second)
    {
        var reading = new CounterReading(Source("proven"));
        var samples = new List<RawSample>();
        for (var i = 0; i < 12; i++)
        {
            var at = (1_000 + i * 15) * Second;
            samples.Add(Start((i % 2 == 0 ? first : second) * Second, at));
            samples.Add(new RawSample(Labels("a", "i"), at, i % 2 == 0 ? 900 + i : 400 + i));
        }

        Assert.InRange(Sum(reading.Take(samples, StateOf, _tally)), 0, 401);
        var parked = Assert.Single(reading.TakeParked());
        Assert.Equal("shop\ni", parked.Target);
        Assert.Contains("two processes", parked.Why, StringComparison.Ordinal);
        Assert.True(_tally.Parked >= 9);
        Assert.Empty(reading.TakeParked());
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Counters_that_alternate_are_parked_where_nothing_says_when_processes_started(int workers)
    {
        var reading = new CounterReading(Source("proven"));
        var samples = new List<RawSample>();
        var random = new Random(7);
        var values = Enumerable.Range(1, workers).Select(w => w * 300L).ToArray();
        for (var i = 0; i < 40; i++)
        {
            var worker = random.Next(workers);
            values[worker] += 3;
            samples.Add(new RawSample(Labels("a", "i"), (1_000 + i * 15) * Second, values[worker]));
        }

        var counted = Sum(reading.Take(samples, StateOf, _tally));
        Assert.Single(reading.TakeParked());
        Assert.InRange(counted, 0, 300L * workers + 200);
    }

    [Fact]
    public void A_new_process_that_says_when_it_started_counts_from_zero()
    {
        var reading = new CounterReading(Source("proven"));
        reading.Take(Samples("a", "1000000000=100"), StateOf, _tally);
        var at = 1_030 * Second;
        RawSample[] samples =
        [
            Start(1_010 * Second, at, "new"), new(Labels("a", "new"), at, 9),
            Start(500 * Second, at, "old"), new(Labels("a", "old"), at, 70),
        ];
        Assert.Equal(9, Sum(reading.Take(samples, StateOf, _tally)));
    }

    [Fact]
    public void A_series_with_a_label_more_is_the_same_one_and_only_begins()
    {
        var reading = new CounterReading(Source("proven"));
        reading.Take(Samples("a", "1=100 2=110"), StateOf, _tally);
        var labels = new SeriesLabels(new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["consumer_id"] = "a", ["job"] = "shop", ["instance"] = "app:80", ["cluster"] = "eu",
        });
        Assert.Equal(5, Sum(reading.Take([new RawSample(labels, 3, 120), new RawSample(labels, 4, 125)], StateOf, _tally)));
    }

    [Fact]
    public void A_mark_that_a_series_has_ended_counts_nothing_and_doubts_nothing()
    {
        var reading = new CounterReading(Source("proven"));
        var stale = BitConverter.UInt64BitsToDouble(0x7FF0_0000_0000_0002);
        reading.Take(Samples("a", "1=100"), StateOf, _tally);
        Assert.Equal(7, Sum(reading.Take([new(Labels("b", "app:80"), 2, stale), .. Samples("b", "3=7")], StateOf, _tally)));
        Assert.Equal((1, 0), (_tally.Stale, _tally.Refused));
    }

    private const long Second = 1_000_000;

    private static RawSample Start(long start, long at, string instance = "i") => new(
        new SeriesLabels(new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["__name__"] = CounterReading.StartName, ["job"] = "shop", ["instance"] = instance,
        }), at, start / (double)Second);

    private static long Sum(IEnumerable<Growth> grown) => grown.Sum(g => g.Quantity);

    private SeriesState StateOf(SeriesLabels labels)
    {
        if (!_series.TryGetValue(labels.Text, out var state))
            _series[labels.Text] = state = new SeriesState { Key = _series.Count + 1 };
        return state;
    }

    private static CounterSource Source(string rule) => new()
    {
        Name = "shop",
        Prometheus = new Uri("http://127.0.0.1:9090"),
        Series = "api_requests_total",
        Meter = Meter.Calls,
        Subject = "consumer_id",
        FirstSample = Enum.Parse<FirstSample>(rule, ignoreCase: true),
    };

    private static SeriesLabels Labels(string consumer, string? instance)
    {
        var labels = new SortedDictionary<string, string>(StringComparer.Ordinal) { ["consumer_id"] = consumer, ["job"] = "shop" };
        if (instance is not null) labels["instance"] = instance;
        return new SeriesLabels(labels);
    }

    private static IEnumerable<RawSample> Samples(string consumer, string samples, string? instance = "app:80") =>
        samples.Split(' ').Select(s => s.Split('=')).Select(s => new RawSample(Labels(consumer, instance), long.Parse(s[0]), s[1] switch
        {
            "+Inf" => double.PositiveInfinity,
            "-Inf" => double.NegativeInfinity,
            var number => double.Parse(number, System.Globalization.CultureInfo.InvariantCulture),
        })).ToArray();
}
