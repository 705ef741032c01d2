namespace Tollgate.IntegrationTests;

/// <summary>Three servers on one PostgreSQL and one Redis, once for all tests of a class: starting takes longer than what is
/// tested.</summary>
public abstract class ThreeNodes(string plans) : IAsyncLifetime
{
    internal Cluster Cluster { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        if (!Cluster.IsInstalled) return;
        Cluster = await Cluster.StartAsync(plans);
        await Cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_nodes") == 3);
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (Cluster is not null) await Cluster.DisposeAsync();
    }
}
