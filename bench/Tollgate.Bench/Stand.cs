namespace Tollgate.Bench;

/// <summary>All processes of one run and their temporary folder. Disposing leaves nothing behind.</summary>
internal sealed class Stand : IAsyncDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("tollgate-bench-");
    private readonly HttpClient client = new();
    private readonly List<Peer> running = [];
    private readonly Dictionary<Target, TollgatePeer> tollgates = [];

    private Stand()
    {
    }

    /// <summary>Those to measure, in the order of the options.</summary>
    public IReadOnlyList<Peer> Measured { get; private set; } = [];

    /// <summary>Those of them that are Tollgate.</summary>
    public IReadOnlyDictionary<Target, TollgatePeer> Tollgates => tollgates;

    /// <summary>For whatever is asked beside the load.</summary>
    public HttpClient Client => client;

    /// <summary>The file system that Tollgate's journal is written to.</summary>
    public string FileSystem => new DriveInfo(folder.FullName).DriveFormat;

    /// <summary>Starts the upstream and the targets; each has answered the measured call once with 200.</summary>
    public static async Task<Stand> StartAsync(EndToEndOptions options, CancellationToken stop)
    {
        var stand = new Stand();
        try
        {
            await stand.StartPeersAsync(options, stop);
            return stand;
        }
        catch
        {
            await stand.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(running.Select(peer => peer.DisposeAsync().AsTask()));
        client.Dispose();
        folder.Delete(recursive: true);
    }

    private async Task StartPeersAsync(EndToEndOptions options, CancellationToken stop)
    {
        var ports = LocalPorts.Free(4);
        var upstream = Add(Peer.StartNginx(Target.Upstream, FolderOf(Target.Upstream), Marks(ports[0])));
        await upstream.AwaitFirstCallAsync(client, stop);

        var measured = new List<Peer>();
        foreach (var target in options.Targets)
        {
            var peer =
                target == Target.Upstream ? upstream
                : target == Target.Proxy ? Add(Peer.StartNginx(target, FolderOf(target), Marks(ports[1])))
                : target == Target.Lua ? Add(Peer.StartNginx(target, FolderOf(target), Marks(ports[2])))
                : target == Target.Yarp ? Add(Peer.StartYarp(FolderOf(target), ports[3], upstream.Address))
                : await StartTollgateAsync(target, upstream.Address, options, stop);
            await peer.AwaitFirstCallAsync(client, stop);
            measured.Add(peer);
        }
        Measured = measured;

        Dictionary<string, int> Marks(int port) => new()
        {
            ["PORT"] = port,
            ["UPSTREAM"] = ports[0],
            ["KEYS"] = 2 * Math.Max(options.Keys, 5_000),
        };
    }

    /// <summary>Waits until what was measured last has done its work behind the calls, so that the next one has the
    /// machine to itself; but not for long.</summary>
    public async Task AwaitQuietAsync(CancellationToken stop)
    {
        var (step, idle) = (TimeSpan.FromMilliseconds(500), TimeSpan.FromMilliseconds(30));
        var quiet = 0;
        var before = Used();
        for (var n = 0; n < 60 && quiet < 2; n++)
        {
            await Task.Delay(step, TimeProvider.System, stop);
            var now = Used();
            quiet = now - before < idle ? quiet + 1 : 0;
            before = now;
        }

        TimeSpan Used() => Measured.Aggregate(TimeSpan.Zero, (sum, peer) => sum + ProcessTree.Cpu(peer.ProcessId));
    }

    private async Task<Peer> StartTollgateAsync(Target target, Uri upstream, EndToEndOptions options, CancellationToken stop)
    {
        var tollgate = tollgates[target] = await TollgatePeer.StartAsync(
            target, FolderOf(target), upstream, options.ShapeOf(target), client, stop);
        return Add(tollgate.Peer);
    }

    private Peer Add(Peer peer)
    {
        running.Add(peer);
        return peer;
    }

    private string FolderOf(Target target) => Path.Combine(folder.FullName, target.Name);
}
