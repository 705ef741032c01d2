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
}
