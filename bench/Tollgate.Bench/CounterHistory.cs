using System.Globalization;

namespace Tollgate.Bench;

/// <summary>What one consumer did on the day, and what was scraped of it.</summary>
internal sealed record CountedConsumer(string Name, long Truth);

/// <summary>
/// A day of an application that counts its calls by consumer, as Prometheus scraped it: deployments, a crash, a scrape that
/// is missed now and then, and a target that is away for ten minutes. Most consumers make few calls, as everywhere.
/// </summary>
internal sealed class CounterHistory
{
    public const int Hours = 24, ScrapeSeconds = 30;

    /// <summary>A consumer who called before anybody looked.</summary>
    public const string Old = "old";

    private readonly Random _random = new(20_261_124);
    private readonly Dictionary<string, List<long>> _calls = [];

    /// <param name="start">Seconds since 1970.</param>
    /// <param name="consumers">How many.</param>
    public CounterHistory(long start, int consumers)
    {
        Start = start;
        for (var i = 1; i <= consumers; i++)
        {
            // Zipf: the first makes 4,000 calls, the hundredth 40; from there on a handful
            var calls = Math.Max(1 + _random.Next(6), (int)(4_000 / Math.Pow(i, 1.1)));
            _calls[$"c{i:D3}"] = Enumerable.Range(0, calls).Select(_ => CallAt()).Order().ToList();
        }

        // a deployment each 4 hours and a crash
        Restarts = [.. Enumerable.Range(1, 5).Select(h => start + h * 4 * 3_600 + 7), start + 37_411];
        Restarts.Sort();
    }

    public long Start { get; }

    public long End => Start + Hours * 3_600;

    public List<long> Restarts { get; }

    public IEnumerable<CountedConsumer> Consumers => _calls.Select(c => new CountedConsumer(c.Key, c.Value.Count));

    /// <summary>Calls that died with their process, before a scrape saw them.</summary>
    public long Unseen { get; private set; }

    /// <summary>Writes all samples as OpenMetrics.</summary>
    public void Write(string path)
    {
        using var text = new StreamWriter(path);
        var scrapes = Scrapes().ToArray();
        text.WriteLine("# TYPE process_start_time_seconds gauge");
        foreach (var at in scrapes) Line($"process_start_time_seconds{{job=\"shop\",instance=\"app:80\"}}", ProcessStart(at), at);
        text.WriteLine("# TYPE api_requests counter");
        foreach (var at in scrapes) Line(Series(Old), at < Restarts[0] ? 1_000 : 0, at, unless: at >= Restarts[0]);
        foreach (var (name, calls) in _calls)
        {
            var last = Start;
            foreach (var at in scrapes)
            {
                var from = ProcessStart(at);
                var value = calls.Count(c => c >= from && c < at);
                Line(Series(name), value, at, unless: value == 0);
                if (from > last) Unseen += calls.Count(c => c >= last && c < from);
                last = at;
            }
        }

        text.WriteLine("# EOF");

        void Line(string series, long value, long at, bool unless = false)
        {
            if (!unless) text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{series} {value} {at}"));
        }
    }

    private static string Series(string consumer) =>
        $"api_requests_total{{consumer=\"{consumer}\",job=\"shop\",instance=\"app:80\"}}";

    /// <summary>More by day than by night.</summary>
    private long CallAt()
    {
        while (true)
        {
            var at = _random.Next(Hours * 3_600);
            if (_random.NextDouble() < 0.55 - 0.45 * Math.Cos(at * 2 * Math.PI / 86_400)) return Start + at;
        }
    }

    private long ProcessStart(long at) => Restarts.LastOrDefault(r => r <= at) is > 0 and var restart ? restart : Start - 86_400;

    private IEnumerable<long> Scrapes()
    {
        var random = new Random(5);
        for (var at = Start; at <= End; at += ScrapeSeconds)
        {
            var away = at >= Start + 50_000 && at < Start + 50_600;
            if (!away && (at == Start || at == End || random.Next(50) > 0)) yield return at;
        }
    }
}
