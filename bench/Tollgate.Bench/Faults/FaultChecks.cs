using System.Collections.Concurrent;
using System.Globalization;
using Tollgate.IntegrationTests;

namespace Tollgate.Bench;

/// <summary>One round, as it is kept.</summary>
internal sealed record FaultResult
{
    public int Round { get; init; }

    public int Seed { get; init; }

    public double Seconds { get; init; }

    public SortedDictionary<string, int> Faults { get; init; } = [];

    /// <summary>Answers that came back whole with 200.</summary>
    public long Answered { get; init; }

    /// <summary>Calls whose answer never came.</summary>
    public long Broken { get; init; }

    public long Refused { get; init; }

    public long Unavailable { get; init; }

    /// <summary>401 of a node that began, as its log says, with a table from before the keys.</summary>
    public long Unknown { get; init; }

    /// <summary>Billable calls in the ledger.</summary>
    public long Counted { get; init; }

    public long Lost { get; init; }

    public long Doubled { get; init; }

    /// <summary>Admissions beyond a limit.</summary>
    public long Exceeded { get; init; }

    public string[] Problems { get; init; } = [];
}

/// <summary>What callers were told against the records of all nodes, and these against the limits and the sums.</summary>
internal sealed class FaultChecks(Cluster cluster, ConcurrentDictionary<string, string> answered, List<string> problems)
{
    public static readonly string[] Plans = ["free", "fixed", "sliding", "bucket", "few", "quota"];

    // between the instant that a record has and the one at which Redis let it in lie a wait, or a freeze of the node
    private const double Slack = 12;

    private readonly record struct Call(string Id, string Plan, double At, bool Billable);

    public async Task<FaultResult> RunAsync(int mostAtOnce)
    {
        var calls = new List<Call>();
        foreach (var node in cluster.Nodes) calls.AddRange(await CallsOfAsync(node));
        var byId = calls.GroupBy(c => c.Id, StringComparer.Ordinal).ToDictionary(c => c.Key, c => c.ToArray(), StringComparer.Ordinal);
        var lost = answered.Keys.Count(id => !byId.TryGetValue(id, out var found) || !found[0].Billable);
        if (lost > 0) problems.Add($"LOST {lost} answered calls");
        var counted = calls.Count(c => c.Billable);
        var twice = byId.Values.Count(c => c.Length > 1);
        if (twice > 0) problems.Add($"{twice} calls stand in the records twice");
        var sums = 0L;
        foreach (var plan in Plans)
        {
            var (inSums, inRecords) = (await UsageAsync(plan), calls.Count(c => c.Plan == plan && c.Billable));
            sums += Math.Abs(inSums - inRecords);
            if (inSums != inRecords) problems.Add($"{plan}: the sums say {inSums}, the records {inRecords}");
        }

        var exceeded = Beyond(calls, mostAtOnce);
        return new FaultResult { Answered = answered.Count, Counted = counted, Lost = lost, Doubled = twice + sums, Exceeded = exceeded };
    }

    private long Beyond(List<Call> calls, int mostAtOnce)
    {
        var beyond = Of("fixed").GroupBy(at => Math.Floor(at / 60)).Sum(m => Math.Max(0L, m.Count() - 600));
        Say("600/minute", beyond);
        var sliding = Of("sliding");
        var most = sliding.Select((at, i) => i - FirstWithin(sliding, i, 60 - Slack) + 1).DefaultIfEmpty().Max();
        Say("300/minute sliding", Math.Max(0, most - 300));
        var bucket = Of("bucket");
        var over = 0.0;
        for (var i = 0; i < bucket.Length; i++)
            for (var j = i; j < bucket.Length; j++)
                over = Math.Max(over, j - i + 1 - (20 + 5 * (bucket[j] - bucket[i] + Slack)));
        Say("5/second bucket burst 20", (long)over);
        var quota = Math.Max(0, calls.Count(c => c.Plan == "quota" && c.Billable) - 1500);
        Say("1500/month", quota);
        Say("4 at a time", Math.Max(0, mostAtOnce - 4));
        return beyond + Math.Max(0, most - 300) + (long)over + quota + Math.Max(0, mostAtOnce - 4);

        double[] Of(string plan) => [.. calls.Where(c => c.Plan == plan).Select(c => c.At).Order()];

        void Say(string limit, long by)
        {
            if (by > 0) problems.Add($"EXCEEDED {limit} by {by}");
        }
    }

    private static int FirstWithin(double[] sorted, int last, double seconds)
    {
        var first = Array.BinarySearch(sorted, 0, last, sorted[last] - seconds);
        return first < 0 ? ~first : first;
    }

    private async Task<long> UsageAsync(string customer) =>
        (await cluster.Nodes[0].GetAsync($"/v1/usage?meter=calls&customer={customer}")).GetProperty("data").EnumerateArray()
        .Sum(r => long.Parse(r.GetProperty("value").GetString()!, CultureInfo.InvariantCulture));

    private static async Task<List<Call>> CallsOfAsync(Cluster.Member node)
    {
        var lines = (await node.TextAsync("/v1/calls?format=csv")).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var names = lines[0].Split(',');
        var (id, at, customer, billable) = (Array.IndexOf(names, "request_id"), Array.IndexOf(names, "admitted_at"),
            Array.IndexOf(names, "customer"), Array.IndexOf(names, "billable"));
        return [.. lines.Skip(1).Select(l => l.Split(',')).Select(f => new Call(f[id], f[customer],
            DateTimeOffset.Parse(f[at], CultureInfo.InvariantCulture).ToUnixTimeMilliseconds() / 1_000.0, f[billable] == "true"))];
    }
}
