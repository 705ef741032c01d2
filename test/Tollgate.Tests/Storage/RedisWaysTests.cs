using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>The ways in which a Redis is reached, each to a real one.</summary>
public sealed class RedisWaysTests : IDisposable
{
    private const string Missing = "PostgreSQL and Redis are not installed: dotnet dev.cs install";

    private readonly TempFolder _folder = new();

    public static bool IsInstalled => PostgresServer.IsInstalled && RedisServer.IsInstalled;

    public void Dispose() => _folder.Dispose();

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task By_a_password_and_by_a_user_with_only_what_is_needed()
    {
        string[] user = ["gate", "on", ">second", "~tollgate:*", "&*", "+@hash", "+@connection", "+@pubsub", "+@scripting",
            "+time", "+exists", "+pexpire", "+pexpireat", "+info", "+cluster", "+config|get"];
        using var redis = RedisServer.Start(["--requirepass", "first", "--user", .. user]);
        Assert.Equal(7, await AskAsync($"redis://:first@127.0.0.1:{redis.Port}"));
        Assert.Equal(7, await AskAsync($"redis://gate:second@127.0.0.1:{redis.Port}"));
        var refused = await Assert.ThrowsAsync<StorageException>(() => AskAsync($"redis://:wrong@127.0.0.1:{redis.Port}"));
        Assert.DoesNotContain("wrong@", refused.Message, StringComparison.Ordinal);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task By_tls_with_an_authority_of_ones_own()
    {
        var pem = Path.Combine(_folder.Path, "redis.pem");
        TestCertificate.Write(pem, "redis.test");
        using var redis = RedisServer.Start("--port", "0", "--tls-port", "PORT", "--tls-cert-file", pem, "--tls-key-file", pem,
            "--tls-ca-cert-file", pem, "--tls-auth-clients", "no");
        Assert.Equal(7, await AskAsync($"rediss://127.0.0.1:{redis.Port}?ca={Uri.EscapeDataString(pem)}"));
        await Assert.ThrowsAsync<StorageException>(() => AskAsync($"rediss://127.0.0.1:{redis.Port}"));
        var said = await Assert.ThrowsAsync<StorageException>(() => AskAsync($"rediss://127.0.0.1:{redis.Port}?cert=x"));
        Assert.Contains("ca=", said.Message, StringComparison.Ordinal);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task As_a_cluster_which_refuses_scripts_over_several_hash_tags()
    {
        using var redis = await RedisServer.StartClusterAsync(_folder.Path);
        await using var counters = await SharedCounters.OpenAsync($"127.0.0.1:{redis.Port}", "one");
        Assert.True(counters.IsCluster);
        Assert.Equal(2, (await counters.AskAsync([Question("a"), Question("b")]))!.Length);
        var other = Question("a") with { Key = Question("a").Key.Replace("{", "{other-", StringComparison.Ordinal) };
        Assert.Null(await counters.AskAsync([Question("a"), other]));
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Through_a_sentinel()
    {
        using var redis = RedisServer.Start();
        var (port, file) = (Ports.Free(), Path.Combine(_folder.Path, "sentinel.conf"));
        await File.WriteAllTextAsync(file, $"port {port}\nbind 127.0.0.1\nsentinel monitor gate 127.0.0.1 {redis.Port} 1\n",
            TestContext.Current.CancellationToken);
        using var sentinel = Process.Start(new ProcessStartInfo("/usr/bin/redis-server", [file, "--sentinel"])
        {
            RedirectStandardOutput = true,
        })!;
        try
        {
            _ = sentinel.StandardOutput.ReadToEndAsync();
            for (var tries = 0; ; tries++)
            {
                try
                {
                    Assert.Equal(7, await AskAsync($"127.0.0.1:{port},serviceName=gate"));
                    return;
                }
                catch (StorageException) when (tries < 10)
                {
                    await Task.Delay(50, TestContext.Current.CancellationToken);
                }
            }
        }
        finally
        {
            sentinel.Kill();
            await sentinel.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_test_clock_a_file_or_a_redis_that_refuses_refuse_to_start()
    {
        using var redis = RedisServer.Start("--requirepass", "first");
        foreach (var (options, says) in new (Func<TollgateOptions, TollgateOptions>, string)[]
        {
            (o => o with { Redis = redis.Address }, "--test-clock"),
            (o => o with { Redis = redis.Address, TestClock = null, Database = null }, "--database"),
            (o => o with { Redis = "redis://secret@h", TestClock = null, Database = PostgresServer.Shared.Empty() }, "--redis"),
            (o => o with
            {
                Redis = $"redis://:pw@127.0.0.1:{redis.Port}", TestClock = null, Database = PostgresServer.Shared.Empty(),
            }, "cannot be used"),
        })
        {
            var e = await Assert.ThrowsAsync<StartupException>(() => TestServer.StartAsync(change: options));
            Assert.Contains(says, e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("secret", e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("pw", e.Message, StringComparison.Ordinal);
        }
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task One_that_is_not_there_yet_is_away_until_it_is()
    {
        using var redis = RedisServer.Start();
        redis.Stop();
        await using var counters = await SharedCounters.OpenAsync($"redis://:pw@127.0.0.1:{redis.Port}", "one");
        Assert.True(counters.IsAway);
        Assert.DoesNotContain("pw", counters.Trouble, StringComparison.Ordinal);
        Assert.Null(await counters.AskAsync([Question("a")]));
        await counters.ListenAsync(_ => { });
        await counters.ProbeAsync(TimeProvider.System);
        Assert.True(counters.IsAway);
        redis.Restart();
        // it has no password, and does not mind one
        for (var tries = 0; counters.IsAway; tries++)
        {
            Assert.True(tries < 50, counters.Trouble);
            await counters.ListenAsync(_ => { });
            await counters.ProbeAsync(TimeProvider.System);
        }

        Assert.Equal(7, (await counters.AskAsync([Question("a")]))![0].Granted);
        Assert.Equal(1, counters.Nodes);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_clock_that_is_three_seconds_ahead_of_redis_makes_a_node_not_ready()
    {
        using var redis = RedisServer.Start();
        var options = new TollgateOptions
        {
            Data = Path.Combine(_folder.Path, "data"), Database = PostgresServer.Shared.Empty(), Redis = redis.Address,
        };
        await using var node = await TollgateNode.OpenAsync(options, NullLogger.Instance, new Ahead());
        Assert.Contains("3.0 s away from that of Redis", node.Unready, StringComparison.Ordinal);
    }

    private static async Task<long> AskAsync(string address)
    {
        await using var counters = await SharedCounters.OpenAsync(address, "one");
        var answer = await counters.AskAsync([Question($"{Guid.NewGuid():n}")]);
        return answer is null ? throw new StorageException($"Away: {counters.Trouble}") : answer[0].Granted;
    }

    private static CounterQuestion Question(string name) =>
        new($"tollgate:{{sub_1}}:{name}", 100, 0, 0, 7, 0, TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() + 60_000);

    private sealed class Ahead : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => System.GetUtcNow().AddSeconds(3);
    }
}
