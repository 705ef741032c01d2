using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Logging.Abstractions;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>One consumer's day: what it did, what Tollgate has, what <c>increase()</c> says.</summary>
internal sealed record ComparedConsumer(string Name, long Truth, long Ours, double Increase)
{
    public static double Error(double value, double truth) => truth == 0 ? 0 : (value - truth) / truth * 100;
}

/// <summary>
/// Bills a day of an application that only has counters twice out of one real Prometheus: by Tollgate, and by
/// <c>sum by (consumer)(increase(…[1h]))</c>, hour by hour; and holds both against what was really called.
/// </summary>
internal static class PrometheusComparison
{
    private const string Query = "sum by (consumer)(increase(api_requests_total[1h]))";
    private const int Tail = 10;

    public static Command Create()
    {
        var consumers = new Option<int>("--consumers") { Description = "How many", DefaultValueFactory = _ => 300 };
        var output = new Option<string>("--out")
        {
            Description = "Folder for the page, from the repository's root; the plot goes to docs when it is bench/results",
            DefaultValueFactory = _ => "bench/results",
        };
        var command = new Command("prometheus", "Counters of a Prometheus: our sums and those of increase(), against the truth")
        {
            consumers, output,
        };
        command.SetAction((parsed, stop) => RunAsync(parsed.GetValue(consumers), parsed.GetValue(output)!, stop));
        return command;
    }

    private static async Task<int> RunAsync(int consumers, string output, CancellationToken stop)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-compare-").FullName;
        try
        {
            var now = TimeProvider.System.GetUtcNow();
            var history = new CounterHistory(new DateTimeOffset(now.Date.AddDays(-2), TimeSpan.Zero).ToUnixTimeSeconds(), consumers);
            history.Write(Path.Combine(folder, "day.om"));
            var (exitCode, words) = await ChildProcess.RunAsync("promtool",
                ["tsdb", "create-blocks-from", "openmetrics", Path.Combine(folder, "day.om"), Path.Combine(folder, "tsdb")], stop);
            if (exitCode != 0) throw new BenchException($"promtool (package prometheus): {words}");
            var address = LocalPorts.At(LocalPorts.Free(1)[0]);
            await File.WriteAllTextAsync(Path.Combine(folder, "prometheus.yml"), "scrape_configs: []\n", stop);
            await using var prometheus = ChildProcess.Start("prometheus",
            [
                $"--config.file={folder}/prometheus.yml", $"--storage.tsdb.path={folder}/tsdb",
                "--storage.tsdb.retention.time=10y", $"--web.listen-address={address.Authority}", "--log.level=error",
            ], folder);
            using var client = new HttpClient { BaseAddress = address };
            await ReadyAsync(client, stop);
            var ours = await OursAsync(folder, address, history);
            var increase = await IncreaseAsync(client, history, stop);
            var all = history.Consumers.Select(c => new ComparedConsumer(
                c.Name, c.Truth, ours.GetValueOrDefault(c.Name), increase.GetValueOrDefault(c.Name))).ToArray();
            await WriteAsync(all, history, output, stop);
            return all.All(c => c.Ours <= c.Truth) && all.Sum(c => c.Truth - c.Ours) <= history.Unseen ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task ReadyAsync(HttpClient client, CancellationToken stop)
    {
        for (var i = 0; i < 300; i++)
        {
            try
            {
                using var answer = await client.GetAsync(new Uri("/-/ready", UriKind.Relative), stop);
                if (answer.IsSuccessStatusCode) return;
            }
            catch (HttpRequestException)
            {
                // it is still starting
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, stop);
        }

        throw new BenchException("prometheus is not ready after 30 s");
    }

    /// <summary>The day goes by for a Tollgate that reads this Prometheus: usage by consumer, as the ledger has it.</summary>
    private static async Task<Dictionary<string, long>> OursAsync(string folder, Uri prometheus, CounterHistory history)
    {
        var clock = new TestClock(DateTimeOffset.FromUnixTimeSeconds(history.Start + 1));
        var clocks = new Clocks(clock, TimeProvider.System);
        using var journal = UsageJournal.Open(Path.Combine(folder, "journal"), new JournalOptions(), TimeProvider.System);
        await using var database = Database.Open(Path.Combine(folder, "tollgate.db"));
        using var drain = new UsageDrain(journal, database, clocks, (_, _) => Task.FromResult<IReadOnlyList<Entitlement>>([]));
        await drain.RecoverAsync();
        using var intake = new CounterIntake(journal, database, drain, clocks, NullLogger.Instance)
        {
            Sources =
            [
                new CounterSource
                {
                    Name = "shop", Prometheus = prometheus, Series = "api_requests_total", Meter = Meter.Calls,
                    Subject = "consumer", Every = TimeSpan.Zero,
                },
            ],
        };
        for (var at = history.Start + 1; at <= history.End + 600; at += 600)
        {
            clock.Set(DateTimeOffset.FromUnixTimeSeconds(at));
            await intake.ReadAsync(CancellationToken.None);
            if (intake.Standing[0].Trouble is { } trouble) throw new BenchException(trouble);
        }

        // nobody has these names here, so their usage waits, by subject
        return (await database.ReadAsync(db => db.QueryAsync<(string Subject, long Units)>(
            "select s.subject, cast(sum(u.quantity) as bigint) from unattributed_usage u " +
            "join event_subjects s on s.key = u.subject group by s.subject"))).ToDictionary(r => r.Subject, r => r.Units);
    }

    private static async Task<Dictionary<string, double>> IncreaseAsync(
        HttpClient client, CounterHistory history, CancellationToken stop)
    {
        var sums = new Dictionary<string, double>();
        for (var at = history.Start + 3_600; at <= history.End; at += 3_600)
        {
            var query = $"/api/v1/query?time={at}&query={Uri.EscapeDataString(Query)}";
            using var answer = JsonDocument.Parse(await client.GetStringAsync(new Uri(query, UriKind.Relative), stop));
            foreach (var row in answer.RootElement.GetProperty("data").GetProperty("result").EnumerateArray())
            {
                var consumer = row.GetProperty("metric").GetProperty("consumer").GetString()!;
                var value = double.Parse(row.GetProperty("value")[1].GetString()!, CultureInfo.InvariantCulture);
                sums[consumer] = sums.GetValueOrDefault(consumer) + value;
            }
        }

        return sums;
    }

    private static async Task WriteAsync(
        ComparedConsumer[] all, CounterHistory history, string output, CancellationToken stop)
    {
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var machine = await Machine.DescribeAsync(stop);
        var text = new StringBuilder().AppendLine(CultureInfo.InvariantCulture, $"""
            # Counters of a Prometheus, {today}

            `dotnet dev.cs prometheus --consumers {all.Length}`, revision {machine.Revision}, with a real Prometheus. One day,
            scraped every {CounterHistory.ScrapeSeconds} s; {history.Restarts.Count} restarts; every fiftieth scrape is missed,
            and ten minutes in a row.
            {history.Unseen} calls died with their process before a scrape saw them: nobody who reads counters can know them.

            | consumers with | how many | calls | Tollgate | | `{Query}`, hour by hour | | worst consumer: Tollgate | `increase()` |
            |---|---:|---:|---:|---:|---:|---:|---:|---:|
            """);
        Row("fewer than 10 calls", c => c.Truth < Tail);
        Row("10 to 99", c => c.Truth is >= Tail and < 100);
        Row("100 and more", c => c.Truth >= 100);
        Row("all", _ => true);
        Console.Write(text);
        var folder = Directory.CreateDirectory(Repository.Path(output)).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, $"{today}-prometheus.md"), text.ToString(), stop);
        var plots = output == "bench/results" ? Repository.Path("docs") : folder;
        await File.WriteAllTextAsync(Path.Combine(plots, "prometheus.svg"), ComparisonPlot.Draw(all), stop);

        void Row(string name, Func<ComparedConsumer, bool> which)
        {
            var some = all.Where(which).ToArray();
            var (truth, ours, increase) = (some.Sum(c => c.Truth), some.Sum(c => c.Ours), some.Sum(c => c.Increase));
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {name} | {some.Length} | {truth:N0} | {ours:N0} | {ComparedConsumer.Error(ours, truth):+0.00;-0.00;0.00} % | " +
                $"{increase:N1} | {ComparedConsumer.Error(increase, truth):+0.00;-0.00;0.00} % | {Worst(c => c.Ours)} | " +
                $"{Worst(c => c.Increase)} |");

            string Worst(Func<ComparedConsumer, double> of) => some.Select(c => ComparedConsumer.Error(of(c), c.Truth))
                .MaxBy(Math.Abs).ToString("+0;-0;0", CultureInfo.InvariantCulture) + " %";
        }
    }
}
