using Microsoft.Extensions.Time.Testing;
using Tollgate.Catalog;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>Leases of one subscription's limits on several nodes, in one process and over a real Redis.</summary>
public sealed class LeaseTests : IAsyncLifetime
{
    private const string Missing = "Redis is not installed: dotnet dev.cs install";
    private const int Allowance = 700;

    // far ahead, so that Redis keeps it; it stands still, so no window ends
    private readonly FakeTimeProvider _business = new(new DateTimeOffset(2100, 1, 10, 10, 0, 0, TimeSpan.Zero));
    private readonly List<LeasingNode> _nodes = [];
    private RedisServer _redis = null!;

    public static bool IsInstalled => RedisServer.IsInstalled;

    public async ValueTask InitializeAsync()
    {
        if (!IsInstalled) return;
        _redis = RedisServer.Start();
        for (var i = 0; i < 3; i++)
        {
            _nodes.Add(await LeasingNode.StartAsync(_redis.Address, _business, "900/day", new Quota("calls", "calls", Allowance)
            {
                Per = QuotaPeriod.Find("calendar month")!.Value,
            }));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes) await node.DisposeAsync();
        _redis?.Dispose();
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Nodes_that_race_bill_exactly_the_quota_whatever_answers_of_redis_are_late()
    {
        var (billed, ended) = (0, false);
        var callers = Enumerable.Range(0, 12).Select(i => Task.Run(async () =>
        {
            var (node, random) = (_nodes[i % 3], new Random(i));
            for (var refused = 0; refused < 25 || !Volatile.Read(ref ended);)
            {
                // closed to everybody while Redis is away
                if (await node.CallAsync() is not { } decision)
                {
                    refused++;
                    await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
                    continue;
                }

                refused = 0;
                if (random.Next(4) == 0) await Task.Yield();
                var units = random.Next(5) == 0 ? 0 : 1;
                node.Settle(decision, units);
                Interlocked.Add(ref billed, units);
            }
        })).ToArray();
        for (var i = 0; i < 6; i++)
        {
            // longer than a question waits, so the answers of some come behind those of later ones
            _redis.Freeze();
            await Task.Delay(TimeSpan.FromMilliseconds(350), TimeProvider.System);
            _redis.Thaw();
            await Task.Delay(TimeSpan.FromMilliseconds(50 + (40 * i)), TimeProvider.System);
        }

        while (_nodes.Exists(n => n.Leases.IsAway)) await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        Volatile.Write(ref ended, true);
        await Task.WhenAll(callers);
        Assert.Equal(Allowance, billed);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_lease_that_is_renewed_is_spent_on_meanwhile_and_its_answer_grants_no_less()
    {
        var node = _nodes[0];
        // near the end of its lease it asks for more, beside the calls
        var calls = 1;
        for (var decision = await node.CallAsync(renew: false); !decision!.Value.RenewsLease; calls++)
            decision = await node.CallAsync(renew: false);
        Assert.InRange(calls, 2, 8);
        Assert.Equal(1, node.Leases.Waits);
        _redis.Freeze();
        var asked = node.Leases.Questions;
        var renewal = node.Leases.AskAsync(node.Pool);
        while (node.Leases.Questions == asked) await Task.Yield();
        Assert.True(node.Try(out _), "there is room left while it is asked for more");
        _redis.Thaw();
        if (!await renewal) return;
        for (var i = 0; i < 4; i++) Assert.True(node.Try(out _), "what was asked for beyond what was left is there");
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task What_was_leased_of_the_next_window_is_not_spent_where_redis_has_forgotten_it()
    {
        await using var one = await LeasingNode.StartAsync(_redis.Address, _business, "40/second by customer");
        await using var other = await LeasingNode.StartAsync(_redis.Address, _business, "40/second by customer");
        Assert.NotNull(await one.CallAsync());
        _business.Advance(TimeSpan.FromMilliseconds(800));
        await one.SweptAsync();
        _redis.Stop();
        while (!one.Leases.IsAway || !other.Leases.IsAway) await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        _redis.Restart();
        // back for both, and what was asked for at that is answered
        while (one.Leases.IsAway || other.Leases.IsAway || one.Leases.Times == 0 || one.Pool.Asking is { IsCompleted: false })
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        _business.Advance(TimeSpan.FromMilliseconds(300));
        var calls = 0;
        for (var refused = 0; refused < 50 && calls <= 40;)
        {
            if (await other.CallAsync() is not null) calls++;
            else refused++;
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
        }

        while (calls <= 40 && one.Try(out _)) calls++;
        Assert.Equal(40, calls);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_node_that_ends_while_it_is_given_more_gives_that_back_too()
    {
        var node = _nodes[0];
        Assert.NotNull(await node.CallAsync(renew: false));
        _redis.Freeze();
        var asked = node.Leases.Questions;
        for (var i = 0; i < 6; i++) Assert.True(node.Try(out _));
        var renewal = node.Leases.AskAsync(node.Pool);
        while (node.Leases.Questions == asked) await Task.Yield();
        var ending = node.Leases.ReturnAllAsync();
        _redis.Thaw();
        if (!await renewal) return;
        await ending;
        Assert.False(node.Try(out var decision), "nothing is leased any more");
        Assert.True(decision.NeedsLease);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task What_one_node_has_leased_and_does_not_use_another_gets_when_it_needs_it()
    {
        var (one, other) = (_nodes[0], _nodes[1]);
        Assert.NotNull(await one.CallAsync());
        var calls = 1;
        while (await other.CallAsync() is { } decision)
        {
            other.Settle(decision, 1);
            calls++;
        }

        // the first still holds most of its first lease until somebody asks for it
        for (var refused = 0; refused < 50 && calls < Allowance;)
        {
            if (await other.CallAsync() is { } decision)
            {
                other.Settle(decision, 1);
                calls++;
                continue;
            }

            refused++;
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        }

        Assert.Equal(Allowance, calls);
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_window_that_begins_is_leased_already_where_the_one_before_was_called_in_and_the_lease_is_no_more_than_a_lease()
    {
        await using var one = await LeasingNode.StartAsync(_redis.Address, _business, "40/second by customer");
        await using var other = await LeasingNode.StartAsync(_redis.Address, _business, "40/second by customer");
        foreach (var node in new[] { one, other }) Assert.NotNull(await node.CallAsync());
        var asked = one.Leases.Questions;
        _business.Advance(TimeSpan.FromMilliseconds(800));
        foreach (var node in new[] { one, other }) await node.SweptAsync();
        Assert.True(one.Leases.Questions > asked, "the next second was asked for");
        _business.Advance(TimeSpan.FromMilliseconds(300));
        Assert.True(one.Try(out _), "the first call of a second waits for nobody");
        Assert.Equal(1, one.Leases.Waits);

        // what the second node leased ahead, and calls nobody with, is there for the first
        var calls = 1;
        for (var refused = 0; refused < 50 && calls < 40;)
        {
            if (await one.CallAsync() is not null)
            {
                calls++;
                continue;
            }

            refused++;
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        }

        Assert.Equal(40, calls);
        Assert.Null(await one.CallAsync());
        Assert.Null(await other.CallAsync());
    }
}
