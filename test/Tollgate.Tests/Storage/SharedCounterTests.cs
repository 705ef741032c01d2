using System.Text.RegularExpressions;
using StackExchange.Redis;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>Counters of many subscriptions in a real Redis.</summary>
public sealed class SharedCounterTests
{
    private const string Missing = "Redis is not installed: dotnet dev.cs install";

    public static bool IsInstalled => RedisServer.IsInstalled;

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Questions_that_nobody_waits_for_go_together_and_each_has_its_own_answer()
    {
        using var redis = RedisServer.Start();
        await using var counters = await SharedCounters.OpenAsync(redis.Address, "one");
        await using var other = await SharedCounters.OpenAsync(redis.Address, "other");
        // of each third counter the other node has used something
        for (var i = 0; i < 300; i += 3) await other.AskAsync([Question(i, spent: i) with { Demand = 0 }]);
        var before = await ScriptsAsync(redis);
        var answers = await Task.WhenAll(Enumerable.Range(0, 300).Select(i =>
            counters.AskSoonAsync([Question(i, spent: 2), Question(i + 1_000, spent: 3)], TimeProvider.System)));
        for (var i = 0; i < 300; i++)
            Assert.Equal([new CounterAnswer(7, i % 3 == 0 ? i : 0, 0), new CounterAnswer(8, 0, 0)], answers[i]!);
        Assert.InRange(await ScriptsAsync(redis) - before, 1, 60);

        redis.Stop();
        Assert.Null(await counters.AskSoonAsync([Question(1, spent: 2)], TimeProvider.System));
    }

    private static CounterQuestion Question(int subscription, long spent) =>
        new($"tollgate:{{sub_{subscription}}}:limit", 1_000_000, spent, 0, 5, 0, 4_102_444_800_000);

    private static async Task<int> ScriptsAsync(RedisServer redis)
    {
        await using var connection = await ConnectionMultiplexer.ConnectAsync(redis.Address["redis://".Length..] + ",allowAdmin=true");
        var stats = (await connection.GetServers()[0].ExecuteAsync("INFO", "commandstats")).ToString();
        return Regex.Matches(stats, @"cmdstat_eval(?:sha)?:calls=(\d+)").Sum(m => int.Parse(m.Groups[1].Value));
    }
}
