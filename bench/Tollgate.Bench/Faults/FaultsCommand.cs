using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Tollgate.IntegrationTests;

namespace Tollgate.Bench;

/// <summary>The command line of <c>faults</c>: rounds of a few minutes, each written down when it is over, so that a run that
/// was interrupted goes on where it was.</summary>
internal static class FaultsCommand
{
    private const double RoundMinutes = 3;

    public static Command Create()
    {
        var minutes = new Option<double>("--minutes")
        {
            Description = "Minutes of faults in all, with the rounds done before",
            DefaultValueFactory = _ => 30,
        };
        var folder = new Option<string>("--folder")
        {
            Description = "Where the finished rounds are kept; a run that was interrupted goes on from there",
            DefaultValueFactory = _ => Repository.Path("data/faults"),
        };
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root",
            DefaultValueFactory = _ => "bench/results",
        };
        var seed = new Option<int>("--seed") { Description = "Of the first round; 0: another each time" };
        var command = new Command(
            "faults", "Random faults of nodes, engines and links under load; then the ledger and the limits are proved")
        {
            minutes, folder, output, seed,
        };
        command.SetAction((parsed, stop) => RunAsync(
            parsed.GetValue(minutes), Path.GetFullPath(parsed.GetValue(folder)!), parsed.GetValue(output)!,
            parsed.GetValue(seed) is var first and not 0 ? first : Environment.TickCount, stop));
        return command;
    }

    private static async Task<int> RunAsync(double minutes, string folder, string output, int seed, CancellationToken stop)
    {
        if (!Cluster.IsInstalled) throw new BenchException(Cluster.Missing);
        Directory.CreateDirectory(folder);
        var file = Path.Combine(folder, "rounds.jsonl");
        var done = File.Exists(file)
            ? (await File.ReadAllLinesAsync(file, stop)).Select(l => JsonSerializer.Deserialize<FaultResult>(l)!).ToList() : [];
        if (done.Count > 0) Console.WriteLine($"goes on after round {done.Count} in {folder}");
        while (done.Sum(r => r.Seconds) < minutes * 60 - 1 && !stop.IsCancellationRequested)
        {
            var seconds = Math.Min(RoundMinutes * 60, minutes * 60 - done.Sum(r => r.Seconds));
            var round = new FaultRound(done.Count + 1, seed + done.Count, TimeSpan.FromSeconds(seconds));
            var result = await round.RunAsync(stop);
            done.Add(result);
            await File.AppendAllTextAsync(file, JsonSerializer.Serialize(result) + "\n", CancellationToken.None);
            Console.WriteLine($"round {result.Round}: {result.Faults.Values.Sum()} faults, {result.Answered} answers, " +
                $"lost {result.Lost}, doubled {result.Doubled}, beyond limits {result.Exceeded}" +
                string.Concat(result.Problems.Select(p => $"\n  {p}")));
            await WriteAsync(done, output, CancellationToken.None);
        }

        return done.Count > 0 && done.TrueForAll(r => r.Problems.Length == 0) ? 0 : 1;
    }

    private static async Task WriteAsync(List<FaultResult> rounds, string output, CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var wrong = rounds.SelectMany(r => r.Problems.Select(p => $"round {r.Round} (seed {r.Seed}): {p}")).ToArray();
        var text = new StringBuilder().AppendLine(CultureInfo.InvariantCulture, $"""
            # Faults, {today}

            `dotnet dev.cs faults --minutes {rounds.Sum(r => r.Seconds) / 60:0.#}` on {machine.Cores} × {machine.Cpu}, {machine.System},
            {machine.Dotnet}, revision {machine.Revision}. Three nodes on one PostgreSQL and one Redis that keeps its memory
            (`appendonly yes`), twelve callers, plans with every kind of limit that say `limits_unavailable: closed`.

            | | |
            |---|---:|
            | minutes of faults | {rounds.Sum(r => r.Seconds) / 60:0.#} |
            | rounds, each from an empty store | {rounds.Count} |
            | faults | {rounds.Sum(r => r.Faults.Values.Sum())} |
            | answered calls | {rounds.Sum(r => r.Answered)} |
            | calls whose answer never came | {rounds.Sum(r => r.Broken)} |
            | refused: 429 | {rounds.Sum(r => r.Refused)} |
            | refused while limits could not be asked: 503 | {rounds.Sum(r => r.Unavailable)} |
            | refused by a node that began with a table of before the keys, as its log says: 401 | {rounds.Sum(r => r.Unknown)} |
            | billed calls | {rounds.Sum(r => r.Counted)} |
            | answered and not billed (lost) | {rounds.Sum(r => r.Lost)} |
            | billed twice, or in the sums and not in the records | {rounds.Sum(r => r.Doubled)} |
            | admitted beyond a limit | {rounds.Sum(r => r.Exceeded)} |
            | rounds with anything wrong, `tollgate verify` over all three nodes among it | {rounds.Count(r => r.Problems.Length > 0)} |

            | fault | times |
            |---|---:|
            """);
        var kinds = rounds.SelectMany(r => r.Faults).GroupBy(f => f.Key, f => f.Value);
        foreach (var fault in kinds.OrderBy(f => f.Key, StringComparer.Ordinal))
            text.AppendLine(CultureInfo.InvariantCulture, $"| {fault.Key} | {fault.Sum()} |");
        text.AppendLine("""

            Each answer that came back whole with 200 must stand in the records of one node, once and billable; the sums must be
            those of the records. Limits are checked by the instants of the records: 600 a minute exactly; a sliding window and
            a bucket with 12 s of slack, since a record has the instant of its arrival and Redis lets it in later where a node
            was frozen in between; calls at a time are counted by the upstream.
            """);
        foreach (var problem in wrong) text.AppendLine(CultureInfo.InvariantCulture, $"- {problem}");
        await ResultPage.WriteAsync(output, "faults", Math.Round(rounds.Sum(r => r.Seconds) / 60, 1), text.ToString(), stop);
    }
}
