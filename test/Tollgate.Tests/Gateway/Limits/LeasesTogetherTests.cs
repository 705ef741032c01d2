using Microsoft.Extensions.Time.Testing;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Leases of many subscriptions that are asked for together, over a real Redis.</summary>
public sealed class LeasesTogetherTests
{
    private const string Missing = "Redis is not installed: dotnet dev.cs install";
    private const int Subscriptions = 300, Limit = 20;

    public static bool IsInstalled => RedisServer.IsInstalled;

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Two_nodes_that_ask_about_many_subscriptions_at_once_admit_of_each_exactly_its_limit_in_few_questions()
    {
        using var redis = RedisServer.Start();
        var business = new FakeTimeProvider(new DateTimeOffset(2100, 1, 10, 10, 0, 0, TimeSpan.Zero));
        await using var one = await LeasingNode.StartAsync(redis.Address, business, $"{Limit}/day by customer", Subscriptions);
        await using var other = await LeasingNode.StartAsync(redis.Address, business, $"{Limit}/day by customer", Subscriptions);
        var (admitted, asked) = (new int[Subscriptions], 0);
        for (var quiet = 0; quiet < 40;)
        {
            var before = admitted.Sum();
            foreach (var node in new[] { one, other })
            {
                var waited = new List<Task>();
                for (var i = 0; i < Subscriptions; i++)
                {
                    if (node.Try(i, out var decision)) admitted[i]++;
                    else if (decision.NeedsLease) waited.Add(node.Leases.AskAsync(node.Pools[i], soon: true));
                }

                asked += waited.Count;
                await Task.WhenAll(waited);
            }

            quiet = admitted.Sum() == before ? quiet + 1 : 0;
            // what a node was told is so for a moment
            if (quiet > 0) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }

        Assert.All(admitted, a => Assert.Equal(Limit, a));
        Assert.InRange(one.Leases.Questions + other.Leases.Questions, 1, asked / 4.0);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Nodes_of_a_redis_cluster_ask_about_each_subscription_by_itself_and_admit_exactly_its_limit()
    {
        const int subscriptions = 20;
        using var folder = new TempFolder();
        using var redis = await RedisServer.StartClusterAsync(folder.Path);
        var business = new FakeTimeProvider(new DateTimeOffset(2100, 1, 10, 10, 0, 0, TimeSpan.Zero));
        await using var one = await LeasingNode.StartAsync(redis.Address, business, $"{Limit}/day by customer", subscriptions);
        await using var other = await LeasingNode.StartAsync(redis.Address, business, $"{Limit}/day by customer", subscriptions);
        var admitted = new int[subscriptions];
        for (var refused = 0; refused < 40; refused++)
        {
            foreach (var node in new[] { one, other })
            {
                Call(node);
                // a step over two of them would be refused, and the node would count for itself
                var known = await Task.WhenAll(node.Pools.Select(p => node.Leases.AskAsync(p, soon: true)));
                Assert.DoesNotContain("slot", node.Leases.Where.Trouble ?? "", StringComparison.Ordinal);
                Call(node);
                if (known.Contains(false)) refused = 0;
            }

            void Call(LeasingNode node)
            {
                for (var i = 0; i < subscriptions; i++)
                    while (node.Try(i, out _)) (admitted[i], refused) = (admitted[i] + 1, 0);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        }

        Assert.All(admitted, a => Assert.Equal(Limit, a));
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Who_asks_together_while_redis_is_away_is_told_so()
    {
        using var redis = RedisServer.Start();
        var business = new FakeTimeProvider(new DateTimeOffset(2100, 1, 10, 10, 0, 0, TimeSpan.Zero));
        await using var node = await LeasingNode.StartAsync(redis.Address, business, "20/day by customer", 3);
        Assert.All(Enumerable.Range(0, 3), i => Assert.False(node.Try(i, out _)));
        redis.Freeze();
        var answers = await Task.WhenAll(node.Pools.Select(p => node.Leases.AskAsync(p, soon: true)));
        Assert.Equal([false, false, false], answers);
        Assert.True(node.Leases.IsAway);
        redis.Thaw();
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Who_does_not_call_is_not_looked_after_and_a_redis_that_forgot_is_told_of_it_all_the_same()
    {
        using var redis = RedisServer.Start();
        var business = new FakeTimeProvider(new DateTimeOffset(2100, 1, 10, 10, 0, 0, TimeSpan.Zero));
        await using var one = await LeasingNode.StartAsync(redis.Address, business, $"{Limit}/day by customer", 100);
        await using var other = await LeasingNode.StartAsync(redis.Address, business, $"{Limit}/day by customer", 100);
        foreach (var pool in one.Pools) await one.Leases.WaitAsync(pool);
        for (var i = 0; i < 100; i++)
            for (var calls = 0; calls < 5; calls++)
                while (!one.Try(i, out _)) await one.Leases.AskAsync(one.Pools[i]);
        Assert.Equal(100, one.Leases.Watched);
        // first what is left is given back, then nothing is to be said any more
        for (var sweeps = 0; one.Leases.Watched > 0; sweeps++)
        {
            Assert.InRange(sweeps, 0, 10);
            one.Machine.Skip(TimeSpan.FromSeconds(11));
            await one.Leases.SweepAsync();
            await Task.WhenAll(one.Pools.Select(p => p.Asking!));
        }

        redis.Stop();
        while (!one.Leases.IsAway || !other.Leases.IsAway) await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        redis.Restart();
        while (one.Leases.IsAway || other.Leases.IsAway || one.Leases.Times == 0 || Array.Exists(one.Pools, p => !p.Asking!.IsCompleted))
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        for (var i = 0; i < 100; i += 9)
        {
            var admitted = 0;
            for (var refused = 0; refused < 40;)
            {
                if (other.Try(i, out var decision))
                {
                    admitted++;
                    continue;
                }

                refused++;
                if (decision.NeedsLease) await other.Leases.AskAsync(other.Pools[i]);
                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System);
            }

            Assert.Equal(Limit - 5, admitted);
        }
    }
}
