using System.Net;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Nodes that share limits cut windows by their own clocks.</summary>
public sealed class ClocksApartTests : IDisposable
{
    private const string Missing = "PostgreSQL and Redis are not installed: dotnet dev.cs install";

    private readonly RedisServer? _redis = RedisServer.IsInstalled ? RedisServer.Start() : null;

    public static bool IsInstalled => PostgresServer.IsInstalled && RedisServer.IsInstalled;

    [Theory(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    [InlineData(-3)]
    [InlineData(3)]
    public async Task A_node_whose_clock_is_more_than_two_seconds_from_that_of_redis_is_not_ready_until_it_is_right(int seconds)
    {
        var clock = new WrongClock { Wrong = TimeSpan.FromSeconds(seconds) };
        await using var upstream = await TestUpstream.StartAsync();
        await using var node = await TestServer.StartAsync(Yaml.Tiers, upstream, change: Sharing, machine: clock);
        using (var answer = await node.Admin.GetAsync("/readyz"))
        {
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            Assert.Contains("s away from that of Redis", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        clock.Wrong = TimeSpan.Zero;
        while (await StatusAsync() != HttpStatusCode.OK) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);

        async Task<HttpStatusCode> StatusAsync()
        {
            using var answer = await node.Admin.GetAsync("/readyz");
            return answer.StatusCode;
        }
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_test_clock_is_refused_where_limits_are_shared()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var refused = await Assert.ThrowsAsync<StartupException>(() => TestServer.StartAsync(
            Yaml.Tiers, upstream, change: o => Sharing(o) with { TestClock = TestServer.Start }));
        Assert.Equal("--test-clock is for one node; leave --redis away.", refused.Message);
    }

    public void Dispose() => _redis?.Dispose();

    private TollgateOptions Sharing(TollgateOptions of) =>
        of with { TestClock = null, Redis = _redis!.Address, Database = PostgresServer.Shared.Empty() };

    private sealed class WrongClock : TimeProvider
    {
        public TimeSpan Wrong { get; set; }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Wrong;
    }
}
