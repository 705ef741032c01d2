using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;

namespace Tollgate.IntegrationTests;

/// <summary>Customers of a cluster who spend what they have.</summary>
internal static class Spending
{
    public static async Task SetAsync(this Cluster.Member node, string name, string kind, object body)
    {
        using var client = new HttpClient { BaseAddress = node.Admin };
        using var answer = await client.PutAsJsonAsync($"/v1/customers/{name}/balances/{kind}", body);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    /// <summary>A customer with prepaid credit that every node knows.</summary>
    public static async Task<string> PrepaidAsync(this Cluster cluster, string name, string plan, string amount)
    {
        var key = await cluster.SubscribeAsync(name, plan);
        await cluster.Nodes[0].SetAsync(name, "prepaid", new { amount });
        await cluster.EverywhereAsync(async n => await n.BalancesAsync(name) == 1);
        return key;
    }

    /// <summary>Calls until it is not refused by a limit.</summary>
    public static async Task OnceAdmittedAsync(this Cluster.Member node, string key, string path)
    {
        while (await node.StatusAsync(key, path) == 429) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
    }

    public static async Task<int> BalancesAsync(this Cluster.Member node, string name) =>
        (await node.GetAsync($"/v1/customers/{name}/balances")).GetProperty("data").GetArrayLength();

    /// <summary>The ledger has these calls, and the next invoice asks for this much.</summary>
    public static async Task BilledAsync(this Cluster cluster, string name, int? calls, decimal amount)
    {
        var (used, asked) = (0m, 0m);
        for (var tries = 0; tries < 50 && !((calls is null || used == calls) && asked == amount); tries++)
        {
            if (tries > 0) await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            used = await SumAsync($"/v1/usage?meter=calls&customer={name}", "value");
            asked = await SumAsync($"/v1/invoices/preview?customer={name}", "total");
        }

        Assert.Equal((calls ?? used, amount), (used, asked));

        async Task<decimal> SumAsync(string path, string field) => (await cluster.Nodes[0].GetAsync(path)).GetProperty("data")
            .EnumerateArray().Sum(u => decimal.Parse(u.GetProperty(field).GetString()!, CultureInfo.InvariantCulture));
    }

    /// <summary>Six clients of each node call until each of them is refused for a while. A node that waits for what the others
    /// hold may do as its plan says meanwhile, which is 503 for a closed one.</summary>
    public static async Task<int> UntilRefusedAsync(
        this Cluster cluster, string key, string path = "/api/v1/data", int refusal = 402)
    {
        var admitted = 0;
        var asked = Stopwatch.StartNew();
        await cluster.AllAsync(6, async node =>
        {
            var refused = new Stopwatch();
            while (refused.Elapsed < TimeSpan.FromMilliseconds(900))
            {
                var status = await node.StatusAsync(key, path);
                if (status == 200) Interlocked.Increment(ref admitted);
                if (status is 200 or 500)
                {
                    refused.Reset();
                    continue;
                }

                if (status != 503 || asked.Elapsed > TimeSpan.FromSeconds(20))
                {
                    Assert.Equal(refusal, status);
                    refused.Start();
                }

                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
            }
        });
        return admitted;
    }

    public static Task AllAsync(this Cluster cluster, int callers, Func<Cluster.Member, Task> call) => Task.WhenAll(
        cluster.Nodes.Where(n => n.IsUp).SelectMany(n => Enumerable.Repeat(n, callers)).Select(n => Task.Run(() => call(n))));
}
