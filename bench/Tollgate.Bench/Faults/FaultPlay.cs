using Tollgate.IntegrationTests;

namespace Tollgate.Bench;

/// <summary>Faults at random instants: one series of those of nodes, and beside it one of those of engines and links. Each
/// is mended again, whatever follows.</summary>
internal sealed class FaultPlay(Cluster cluster, int seed)
{
    private readonly Lock _counting = new();
    private DateTimeOffset _until;

    /// <summary>How often each fault came.</summary>
    public SortedDictionary<string, int> Done { get; } = new(StringComparer.Ordinal);

    public async Task RunAsync(TimeSpan length, CancellationToken stop)
    {
        _until = TimeProvider.System.GetUtcNow() + length;
        await Task.WhenAll(
            SeriesAsync(new Random(seed), r => OfNodesAsync(r, stop), stop),
            SeriesAsync(new Random(~seed), r => OfEnginesAsync(r, stop), stop));
    }

    public static async Task UntilAsync(Func<Task<bool>> isSo, string otherwise, List<string> problems)
    {
        for (var tries = 0; tries < 600; tries++)
        {
            try
            {
                if (await isSo()) return;
            }
            catch (Exception e) when (e is HttpRequestException or InvalidOperationException or OperationCanceledException)
            {
                // not yet
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        }

        problems.Add(otherwise);
    }

    private async Task SeriesAsync(Random random, Func<Random, Task> fault, CancellationToken stop)
    {
        while (TimeProvider.System.GetUtcNow() < _until && !stop.IsCancellationRequested)
        {
            await PauseAsync(random, 500, 3_000);
            await fault(random);
        }
    }

    private async Task OfNodesAsync(Random random, CancellationToken stop)
    {
        var node = cluster.Nodes[random.Next(cluster.Nodes.Count)];
        switch (random.Next(3))
        {
            case 0:
                Count("kill -9 of a node");
                await node.KillAsync();
                await PauseAsync(random, 0, 1_500);
                await StartAsync(node, stop);
                break;
            case 1:
                Count("a node stopped and started");
                await node.StopAsync();
                await StartAsync(node, stop);
                break;
            default:
                Count("a node frozen (SIGSTOP)");
                await node.SignalAsync("-STOP");
                await PauseAsync(random, 200, 5_000);
                await node.SignalAsync("-CONT");
                break;
        }
    }

    private async Task OfEnginesAsync(Random random, CancellationToken stop)
    {
        var node = cluster.Nodes[random.Next(cluster.Nodes.Count)];
        switch (random.Next(8))
        {
            case 0:
                Count("PostgreSQL killed and started");
                cluster.Postgres.Stop();
                await PauseAsync(random, 200, 5_000);
                cluster.Postgres.Start();
                break;
            case 1:
                Count("PostgreSQL frozen (SIGSTOP)");
                cluster.Postgres.Freeze();
                await PauseAsync(random, 200, 5_000);
                cluster.Postgres.Thaw();
                break;
            case 2:
                Count("Redis killed and started");
                cluster.Redis.Stop();
                await PauseAsync(random, 0, 3_000);
                cluster.Redis.Restart();
                break;
            case 3:
                Count("Redis frozen (SIGSTOP)");
                cluster.Redis.Freeze();
                await PauseAsync(random, 200, 5_000);
                cluster.Redis.Thaw();
                break;
            case 4 or 5:
                await BreakAsync(node.ToPostgres!, "PostgreSQL", random);
                break;
            default:
                await BreakAsync(node.ToRedis!, "Redis", random);
                break;
        }

        stop.ThrowIfCancellationRequested();
    }

    private async Task BreakAsync(Link link, string to, Random random)
    {
        switch (random.Next(3))
        {
            case 0:
                Count($"link to {to} cut");
                link.Cut();
                break;
            case 1:
                Count($"link to {to} deaf");
                link.Deafen();
                break;
            default:
                Count($"link to {to} slow");
                link.Delay(TimeSpan.FromMilliseconds(random.Next(20, 200)));
                break;
        }

        await PauseAsync(random, 500, 5_000);
        link.Mend();
    }

    /// <summary>A start may find an engine away that it cannot do without; then it is tried again, as a supervisor would.
    /// </summary>
    private async Task StartAsync(Cluster.Member node, CancellationToken stop)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                await node.StartAsync();
                return;
            }
            catch (InvalidOperationException) when (tries < 20 && !stop.IsCancellationRequested)
            {
                Count("a start that had to be repeated");
            }
        }
    }

    private void Count(string fault)
    {
        lock (_counting) Done[fault] = Done.GetValueOrDefault(fault) + 1;
    }

    private static Task PauseAsync(Random random, int least, int most) =>
        Task.Delay(TimeSpan.FromMilliseconds(random.Next(least, most)), TimeProvider.System);
}
