using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace Tollgate.Bench;

/// <summary>One <c>kill -9</c> and what the ledger said after it.</summary>
internal sealed record TortureRun
{
    public required int Run { get; init; }

    /// <summary>How long the load ran before the kill, milliseconds.</summary>
    public required int AfterMs { get; init; }

    /// <summary>The start before this run was itself killed, so many milliseconds after it began; none: −1.</summary>
    public required int StartKilledAfterMs { get; init; }

    /// <summary>Answers that came back whole, the probe among them.</summary>
    public required long Answered { get; init; }

    /// <summary>What the ledger gained by it.</summary>
    public required long Counted { get; init; }

    /// <summary>Calls under way at the kill, at most.</summary>
    public required int InFlight { get; init; }

    /// <summary>What was wrong; empty when nothing.</summary>
    public required string Fault { get; init; }
}

/// <summary>
/// Kills the server at random instants, again and again over one data folder, and asks after each restart: complete
/// answers ≤ ledger ≤ complete answers + calls in flight; no identity twice; the limit as exact as before. Each run
/// is written down when it is over, so a torture that was interrupted goes on where it was.
/// </summary>
internal sealed class Torture(string folder, int connections, Random random)
{
    private readonly HashSet<string> _identities = [];
    private readonly string _file = Path.Combine(folder, "runs.jsonl");

    public async Task<int> RunAsync(int runs, string output, CancellationToken stop)
    {
        Directory.CreateDirectory(folder);
        var done = File.Exists(_file)
            ? (await File.ReadAllLinesAsync(_file, stop)).Select(line => JsonSerializer.Deserialize<TortureRun>(line)!).ToList()
            : [];
        if (done.Count > 0) Console.WriteLine($"goes on after run {done.Count} in {folder}");
        await using var rig = await LedgerRig.CreateAsync(folder, null, stop);
        await rig.StartAsync(stop);
        while (done.Count < runs && !stop.IsCancellationRequested)
        {
            var run = await RunAsync(rig, done.Count + 1, stop);
            done.Add(run);
            await File.AppendAllTextAsync(_file, JsonSerializer.Serialize(run) + "\n", stop);
            if (run.Fault.Length > 0) Console.WriteLine($"run {run.Run}: {run.Fault}");
            else if (run.Run % 10 == 0) Console.WriteLine($"run {run.Run}: {done.Sum(r => r.Answered)} answers, all counted");
        }

        await rig.StopAsync();
        var (clean, words) = await rig.VerifyAsync(stop);
        await WriteAsync(done, output, clean, words, stop);
        return clean && done.TrueForAll(r => r.Fault.Length == 0) ? 0 : 1;
    }

    private async Task<TortureRun> RunAsync(LedgerRig rig, int number, CancellationToken stop)
    {
        var before = await rig.CountAsync(stop);
        var faults = new List<string>();
        var (letIn, identity) = await rig.ProbeAsync(stop);
        if (letIn != before.Admitted + 1)
            faults.Add($"the limit has let in {letIn}, the ledger {before.Admitted + 1}");
        Seen(identity, faults);
        var load = Enumerable.Range(0, connections).Select(_ => CallUntilBrokenAsync(rig.Proxy, rig.Key)).ToArray();
        var after = random.Next(20, 800);
        await Task.Delay(TimeSpan.FromMilliseconds(after), TimeProvider.System, stop);
        await rig.KillAsync();
        var identities = (await Task.WhenAll(load)).SelectMany(ids => ids).ToArray();
        foreach (var id in identities) Seen(id, faults);
        var startKilled = await KillSomeStartsAsync(rig, stop);
        await rig.StartAsync(stop);
        var now = await rig.CountAsync(stop);
        var (answered, counted) = (identities.LongLength + 1, now.Quantity - before.Quantity);
        if (counted < answered) faults.Add($"LOST {answered - counted} of {answered} answers");
        if (counted > answered + connections)
            faults.Add($"counted {counted} for {answered} answers and {connections} calls in flight");
        return new TortureRun
        {
            Run = number,
            AfterMs = after,
            StartKilledAfterMs = startKilled,
            Answered = answered,
            Counted = counted,
            InFlight = connections,
            Fault = string.Join("; ", faults),
        };
    }

    /// <summary>Every fourth time the start is killed as well, so that recovery itself is interrupted.</summary>
    private async Task<int> KillSomeStartsAsync(LedgerRig rig, CancellationToken stop)
    {
        if (random.Next(4) != 0) return -1;
        var after = random.Next(50, 1_500);
        rig.Spawn();
        await Task.Delay(TimeSpan.FromMilliseconds(after), TimeProvider.System, stop);
        await rig.KillAsync();
        return after;
    }

    private void Seen(string identity, List<string> faults)
    {
        if (!_identities.Add(identity)) faults.Add($"identity {identity} twice");
    }

    private static async Task<List<string>> CallUntilBrokenAsync(Uri proxy, string key)
    {
        using var client = new HttpClient { BaseAddress = proxy };
        client.DefaultRequestHeaders.Add(Load.KeyHeader, key);
        var whole = new List<string>();
        while (true)
        {
            try
            {
                using var answer = await client.GetAsync(LedgerRig.Path);
                if (answer.StatusCode != HttpStatusCode.OK) return whole;
                await answer.Content.ReadAsByteArrayAsync();
                whole.Add(answer.Headers.GetValues("X-Request-Id").Single());
            }
            catch (HttpRequestException)
            {
                return whole;
            }
        }
    }

    private static async Task WriteAsync(
        List<TortureRun> runs, string output, bool clean, string words, CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var faults = runs.Where(r => r.Fault.Length > 0).ToArray();
        var text = new StringBuilder().AppendLine(CultureInfo.InvariantCulture, $"""
            # Torture, {today}

            `dotnet dev.cs torture --runs {runs.Count}` on {machine.Cores} × {machine.Cpu}, {machine.System}, {machine.Dotnet},
            revision {machine.Revision}. Other work ran on the machine at the same time.

            | | |
            |---|---:|
            | `kill -9` under load, at a random instant | {runs.Count} |
            | starts killed as well, at a random instant | {runs.Count(r => r.StartKilledAfterMs >= 0)} |
            | complete answers | {runs.Sum(r => r.Answered)} |
            | calls counted | {runs.Sum(r => r.Counted)} |
            | counted though the caller never saw the answer | {runs.Sum(r => Math.Max(0, r.Counted - r.Answered))} |
            | calls in flight at a kill, at most | {runs.Select(r => r.InFlight).DefaultIfEmpty().Max()} |
            | answers that were lost | {runs.Sum(r => Math.Max(0, r.Answered - r.Counted))} |
            | runs with a fault | {faults.Length} |

            A run is well when complete answers ≤ ledger ≤ complete answers + calls in flight, no identity came twice, and
            the limit has let in exactly what the ledger says. `tollgate verify` at the end: {(clean ? "clean" : "NOT clean")}.

            ```
            {words}
            ```
            """);
        foreach (var run in faults) text.AppendLine(CultureInfo.InvariantCulture, $"- run {run.Run}: {run.Fault}");
        var file = await ResultPage.WriteAsync(output, "torture", runs.Count, text.ToString(), stop);
        Console.WriteLine($"{runs.Count} runs, {faults.Length} with a fault; verify is {(clean ? "clean" : "NOT clean")}; {file}");
    }
}

/// <summary>The command line of <c>torture</c>.</summary>
internal static class TortureCommand
{
    public static Command Create()
    {
        var runs = new Option<int>("--runs")
        {
            Description = "How often to kill, with the runs done before",
            DefaultValueFactory = _ => 500,
        };
        var connections = new Option<int>("--connections") { Description = "Calls under way at once", DefaultValueFactory = _ => 16 };
        var folder = new Option<string>("--folder")
        {
            Description = "Where the data and the finished runs are; a torture that was interrupted goes on from there",
            DefaultValueFactory = _ => Repository.Path("data/torture"),
        };
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root",
            DefaultValueFactory = _ => "bench/results",
        };
        var command = new Command("torture", "Kill the server at random instants under load, and prove the ledger each time")
        {
            runs, connections, folder, output,
        };
        command.SetAction((parsed, stop) => new Torture(
            Path.GetFullPath(parsed.GetValue(folder)!), Math.Clamp(parsed.GetValue(connections), 1, 1_000), new Random())
            .RunAsync(parsed.GetValue(runs), parsed.GetValue(output)!, stop));
        return command;
    }
}
