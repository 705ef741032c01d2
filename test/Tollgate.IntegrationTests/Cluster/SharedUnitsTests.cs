namespace Tollgate.IntegrationTests;

/// <summary>Credit in units, grants of money and calls that are held to what they use, over three servers.</summary>
public sealed class SharedUnitsTests(SharedUnitsTests.Three three) : IClassFixture<SharedUnitsTests.Three>
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data:
            upstream: UPSTREAM
            operations: { data: GET /api/v1/data, told: { match: GET /api/v1/told, reserve: { calls: 1 } } }
        plans:
          packs:
            operations: [data]
            quotas: [{ meter: calls, allowance: 50, per: month, overage: block }]
            # a Redis that answers late lets each node take its part otherwise, of what it last heard
            limits_unavailable: closed
          payg: { operations: ["*"], prices: { calls: { model: per_unit, meter: calls, unit_amount: "0.01" } } }
          quota: { operations: ["*"], quotas: [{ meter: calls, allowance: 100, per: month, overage: block }] }
        """;

    private Cluster Cluster => three.Cluster;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Units_of_credit_let_the_calls_of_all_nodes_pass_beyond_the_allowance_and_no_more_of_them()
    {
        var key = await Cluster.SubscribeAsync("packs", "packs");
        Assert.Equal(50, await Cluster.UntilRefusedAsync(key, refusal: 429));
        await Cluster.Nodes[0].PostAsync("/v1/credits", new { customer = "packs", kind = "prepaid", units = "30", meter = "calls" });
        await Cluster.EverywhereAsync(async n => await n.BalancesAsync("packs") == 1);
        Assert.Equal(30, await Cluster.UntilRefusedAsync(key, refusal: 429));
        await Cluster.Nodes[1].PostAsync("/v1/credits", new { customer = "packs", kind = "prepaid", units = "20", meter = "calls" });
        await Cluster.EverywhereAsync(async n =>
            (await n.TextAsync("/v1/customers/packs/balances")).Contains("\"50\"", StringComparison.Ordinal));
        Assert.Equal(20, await Cluster.UntilRefusedAsync(key, refusal: 429));
        await Cluster.BilledAsync("packs", 100, 0);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Units_and_money_together_pay_exactly_what_they_cover()
    {
        var key = await Cluster.SubscribeAsync("both", "payg");
        await Cluster.Nodes[0].PostAsync("/v1/credits", new { customer = "both", kind = "prepaid", units = "40", meter = "calls" });
        await Cluster.Nodes[0].PostAsync("/v1/credits", new { customer = "both", kind = "prepaid", amount = "0.60" });
        await Cluster.EverywhereAsync(async n => await n.BalancesAsync("both") == 2);
        Assert.Equal(100, await Cluster.UntilRefusedAsync(key));
        // another grant on another node; one that is taken back is not there
        await Cluster.Nodes[2].PostAsync("/v1/credits", new { customer = "both", kind = "prepaid", amount = "0.25" });
        await Cluster.EverywhereAsync(async n => await n.StatusAsync(key) == 200);
        var grant = await Cluster.Nodes[1].PostAsync("/v1/credits", new { customer = "both", kind = "prepaid", amount = "7.00" });
        await Cluster.Nodes[0].PostAsync($"/v1/credits/{grant.GetProperty("id").GetString()}/void", new { });
        await Cluster.EverywhereAsync(async n =>
            (await n.TextAsync("/v1/customers/both/balances")).Contains("\"0.85\"", StringComparison.Ordinal));
        Assert.Equal(25 - 3, await Cluster.UntilRefusedAsync(key));
        await Cluster.BilledAsync("both", 125, 0.85m);
    }

    [Theory(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    [InlineData("payg", 402)]
    [InlineData("quota", 429)]
    public async Task A_call_that_turns_out_dearer_than_was_set_aside_leases_what_it_lacks(string plan, int refusal)
    {
        var name = $"told-{plan}";
        var key = await Cluster.SubscribeAsync(name, plan);
        if (plan == "payg")
        {
            await Cluster.Nodes[0].SetAsync(name, "prepaid", new { amount = "1.00" });
            await Cluster.EverywhereAsync(async n => await n.BalancesAsync(name) == 1);
        }

        Cluster.Upstream.Answer = context =>
        {
            context.Response.Headers["Tollgate-Units"] = "calls=5";
            return Task.CompletedTask;
        };
        try
        {
            // one after the other, on all nodes in turn: each is billed all that it used
            for (var i = 0; i < 19; i++) Assert.Equal(200, await Cluster.Nodes[i % 3].StatusAsync(key, "/api/v1/told"));
            await Cluster.BilledAsync(name, 95, plan == "payg" ? 0.95m : 0);
            Assert.InRange(await Cluster.UntilRefusedAsync(key, "/api/v1/told", refusal), 1, 5);
            await Cluster.BilledAsync(name, 100, plan == "payg" ? 1 : 0);
        }
        finally
        {
            Cluster.Upstream.Answer = _ => Task.CompletedTask;
        }
    }

    public sealed class Three() : ThreeNodes(Plans);
}
