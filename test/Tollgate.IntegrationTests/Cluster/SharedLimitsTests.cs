using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using StackExchange.Redis;

namespace Tollgate.IntegrationTests;

/// <summary>Three servers on one PostgreSQL and one Redis: a limit is a limit of all of them together.</summary>
public sealed class SharedLimitsTests(SharedLimitsTests.Three three) : IClassFixture<SharedLimitsTests.Three>
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data, slow: GET /api/v1/slow } }
        plans:
          fixed: { operations: [data], limits: [100/day], limits_unavailable: closed }
          quota: { operations: [data], quotas: [{ meter: calls, allowance: 60, per: month, overage: block }], limits_unavailable: closed }
          sliding: { operations: [data], limits: [{ limit: 40, per: minute, window: sliding }], limits_unavailable: closed }
          coarse: { operations: [data], limits: [{ limit: 1500, per: hour, window: sliding }], limits_unavailable: closed }
          bucket: { operations: [data], limits: [{ limit: 20, per: second, window: bucket, burst: 30 }] }
          few: { operations: [data, slow], limits: [{ concurrent: 5 }] }
          closed: { operations: [data], limits: [100/day], limits_unavailable: closed }
          closed-sliding: { operations: [data], limits: [{ limit: 100, per: minute, window: sliding }], limits_unavailable: closed }
          open: { operations: [data], limits: [90/day], limits_unavailable: open }
          share: { operations: [data], limits: [90/day] }
          share-sliding: { operations: [data], limits: [{ limit: 90, per: hour, window: sliding }] }
        """;

    private Cluster Cluster => three.Cluster;

    public static bool IsInstalled => Cluster.IsInstalled;

    [Theory(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    [InlineData("fixed", 100)]
    [InlineData("quota", 60)]
    [InlineData("sliding", 40)]
    [InlineData("coarse", 1500)]
    public async Task All_nodes_together_admit_exactly_the_limit(string plan, int limit)
    {
        var key = await Cluster.SubscribeAsync(plan, plan);
        Assert.Equal(limit, await UntilRefusedAsync(key));
        // one counter, whichever node asks: nothing of a process is in its name
        Assert.Single(await CountersAsync(await Cluster.Nodes[0].TextAsync($"/v1/subscriptions?customer={plan}")));
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_bucket_of_all_nodes_holds_its_burst_and_drains_at_its_rate()
    {
        var key = await Cluster.SubscribeAsync("bucket", "bucket");
        var watch = Stopwatch.StartNew();
        var admitted = 0L;
        await AllAsync(6, async node =>
        {
            while (watch.Elapsed < TimeSpan.FromSeconds(2))
                if (await node.StatusAsync(key) == 200) Interlocked.Increment(ref admitted);
                else await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
        });
        var most = 30 + (int)(20 * watch.Elapsed.TotalSeconds);
        Assert.InRange(admitted, 30, most);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task No_more_calls_are_under_way_on_all_nodes_than_may_be_and_a_dead_node_gives_its_places_back()
    {
        var key = await Cluster.SubscribeAsync("few", "few");
        var (now, most, admitted) = (0, 0, 0);
        var hold = new TaskCompletionSource();
        Cluster.Upstream.Answer = async context =>
        {
            if (!context.Request.Path.Value!.EndsWith("slow", StringComparison.Ordinal)) return;
            var under = Interlocked.Increment(ref now);
            for (var seen = Volatile.Read(ref most); under > seen; seen = Volatile.Read(ref most))
                Interlocked.CompareExchange(ref most, under, seen);
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
            Interlocked.Decrement(ref now);
        };
        try
        {
            var watch = Stopwatch.StartNew();
            await AllAsync(8, async node =>
            {
                while (watch.Elapsed < TimeSpan.FromSeconds(2))
                {
                    if (await node.StatusAsync(key, "/api/v1/slow") == 200) Interlocked.Increment(ref admitted);
                    else await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
                }
            });
            Assert.InRange(most, 3, 5);
            Assert.True(admitted > 10, $"Places come back: {admitted} calls were admitted.");

            // all five places are of calls on one node, which dies with them
            Cluster.Upstream.Answer = context =>
                context.Request.Path.Value!.EndsWith("slow", StringComparison.Ordinal) ? hold.Task : Task.CompletedTask;
            var node = Cluster.Nodes[2];
            await Until.SoAsync(async () => await OpenSlotsAsync(key) == 5);
            // the others may hold places for a moment still
            var held = Enumerable.Range(0, 5).Select(_ => Swallow(node.OnceAdmittedAsync(key, "/api/v1/slow"))).ToArray();
            await Until.SoAsync(async () => await Cluster.Nodes[0].StatusAsync(key) == 429);
            await node.KillAsync();
            hold.SetResult();
            await Task.WhenAll(held);
            await Until.SoAsync(async () => await OpenSlotsAsync(key) == 5);
            await node.StartAsync();
        }
        finally
        {
            hold.TrySetResult();
            Cluster.Upstream.Answer = _ => Task.CompletedTask;
        }
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_redis_that_forgot_everything_is_told_again_by_those_who_know()
    {
        // these admit nothing while it is away, so that every call is known to be counted
        var sliding = await Cluster.SubscribeAsync("told", "closed-sliding");
        var counted = await Cluster.SubscribeAsync("toldtoo", "closed");
        foreach (var node in Cluster.Nodes)
            for (var i = 0; i < 10; i++)
                Assert.Equal((200, 200), (await node.StatusAsync(sliding), await node.StatusAsync(counted)));
        Cluster.Redis.Stop();
        await Cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 0);
        Cluster.Redis.Restart();
        // each says what it spent when it asks first
        foreach (var node in Cluster.Nodes)
        {
            await Until.SoAsync(async () => await node.StatusAsync(sliding) == 200);
            await Until.SoAsync(async () => await node.StatusAsync(counted) == 200);
        }

        Assert.Equal(100 - 33, await UntilRefusedAsync(sliding));
        Assert.Equal(100 - 33, await UntilRefusedAsync(counted));
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Each_plan_says_what_happens_while_redis_is_away()
    {
        var node = Cluster.Nodes[0];
        var keys = new Dictionary<string, string>();
        foreach (var plan in new[] { "closed", "closed-sliding", "open", "share", "share-sliding" })
            keys[plan] = await Cluster.SubscribeAsync("away-" + plan, plan);
        foreach (var key in keys.Values) Assert.Equal(200, await node.StatusAsync(key));
        Cluster.Redis.Stop();
        try
        {
            await Until.SoAsync(async () => await node.StatusAsync(keys["closed"]) == 503);
            Assert.Equal(503, await node.StatusAsync(keys["closed-sliding"]));
            Assert.Contains("limits are not shared", await node.TextAsync("/readyz"), StringComparison.Ordinal);
            using (var answer = await node.CallAsync(keys["open"]))
                Assert.Equal((200, "open"), ((int)answer.StatusCode, answer.Headers.GetValues("Tollgate-Limits").Single()));
            foreach (var plan in new[] { "share", "share-sliding" })
            {
                var admitted = 0;
                for (var i = 0; i < 90; i++)
                {
                    using var answer = await node.CallAsync(keys[plan]);
                    Assert.Equal("share", answer.Headers.GetValues("Tollgate-Limits").Single());
                    if ((int)answer.StatusCode == 200) admitted++;
                }

                // what it had leased, and a third of what nobody had; or a quarter, while one that was killed still counts
                Assert.InRange(admitted, 18, 37);
            }
        }
        finally
        {
            Cluster.Redis.Restart();
            await Cluster.EverywhereAsync(async n => await n.MetricAsync("tollgate_redis_up") == 1);
        }

        await Until.SoAsync(async () => await node.StatusAsync(keys["closed"]) == 200);
        using var after = await node.CallAsync(keys["share"]);
        Assert.False(after.Headers.Contains("Tollgate-Limits"));
        var left = int.Parse(after.Headers.GetValues("X-RateLimit-Remaining-Day").Single(), CultureInfo.InvariantCulture);
        Assert.InRange(left, 30, 72);
    }

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_frozen_redis_holds_calls_up_once_and_for_a_moment()
    {
        var key = await Cluster.SubscribeAsync("frozen", "share-sliding");
        var node = Cluster.Nodes[1];
        Assert.Equal(200, await node.StatusAsync(key));
        Cluster.Redis.Freeze();
        try
        {
            var slow = 0;
            for (var i = 0; i < 20; i++)
            {
                var watch = Stopwatch.StartNew();
                await node.StatusAsync(key);
                if (watch.Elapsed > TimeSpan.FromMilliseconds(200)) slow++;
            }

            // all of them would wait for an answer that does not come
            Assert.InRange(slow, 0, 10);
            Assert.Equal(0, await node.MetricAsync("tollgate_redis_up"));
        }
        finally
        {
            Cluster.Redis.Thaw();
        }

        await Until.SoAsync(async () => await node.MetricAsync("tollgate_redis_up") == 1);
    }

    /// <summary>All nodes call until each of them is refused for a while.</summary>
    private async Task<int> UntilRefusedAsync(string key)
    {
        var admitted = 0;
        var asked = Stopwatch.StartNew();
        await AllAsync(4, async node =>
        {
            var refused = new Stopwatch();
            while (refused.Elapsed < TimeSpan.FromMilliseconds(900))
            {
                var status = await node.StatusAsync(key);
                if (status == 200)
                {
                    Interlocked.Increment(ref admitted);
                    refused.Reset();
                    continue;
                }

                // on a machine that is very busy Redis may not answer in time, and then nobody is let in
                if (status != 503 || asked.Elapsed > TimeSpan.FromSeconds(30))
                {
                    Assert.Equal(429, status);
                    refused.Start();
                }

                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
            }
        });
        return admitted;
    }

    private Task AllAsync(int callers, Func<Cluster.Member, Task> call) => Task.WhenAll(
        Cluster.Nodes.Where(n => n.IsUp).SelectMany(n => Enumerable.Repeat(n, callers)).Select(n => Task.Run(() => call(n))));

    /// <summary>What is left of calls at a time, as one node says that makes one; its own counts too.</summary>
    private async Task<long> OpenSlotsAsync(string key)
    {
        using var answer = await Cluster.Nodes[0].CallAsync(key);
        if (!answer.IsSuccessStatusCode) return 0;
        // the place of this call itself is given back within a moment
        for (var i = 0; i < 25 && await FreeAsync() < 5; i++) await Task.Delay(TimeSpan.FromMilliseconds(40), TimeProvider.System);
        return await FreeAsync();

        async Task<long> FreeAsync()
        {
            await using var redis = await ConnectionMultiplexer.ConnectAsync(Cluster.Redis.Address["redis://".Length..]);
            var counter = redis.GetServers()[0].Keys(pattern: "tollgate:*at-a-time").Single();
            return 5 - (await redis.GetDatabase().HashGetAllAsync(counter))
                .Where(f => !f.Name.ToString().Contains(':', StringComparison.Ordinal)).Sum(f => (long)f.Value);
        }
    }

    private async Task<List<string>> CountersAsync(string subscriptions)
    {
        var id = Regex.Match(subscriptions, "sub_[0-9a-z]+").Value;
        await using var redis = await ConnectionMultiplexer.ConnectAsync(Cluster.Redis.Address["redis://".Length..]);
        return [.. redis.GetServers()[0].Keys(pattern: $"tollgate:{{{id}}}*").Select(k => k.ToString())];
    }

    private static async Task Swallow(Task call)
    {
        try
        {
            await call;
        }
        catch (HttpRequestException)
        {
            // its server was killed
        }
    }

    public sealed class Three() : ThreeNodes(Plans);
}
