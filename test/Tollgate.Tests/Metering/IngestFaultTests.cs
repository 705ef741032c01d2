using System.Text.Json;
using Dapper;
using Microsoft.Extensions.Time.Testing;
using Microsoft.Win32.SafeHandles;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Billing;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Metering;

/// <summary>Whatever dies between a sender and the sums: what was accepted is counted, and what is sent again is not twice.</summary>
public sealed class IngestFaultTests : IAsyncLifetime
{
    private readonly Books books = new();
    private readonly JournalHome home = new();
    private readonly FakeTimeProvider business = new(new DateTimeOffset(2026, 1, 20, 12, 0, 0, TimeSpan.Zero));
    private volatile bool full;

    public async ValueTask InitializeAsync()
    {
        await books.SqlAsync("insert into meter_keys (key, name, aggregation, scale) values (2, 'tokens', 'sum', 0)");
        var customer = await books.CustomerAsync("alice", at: Books.At("2026-01-01"));
        await books.SubscribeAsync(customer, await books.PlanAsync("pro", "data per_unit 0.01"), Books.At("2026-01-01"));
    }

    public async ValueTask DisposeAsync()
    {
        home.Dispose();
        await books.DisposeAsync();
    }

    [Fact]
    public async Task Killed_between_writing_and_answering_an_event_counts_and_its_retries_count_nothing()
    {
        JournalHome left;
        using (var journal = home.Open())
        using (await DrainAsync(journal))
        {
            Assert.All((await IntakeOf(journal).TakeAsync([Event(1), Event(2)]))!, a => Assert.True(a.Accepted));
            // the answer never left
            left = home.CopyAsAfterAKill();
        }

        using (left)
        using (var journal = left.Open())
        using (var drain = await DrainAsync(journal))
        {
            for (var i = 0; i < 3; i++) Assert.NotNull(await IntakeOf(journal).TakeAsync([Event(2), Event(1), Event(3)]));
            await drain.CatchUpAsync();
            Assert.Equal(3, await SumAsync());
        }
    }

    [Theory]
    [InlineData("rollups")]
    [InlineData("outside_stamps")]
    public async Task Killed_between_draining_and_committing_all_of_the_batch_is_drained_again_and_nothing_twice(string table)
    {
        JournalHome left;
        using (var journal = home.Open())
        using (var drain = await DrainAsync(journal))
        {
            await IntakeOf(journal).TakeAsync([Event(1)]);
            await drain.CatchUpAsync();
            await books.Database.WriteAsync(db => TestDatabase.BreakAsync(db, table));
            await IntakeOf(journal).TakeAsync([Event(1), Event(2), Event(3)]);
            await Assert.ThrowsAnyAsync<Exception>(drain.CatchUpAsync);
            left = home.CopyAsAfterAKill();
        }

        await books.Database.WriteAsync(db => TestDatabase.MendAsync(db, table));
        Assert.Equal(1, await SumAsync());
        using (left)
        using (var journal = left.Open())
        using (var drain = await DrainAsync(journal))
        {
            Assert.Equal(3, await SumAsync());
            await IntakeOf(journal).TakeAsync([Event(1), Event(2), Event(3)]);
            await drain.CatchUpAsync();
            Assert.Equal(3, await SumAsync());
        }
    }

    [Fact]
    public async Task Killed_after_the_commit_and_before_the_sender_heard_its_retry_counts_nothing()
    {
        JournalHome left;
        using (var journal = home.Open())
        {
            // what the drain of the dead process committed is in the store, its journal is as it was before
            using var drain = await DrainAsync(journal);
            await IntakeOf(journal).TakeAsync([Event(1), Event(2)]);
            left = home.CopyAsAfterAKill();
            await drain.CatchUpAsync();
            Assert.Equal(2, await SumAsync());
        }

        using (left)
        using (var journal = left.Open())
        using (var drain = await DrainAsync(journal))
        {
            await IntakeOf(journal).TakeAsync([Event(1), Event(2)]);
            await drain.CatchUpAsync();
            Assert.Equal(2, await SumAsync());
        }
    }

    [Fact]
    public async Task On_a_full_disk_events_are_turned_away_whole_and_what_was_accepted_is_counted_once()
    {
        using var journal = UsageJournal.Open(home.Folder, JournalHome.Small, home.Clock, AllocateUnlessFull);
        full = true;
        var intake = IntakeOf(journal);
        var accepted = 0;
        while (await intake.TakeAsync([Event(3 * accepted), Event((3 * accepted) + 1), Event((3 * accepted) + 2)]) is not null) accepted++;
        Assert.InRange(accepted, 1, 2 * JournalHome.SmallSlots / 3);
        Assert.Equal((3 * accepted, 3), (intake.Seen.Accepted, intake.Seen.TurnedAway));
        using var drain = await DrainAsync(journal);
        Assert.Equal(3 * accepted, await SumAsync());
        full = false;
        var events = Enumerable.Range(0, 3 * (accepted + 1)).Select(Event).ToArray();
        Assert.All(SendUntilTaken(intake, events), a => Assert.True(a.Accepted));
        await drain.CatchUpAsync();
        Assert.Equal(events.Length, await SumAsync());
    }

    [Fact]
    public async Task A_strict_node_answers_when_the_disk_has_it_and_else_asks_to_send_it_again()
    {
        var (flushes, broken) = (0, true);
        using var journal = UsageJournal.Open(home.Folder, JournalHome.Small with { Durability = Durability.Strict }, home.Clock,
            DurableFile.Allocate, () =>
            {
                Interlocked.Increment(ref flushes);
                if (broken) throw new IOException("no answer");
            });
        var intake = IntakeOf(journal);
        Assert.Null(await intake.TakeAsync([Event(1)]));
        Assert.Equal((0, 1, 1), (intake.Seen.Accepted, intake.Seen.TurnedAway, flushes));
        broken = false;
        journal.Flush();
        var before = flushes;
        Assert.NotNull(await intake.TakeAsync([Event(1)]));
        Assert.Equal(before + 1, flushes);
        using var drain = await DrainAsync(journal);
        Assert.Equal(1, await SumAsync());
    }

    private static IncomingEvent Event(int id) => new()
    {
        Id = $"{id}", Source = "test", Type = "used", Subject = "alice", Time = "2026-01-20T10:00:00Z",
        Data = JsonDocument.Parse("""{"n": 1}""").RootElement,
    };

    private IReadOnlyList<EventAnswer> SendUntilTaken(EventIntake intake, IncomingEvent[] events)
    {
        IReadOnlyList<EventAnswer>? answers = null;
        Assert.True(SpinWait.SpinUntil(() =>
        {
            home.Clock.Advance(TimeSpan.FromSeconds(2));
            return (answers = intake.TakeAsync(events).GetAwaiter().GetResult()) is not null;
        }, TimeSpan.FromSeconds(30)));
        return answers!;
    }

    private EventIntake IntakeOf(UsageJournal journal) => new(journal, books.Database, business, new EventOptions())
    {
        Types = new EventTypes(new Dictionary<string, IReadOnlyList<EventMeter>>
        {
            ["used"] = [new EventMeter { Meter = new Meter(2, "tokens", Aggregation.Sum, 0), Value = JsonPath.Parse("$.n").Path }],
        }),
    };

    private async Task<UsageDrain> DrainAsync(UsageJournal journal)
    {
        var drain = new UsageDrain(journal, books.Database, new Clocks(business, TimeProvider.System), EntitlementStore.OfCustomerAsync);
        await drain.RecoverAsync();
        return drain;
    }

    private void AllocateUnlessFull(SafeFileHandle file, long bytes)
    {
        if (full) throw new IOException("no space left");
        DurableFile.Allocate(file, bytes);
    }

    private Task<long> SumAsync() => books.ReadAsync(db => db.ExecuteScalarAsync<long>(
        "select coalesce(cast(sum(quantity) as bigint), 0) from rollups where meter = 2"));
}
