using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Tollgate.Bench;

/// <summary>The medians of one target.</summary>
internal sealed record Summary
{
    public required Target Target { get; init; }
    public required double RequestsPerSecond { get; init; }
    public required double P50Ms { get; init; }
    public required double P99Ms { get; init; }
    public required double GateMicroseconds { get; init; }
    public required double BehindMicroseconds { get; init; }
    /// <summary>In all rounds together.</summary>
    public required long Non2xx { get; init; }
    /// <inheritdoc cref="Non2xx"/>
    public required long SocketErrors { get; init; }
    public required Resident Resident { get; init; }
}

/// <summary>What a run found: on the console, as a page to read and as raw numbers.</summary>
internal sealed class Report(EndToEndOptions options, Machine machine)
{
    private static readonly JsonSerializerOptions JsonStyle = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    public required IReadOnlyList<Turn> Turns { get; init; }
    public required IReadOnlyList<WarmUp> WarmUps { get; init; }
    public required IReadOnlyDictionary<Target, Resident> Resident { get; init; }
    /// <summary>For each request, of those that tell.</summary>
    public required IReadOnlyDictionary<Target, (double Gate, double Behind)> AllocatedBytes { get; init; }
    /// <summary>Of each Tollgate, over all its keys.</summary>
    public required IReadOnlyDictionary<Target, TimeSpan> ColdStarts { get; init; }
    /// <summary>Of each Tollgate, in the rounds.</summary>
    public required IReadOnlyDictionary<Target, JournalSeen> Journals { get; init; }
    public required IReadOnlyDictionary<Target, CountCheck> Counts { get; init; }

    /// <summary>Every call was answered well, and counted.</summary>
    public bool IsClean =>
        Turns.All(turn => turn.Seen is { Non2xx: 0, SocketErrors: 0 }) && Counts.Values.All(count => count.Holds);

    private List<Summary> Summaries => [.. options.Targets.Select(Summarize)];

    public void Print()
    {
        Console.WriteLine();
        Console.WriteLine(Table());
        foreach (var verdict in Verdicts()) Console.WriteLine(verdict);
    }

    public void Write(TimeProvider clock)
    {
        var folder = Repository.Path(options.Output);
        Directory.CreateDirectory(folder);
        var date = clock.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var keys = options.Keys == 1 ? "" : $"-{options.Keys}-keys";
        var operations = options.Operations == 1 ? "" : $"-{options.Operations}-operations";
        var file = Path.Combine(folder, $"{date}-e2e{(options.Full ? "-full" : keys + operations)}");
        File.WriteAllText(file + ".md", Page(date));
        File.WriteAllText(file + ".json", Json(date));
        Console.WriteLine($"written: {Path.GetRelativePath(Repository.Root, file)}.md and .json");
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    private Summary Summarize(Target target)
    {
        var turns = Turns.Where(turn => turn.Target == target).ToArray();
        return new Summary
        {
            Target = target,
            RequestsPerSecond = Median(turns.Select(turn => turn.Seen.RequestsPerSecond)),
            P50Ms = Median(turns.Select(turn => turn.Seen.P50Ms)),
            P99Ms = Median(turns.Select(turn => turn.Seen.P99Ms)),
            GateMicroseconds = Median(turns.Select(turn => turn.GateMicroseconds)),
            BehindMicroseconds = Median(turns.Select(turn => turn.BehindMicroseconds)),
            Non2xx = turns.Sum(turn => turn.Seen.Non2xx),
            SocketErrors = turns.Sum(turn => turn.Seen.SocketErrors),
            Resident = Resident[target],
        };
    }

    private string Table()
    {
        var summaries = Summaries;
        var yarp = summaries.Find(summary => summary.Target == Target.Yarp);
        var text = new StringBuilder()
            .Append("| target | req/s | to YARP | p50 ms | p99 ms | CPU µs/req | to YARP | behind calls ")
            .AppendLine("| bytes/req | behind calls | RSS MB | of it own | non-2xx | socket errors |")
            .AppendLine("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var one in summaries)
            text.AppendLine(
                $"| {one.Target.Name} | {one.RequestsPerSecond:F0} | {Ratio(one, yarp, s => s.RequestsPerSecond)} "
                + $"| {one.P50Ms:F2} | {one.P99Ms:F2} "
                + $"| {one.GateMicroseconds:F1} | {Ratio(one, yarp, s => s.GateMicroseconds)} "
                + $"| {one.BehindMicroseconds:F1} "
                + (AllocatedBytes.TryGetValue(one.Target, out var bytes)
                    ? string.Create(CultureInfo.InvariantCulture, $"| {bytes.Gate:F0} | {bytes.Behind:F0} ") : "| | ")
                + $"| {one.Resident.Bytes / 1e6:F0} | {one.Resident.Own / 1e6:F0} | {one.Non2xx} | {one.SocketErrors} |");
        return text.ToString();
    }

    private static string Ratio(Summary one, Summary? yarp, Func<Summary, double> figure) =>
        yarp is null ? "" : $"{figure(one) / figure(yarp):F2}";

    private string Page(string date)
    {
        var verdict = string.Join("\n\n", Verdicts());
        return $"""
            # End to end, {date}

            `{options.Command}`

            - {machine.Cpu}, {machine.Cores} cores, {machine.MemoryGib:F1} GiB memory, {machine.FileSystem}
            - {machine.System}, Linux {machine.Kernel}, {machine.Dotnet}, {machine.Nginx}, {machine.Wrk}
            - Tollgate at {machine.Revision}
            {Shapes()}

            Load: `wrk {WrkCommand()}`,
            all on this one machine: generator, gateway and upstream share its cores. Medians of {options.Rounds} rounds; load average
            {LoadAverage()} at the end. Ratios within 20 % mean nothing on shared cores.

            {Table()}
            {verdict}

            What is measured:

            {string.Join('\n', options.Targets.Select(one => $"- `{one.Name}`: {one.What}; {WarmUpOf(one)}"))}
            - CPU: user and system time of the target's processes during a round, over the answers, but for what stands under "behind
              calls": what Tollgate's threads for other work have used from the beginning of the round until they were done. They
              drain and archive the journal, bill, and serve the admin port with its key changes (`/proc/PID/task/*/stat`, by name)
            - bytes: what the runtime has allocated under {(options.Full ? 10 : 3)} s of load in a turn of their own, over the answers;
              what threads behind the calls have allocated of it stands beside, and is told by the samples that the runtime takes
            - RSS: resident memory of the target's processes after the last round, still running; the rest beside "own" is mapped
              files, above all segments of the journal, which the kernel takes back when memory is short

            {TableOfRounds()}
            """;
    }

    private string Shapes() => string.Join('\n', ColdStarts.Select(start =>
    {
        var (keys, operations) = options.ShapeOf(start.Key);
        return string.Create(CultureInfo.InvariantCulture,
            $"- {start.Key.Name}: {keys:N0} keys, {operations:N0} operations, ready after {start.Value.TotalSeconds:F2} s");
    }));

    private string WarmUpOf(Target target)
    {
        var warm = WarmUps.Single(w => w.Target == target);
        return string.Create(CultureInfo.InvariantCulture, $"{warm.Seconds} s of warm-up")
            + (warm.Compiled is { } n ? $", in the last 5 of them {n:F0} methods were compiled" : "");
    }

    private static string LoadAverage() => File.ReadAllText("/proc/loadavg").Split(' ')[0];

    private IEnumerable<string> Verdicts()
    {
        if (Turns.Sum(turn => turn.Changes) is > 0 and var changes)
            yield return $"{changes} keys came or went while Tollgate was under load, {options.Changes} a second were asked for.";
        foreach (var (target, journal) in Journals)
            yield return $"{target.Name}: {journal.Sealed} segments of the journal were sealed in the rounds and {journal.Archived} were "
                + $"archived; {journal.Behind} records were not drained at their end."
                + (journal.Sealed >= JournalSeen.Enough ? "" : " **Fewer than two: what the work behind the calls costs is not told by "
                    + "this run; let it be longer.**");
        foreach (var count in Counts.Values) yield return count.Sentence;
        yield return IsClean
            ? "Every call was answered with 2xx, without socket errors."
            : "**Not clean: refused calls, socket errors or a wrong count.**";
    }

    private string TableOfRounds()
    {
        var text = new StringBuilder()
            .AppendLine("| round | target | requests | req/s | p50 ms | p99 ms | CPU µs/req | behind calls | non-2xx | errors |")
            .AppendLine("|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var turn in Turns)
            text.AppendLine(
                $"| {turn.Round} | {turn.Target.Name} | {turn.Seen.Requests} | {turn.Seen.RequestsPerSecond:F0} "
                + $"| {turn.Seen.P50Ms:F2} | {turn.Seen.P99Ms:F2} | {turn.GateMicroseconds:F1} "
                + $"| {turn.BehindMicroseconds:F1} | {turn.Seen.Non2xx} | {turn.Seen.SocketErrors} |");
        return text.ToString();
    }

    private string WrkCommand()
    {
        var arguments = Wrk.Arguments(options.LoadOf(options.Targets[0], options.Seconds), new Uri("http://target"))
            .Select(argument => argument.Replace(Repository.Root + "/", ""))
            .Select(argument => argument.Contains(' ') ? $"'{argument}'" : argument);
        return string.Join(' ', arguments);
    }

    private string Json(string date) => JsonSerializer.Serialize(new
    {
        Date = date,
        options.Command,
        Machine = machine,
        Load = options.LoadOf(options.Targets[0], options.Seconds),
        WarmUps = WarmUps.Select(warm => new { Target = warm.Target.Name, warm.Seconds, warm.Compiled }),
        Summaries = Summaries.Select(one => new
        {
            Target = one.Target.Name,
            one.RequestsPerSecond,
            one.P50Ms,
            one.P99Ms,
            one.GateMicroseconds,
            one.BehindMicroseconds,
            AllocatedBytesPerRequest = AllocatedBytes.TryGetValue(one.Target, out var bytes) ? bytes.Gate : (double?)null,
            AllocatedBehindPerRequest = AllocatedBytes.TryGetValue(one.Target, out var more) ? more.Behind : (double?)null,
            one.Resident,
            ColdStartSeconds = ColdStarts.TryGetValue(one.Target, out var start) ? start.TotalSeconds : (double?)null,
            Journal = Journals.GetValueOrDefault(one.Target),
            Count = Counts.GetValueOrDefault(one.Target),
        }),
        Rounds = Turns.Select(turn => new
        {
            turn.Round,
            Target = turn.Target.Name,
            turn.Seen.Requests,
            turn.Seen.RequestsPerSecond,
            turn.Seen.P50Ms,
            turn.Seen.P99Ms,
            turn.Seen.Non2xx,
            turn.Seen.SocketErrors,
            GateMicroseconds = turn.Gate.TotalMicroseconds,
            BehindMicroseconds = turn.Behind.TotalMicroseconds,
            turn.Changes,
        }),
    }, JsonStyle);
}
