using Tollgate.Metering;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Metering;

/// <summary>What <c>durability: strict</c> promises: an answer that has begun survives a power cut.</summary>
public sealed class DurabilityTests : IDisposable
{
    private static readonly JournalOptions s_strict = JournalHome.Small with { Durability = Durability.Strict };

    private readonly JournalHome _home = new();

    public void Dispose() => _home.Dispose();

    [Fact]
    public async Task Those_who_wait_while_a_flush_is_under_way_share_the_next_one()
    {
        using var begun = new SemaphoreSlim(0);
        using var goOn = new SemaphoreSlim(0);
        var flushes = 0;
        using var journal = UsageJournal.Open(_home.Folder, s_strict, _home.Clock, DurableFile.Allocate, () =>
        {
            Interlocked.Increment(ref flushes);
            begun.Release();
            goOn.Wait();
        });
        var first = journal.CommitAsync();
        await begun.WaitAsync(TestContext.Current.CancellationToken);
        var others = Enumerable.Range(0, 50).Select(_ => journal.CommitAsync()).ToArray();
        Assert.False(first.IsCompleted);
        goOn.Release(10);
        await Task.WhenAll([first, .. others]).WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);
        Assert.Equal(2, flushes);
    }

    [Fact]
    public async Task A_disk_that_takes_nothing_refuses_calls_until_it_does_again()
    {
        var broken = true;
        using var journal = UsageJournal.Open(_home.Folder, s_strict, _home.Clock, DurableFile.Allocate,
            () => { if (broken) throw new IOException("no answer"); });
        Assert.True(journal.TryReserve());
        journal.Release();
        await Assert.ThrowsAsync<IOException>(journal.CommitAsync);
        Assert.False(journal.TryReserve());
        Assert.Contains("strict", journal.Trouble, StringComparison.Ordinal);
        broken = false;
        journal.Flush();
        Assert.True(journal.TryReserve());
        journal.Release();
        Assert.Null(journal.Trouble);
    }

    [Fact]
    public async Task A_strict_node_answers_calls_and_counts_them()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            Yaml.Tiers, upstream, change: options => options with { Durability = Durability.Strict });
        Assert.True(server.Node.Journal.IsStrict);
        var key = await server.SubscribeAsync("fred", "free");
        var calls = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => server.CallAsync("/v1/public/data", key)));
        Assert.All(calls, c => Assert.Equal(200, (int)c.StatusCode));
        Assert.Equal(20, await server.UsageAsync());
    }
}
