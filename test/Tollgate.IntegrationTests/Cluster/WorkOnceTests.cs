using System.Globalization;

namespace Tollgate.IntegrationTests;

/// <summary>What must happen once happens once, whichever node dies half-way.</summary>
public sealed class WorkOnceTests
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data } }
        plans:
          paid: { operations: [data], prices: { base: { model: flat, amount: "10", every: month, in: advance } } }
          free: { operations: [data] }
        """;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Of_nodes_that_invoice_at_once_one_is_killed_in_the_middle_and_there_is_one_set_of_invoices()
    {
        const int customers = 40;
        await using var cluster = await Cluster.StartAsync(Plans, redis: false);
        for (var i = 0; i < customers; i++)
        {
            await cluster.Nodes[i % 3].PostAsync("/v1/customers", new { name = $"c{i}" });
            await cluster.Nodes[i % 3].PostAsync("/v1/subscriptions", new { customer = $"c{i}", plan = "paid" });
        }

        await Until.SoAsync(async () => (await InvoicesAsync(cluster.Nodes[1])).Count > 0);
        await cluster.Nodes[0].KillAsync();
        await Until.SoAsync(async () => (await InvoicesAsync(cluster.Nodes[1])).Count >= customers);
        await cluster.Nodes[0].StartAsync();
        var invoices = await InvoicesAsync(cluster.Nodes[0]);
        Assert.Equal(customers, invoices.Count);
        Assert.Equal(customers, invoices.Select(i => i.Customer).Distinct().Count());
        // numbers without a gap
        Assert.Equal(Enumerable.Range(1, customers), invoices.Select(i => i.Number).Order());
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task What_a_dead_node_left_in_its_journal_is_drained_by_another_machine_once()
    {
        await using var cluster = await Cluster.StartAsync(Plans, nodes: 2, redis: false);
        var (lost, other) = (cluster.Nodes[1], cluster.Nodes[0]);
        var key = await cluster.SubscribeAsync("fred", "free");
        cluster.Postgres.Stop();
        for (var i = 0; i < 30; i++) Assert.Equal(200, await lost.StatusAsync(key));
        await lost.KillAsync();
        cluster.Postgres.Start();
        await Until.SoAsync(async () => await other.TextAsync("/readyz") == "ready");
        for (var twice = 0; twice < 2; twice++)
        {
            var (code, words) = await ServerProcess.RunAsync(cluster.Folder,
                "journal", "drain", Path.Combine(lost.Data, "journal"), "--database", other.Database);
            Assert.True(code == 0, words);
        }

        Assert.Equal(30, await Setup.UsageAsync(other.Admin));
        var (_, list) = await ServerProcess.RunAsync(cluster.Folder, "journal", "list", "--database", other.Database);
        Assert.Contains("closed", list, StringComparison.Ordinal);
    }

    private static async Task<List<(string Customer, int Number)>> InvoicesAsync(Cluster.Member node) =>
        [.. (await node.GetAsync("/v1/invoices?limit=100")).GetProperty("data").EnumerateArray().Select(i => (
            i.GetProperty("customer").ToString(),
            int.Parse(i.GetProperty("number").GetString()!.Split('-')[^1], CultureInfo.InvariantCulture)))];
}
