using System.Globalization;
using System.Text.Json;
using StackExchange.Redis;

namespace Tollgate.IntegrationTests;

/// <summary>Three servers on one PostgreSQL and one Redis: credit and caps are of all of them together.</summary>
public sealed class SharedCreditTests(SharedCreditTests.Three three) : IClassFixture<SharedCreditTests.Three>
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data:
            upstream: UPSTREAM
            operations: { data: GET /api/v1/data, dear: GET /api/v1/dear, free: GET /api/v1/free }
        plans:
          metered: { operations: ["*"], prices: METERED }
          closed: { operations: ["*"], prices: METERED, limits_unavailable: closed }
          open: { operations: ["*"], prices: METERED, limits_unavailable: open }
          tiers:
            limits_unavailable: closed
            operations: ["*"]
            prices:
              calls:
                model: graduated
                meter: calls
                included: 10
                tiers:
                  - { up_to: 50, unit_amount: "0.02" }
                  - { up_to: 100, unit_amount: "0.01", flat_amount: "0.25" }
                  - { unit_amount: "0.005" }
        """;

    private const string Metered = """
        { data: { model: per_unit, meter: calls, unit_amount: "0.01", where: { operation: data } },
          dear: { model: per_unit, meter: calls, unit_amount: "0.05", where: { operation: dear } } }
        """;

    private Cluster Cluster => three.Cluster;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Theory(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    [InlineData("closed", "3.00", 300)]
    // ten included, 50 at 2 cents, 25 cents for the next tier and 50 of it at one cent, and 50 at half a cent
    [InlineData("tiers", "2.00", 160)]
    public async Task Clients_of_all_nodes_pass_exactly_what_the_credit_covers(string plan, string amount, int calls)
    {
        var name = $"exact-{plan}";
        var key = await Cluster.PrepaidAsync(name, plan, amount);
        Assert.Equal(calls, await Cluster.UntilRefusedAsync(key));
        foreach (var node in Cluster.Nodes) Assert.Equal(402, await node.StatusAsync(key));
        await Cluster.BilledAsync(name, calls, decimal.Parse(amount, CultureInfo.InvariantCulture));
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_top_up_on_one_node_is_in_force_on_all_and_a_cap_holds_together_with_it()
    {
        var key = await Cluster.PrepaidAsync("topped", "closed", "0.50");
        Assert.Equal(50, await Cluster.UntilRefusedAsync(key));
        await Cluster.Nodes[0].SetAsync("topped", "prepaid", new { amount = "2.00" });
        await Cluster.EverywhereAsync(async n => await n.StatusAsync(key) == 200);
        Assert.Equal(150 - 3, await Cluster.UntilRefusedAsync(key));

        await Cluster.Nodes[1].SetAsync("topped", "prepaid", new { amount = "9.00" });
        await Cluster.Nodes[2].SetAsync("topped", "spend_cap", new { amount = "3.20" });
        await Cluster.EverywhereAsync(async n => await n.BalancesAsync("topped") == 2);
        Assert.Equal(120, await Cluster.UntilRefusedAsync(key));
        using var refused = await Cluster.Nodes[0].CallAsync(key);
        var body = JsonDocument.Parse(await refused.Content.ReadAsStringAsync()).RootElement;
        Assert.Equal(("spend_cap_reached", "3.2 USD", "3.2 USD"), (body.GetProperty("code").GetString(),
            body.GetProperty("limit").GetString(), body.GetProperty("used").GetString()));
        await Cluster.BilledAsync("topped", 320, 3.20m);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task What_is_not_billed_returns_and_what_is_left_goes_to_who_can_be_paid_of_it()
    {
        var key = await Cluster.PrepaidAsync("mixed", "closed", "1.03");
        var turns = 0;
        Cluster.Upstream.Answer = context =>
        {
            if (context.Request.Path.Value!.EndsWith("dear", StringComparison.Ordinal) && Interlocked.Increment(ref turns) % 2 == 0)
                context.Response.StatusCode = 500;
            return Task.CompletedTask;
        };
        try
        {
            // dear ones first: 20 are billed, and three cents are left for cheap ones
            var billed = await Cluster.UntilRefusedAsync(key, "/api/v1/dear");
            Assert.Equal(20, billed);
            Assert.Equal(3, await Cluster.UntilRefusedAsync(key));
            Assert.Equal(200, await Cluster.Nodes[1].StatusAsync(key, "/api/v1/free"));
        }
        finally
        {
            Cluster.Upstream.Answer = _ => Task.CompletedTask;
        }

        await Cluster.BilledAsync("mixed", 24, 1.03m);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_node_that_is_killed_loses_nothing_beyond_its_lease_and_that_only_until_its_journal_is_read()
    {
        var key = await Cluster.PrepaidAsync("killed", "closed", "4.00");
        var (admitted, unknown) = (0, 0);
        using var stop = new CancellationTokenSource();
        var node = Cluster.Nodes[2];
        var callers = Cluster.AllAsync(4, async n =>
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    if (await n.StatusAsync(key) == 200 && Interlocked.Increment(ref admitted) >= 150) await stop.CancelAsync();
                }
                catch (HttpRequestException)
                {
                    // its server was killed: the call may have been billed
                    Interlocked.Increment(ref unknown);
                    return;
                }
            }
        });
        await Until.SoAsync(() => Task.FromResult(Volatile.Read(ref admitted) > 60));
        await node.KillAsync();
        await callers;
        var without = admitted + await Cluster.UntilRefusedAsync(key);
        // what it had leased stays spent, a few calls
        Assert.InRange(without, 300, 400);
        await node.StartAsync();
        await Cluster.EverywhereAsync(n => n.KnowsAsync(key));
        // the others hear of it when they ask the store again
        var after = without;
        for (var tries = 0; tries < 20 && after < 400 - unknown; tries++) after += await Cluster.UntilRefusedAsync(key);
        Assert.InRange(after, 400 - unknown, 400);
        await Cluster.BilledAsync("killed", null, 4.00m);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Redis_that_forgot_everything_is_told_again_and_no_credit_is_spent_twice()
    {
        var key = await Cluster.PrepaidAsync("forgotten", "closed", "3.00");
        var admitted = 0;
        using var stop = new CancellationTokenSource();
        var callers = Cluster.AllAsync(6, async n =>
        {
            while (!stop.IsCancellationRequested)
                if (await n.StatusAsync(key) == 200 && Interlocked.Increment(ref admitted) >= 250) await stop.CancelAsync();
        });
        await using (var redis = await ConnectionMultiplexer.ConnectAsync(Cluster.Redis.Address["redis://".Length..] + ",allowAdmin=true"))
        {
            for (var times = 1; times <= 3; times++)
            {
                await Until.SoAsync(() => Task.FromResult(Volatile.Read(ref admitted) > 50 * times));
                await redis.GetServers()[0].FlushAllDatabasesAsync();
            }
        }

        await callers;
        Assert.Equal(300, admitted + await Cluster.UntilRefusedAsync(key));
        await Cluster.BilledAsync("forgotten", 300, 3.00m);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_cell_that_nobody_can_read_leaves_it_to_the_plan_and_holds_no_other_change_up()
    {
        await using var redis = await ConnectionMultiplexer.ConnectAsync(Cluster.Redis.Address["redis://".Length..]);
        RedisKey[] Cells() => [.. redis.GetServers()[0].Keys(pattern: "tollgate:{customer-*}:spent")];
        var before = Cells();
        var key = await Cluster.PrepaidAsync("garbled", "closed", "0.50");
        foreach (var node in Cluster.Nodes) Assert.Equal(200, await node.StatusAsync(key));
        var cell = Assert.Single(Cells().Except(before));
        await redis.GetDatabase().HashSetAsync(cell, [new("g", "of somebody else"), new("v", "1000"), new("b", "{")]);

        await Cluster.Nodes[0].SetAsync("garbled", "prepaid", new { amount = "0.60" });
        await Cluster.EverywhereAsync(async n => await n.StatusAsync(key) == 503);
        var other = await Cluster.PrepaidAsync("beside-garbled", "closed", "0.20");
        Assert.Equal(20, await Cluster.UntilRefusedAsync(other));

        await redis.GetDatabase().KeyDeleteAsync(cell);
        await Cluster.EverywhereAsync(async n => await n.StatusAsync(key) is 200 or 402);
        await Cluster.UntilRefusedAsync(key);
        await Cluster.BilledAsync("garbled", 60, 0.60m);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task While_redis_is_away_each_plan_says_what_happens_and_then_all_count_together_again()
    {
        var plans = new[] { "metered", "closed", "open" };
        var (parts, open) = (0, 0);
        var keys = new Dictionary<string, string>();
        foreach (var plan in plans) keys[plan] = await Cluster.PrepaidAsync($"away-{plan}", plan, "0.90");
        foreach (var plan in plans)
            foreach (var node in Cluster.Nodes)
                for (var i = 0; i < 10; i++) Assert.Equal(200, await node.StatusAsync(keys[plan]));
        // what lies idle is given back
        await Task.Delay(TimeSpan.FromSeconds(6), TimeProvider.System);
        Cluster.Redis.Freeze();
        try
        {
            await Cluster.EverywhereAsync(async n =>
            {
                await n.StatusAsync(keys["closed"]);
                return await n.MetricAsync("tollgate_redis_up") == 0;
            });
            Assert.Equal(503, await Cluster.Nodes[0].StatusAsync(keys["closed"]));
            // sixty are left: twenty for each node, more or less by what it last heard that others had leased
            parts = await Cluster.UntilRefusedAsync(keys["metered"]);
            Assert.InRange(parts, 45, 66);
            // as far as each knows of the others
            open = await Cluster.UntilRefusedAsync(keys["open"]);
            Assert.InRange(open, 120, 180);
        }
        finally
        {
            Cluster.Redis.Thaw();
        }

        await Cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 1);
        // first all say what they used
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
        Assert.Equal(Math.Max(0, 60 - parts), await Cluster.UntilRefusedAsync(keys["metered"]));
        Assert.Equal(60, await Cluster.UntilRefusedAsync(keys["closed"]));
        Assert.Equal(0, await Cluster.UntilRefusedAsync(keys["open"]));
        await Cluster.BilledAsync("away-metered", Math.Max(90, 30 + parts), Math.Max(0.90m, 0.30m + 0.01m * parts));
        await Cluster.BilledAsync("away-closed", 90, 0.90m);
        await Cluster.BilledAsync("away-open", 30 + open, 0.30m + 0.01m * open);
    }

    public sealed class Three() : ThreeNodes(Plans.Replace("METERED", Metered.ReplaceLineEndings(" "), StringComparison.Ordinal));
}
