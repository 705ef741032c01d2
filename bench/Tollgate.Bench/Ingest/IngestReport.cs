using System.Globalization;
using System.Text;

namespace Tollgate.Bench;

/// <summary>The page of <c>ingest</c>.</summary>
internal sealed record IngestReport(
    int Seconds, long Ids, int Rate, long BytesOfIds, IReadOnlyList<IngestRun> Runs, long Sent, long Counted)
{
    public required TimeSpan First { get; init; }

    public required TimeSpan Start { get; init; }

    public required TimeSpan AfterStart { get; init; }

    public required bool IsPostgres { get; init; }

    private string Store => IsPostgres ? "PostgreSQL as it comes, but that it does not wait for the disk: `fsync = off`"
        : "SQLite on the disk, WAL, `synchronous = full`";

    /// <returns>Where it is.</returns>
    public async Task<string> WriteAsync(string output, CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var text = new StringBuilder().AppendLine(CultureInfo.InvariantCulture, $"""
            # Events from outside, {today}

            `dotnet dev.cs ingest --ids {Ids} --seconds {Seconds} --rate {Rate}{(IsPostgres ? " --postgres" : "")}`
            on {machine.Cores} × {machine.Cpu},
            {machine.MemoryGib:N0} GiB, {machine.System}, {machine.Dotnet}, revision {machine.Revision}. Senders, server and whatever
            else ran share the cores.

            CloudEvents in batches of {EventSender.Batch:N0} over four connections to `POST /v1/events`, one meter with a number as
            text and a dimension, {EventSender.Customers:N0} customers; one event in a hundred was sent before. The store
            ({Store}) knew {Ids:N0} identities of the last 35 days when it began:
            {BytesOfIds >> 20:N0} MiB, {(double)BytesOfIds / Math.Max(Ids, 1):N1} bytes each.

            | run | accepted/s | accepted | 503 | slowest answer | behind at the end | caught up after | counted/s |
            |---|---:|---:|---:|---:|---:|---:|---:|
            """);
        foreach (var r in Runs)
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {r.Name} | {r.AcceptedPerSecond:N0} | {r.Accepted:N0} | {r.Later} | {r.Slowest.TotalMilliseconds:N0} ms | " +
                $"{r.Behind:N0} | {r.CatchingUp.TotalSeconds:N1} s | {r.CountedPerSecond:N0} |");
        text.AppendLine().Append("| run | CPU of the server, µs an event | memory (anonymous) | resident, with the mapped journal | ")
            .AppendLine("written to the disk, bytes an event |").AppendLine("|---|---:|---:|---:|---:|");
        foreach (var r in Runs)
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {r.Name} | {r.Cpu.TotalMicroseconds / r.Accepted:N2} | {r.MostAnonymous >> 20:N0} MiB | " +
                $"{r.MostResident >> 20:N0} MiB | {(double)r.Written / r.Accepted:N0} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"""

            *Counted/s* is all that was accepted over the time until the last of it was in the sums, sending included.
            The first event of a process that knows none of the identities was in the sums after {First.TotalSeconds:N1} s; after
            another restart, ready in {Start.TotalSeconds:N1} s, after {AfterStart.TotalSeconds:N1} s.

            Counted: {Counted:N0} events of {Sent:N0} that were sent, each once: {(Counted == Sent ? "holds" : "FAILED")}.
            """);
        var file = await ResultPage.WriteAsync(output, IsPostgres ? "ingest-postgres" : "ingest", Ids, text.ToString(), stop);
        return $"{Counted:N0} of {Sent:N0} counted; {file}";
    }
}
