using Dapper;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Billing;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Metering;

/// <summary>Measures, corrections and events on their way into the rollups, exactly once.</summary>
public sealed class MeterDrainTests : IAsyncLifetime
{
    private const int Tokens = 2, Peak = 3, Seats = 4, Level = 5, Low = 6;

    private readonly Books books = new();
    private readonly JournalHome home = new();
    private readonly FakeTimeProvider business = new(new DateTimeOffset(2026, 1, 20, 12, 0, 0, TimeSpan.Zero));
    private UsageJournal journal = null!;
    private UsageDrain drain = null!;

    public async ValueTask InitializeAsync()
    {
        await books.SqlAsync("insert into meter_keys (key, name, aggregation, scale) values (2, 'tokens', 'sum', 0), " +
            "(3, 'peak', 'max', 0), (4, 'seats', 'unique_count', 0), (5, 'level', 'latest', 2), (6, 'low', 'min', 0)");
        await books.SqlAsync("insert into event_subjects (key, subject) values (1, 'alice'), (2, 'nobody-yet')");
        await OpenAsync();
    }

    public async ValueTask DisposeAsync()
    {
        drain.Dispose();
        journal.Dispose();
        home.Dispose();
        await books.DisposeAsync();
    }

    [Fact]
    public async Task A_call_counts_on_several_meters_and_a_long_one_in_parts()
    {
        Assert.True(journal.TryReserve(1));
        var call = new Admission
        {
            AdmittedAt = Books.At("2026-01-20T11:59"), Entitlement = 7, Period = 1, Consumer = 3, Operation = 1,
            Credential = 1, Method = 1,
        };
        var admitted = journal.AppendAdmitted(call).Sequence;
        var part = new Measure { AdmissionSequence = admitted, Admission = call, Meter = Tokens, Quantity = 100 };
        for (var i = 0; i < 3; i++)
        {
            Assert.True(journal.TryAppendPart(part));
            await drain.CatchUpAsync();
            Assert.Equal(100 * (i + 1), await SumAsync(Tokens));
        }

        journal.AppendMeasured(part with { Meter = Peak, Quantity = 9 });
        journal.AppendSettled(JournalHome.Answer(admitted, call) with { Quantity = 5 });
        await drain.CatchUpAsync();
        Assert.Equal((5, 300, 9), (await SumAsync(1), await SumAsync(Tokens), await SumAsync(Peak)));
        Assert.True(journal.TryAppendCorrected(part with { Meter = 1, Quantity = -5 }));
        await drain.CatchUpAsync();
        Assert.Equal(0, await SumAsync(1));
    }

    [Fact]
    public async Task Parts_of_a_call_whose_process_died_stay_and_the_call_itself_is_unknown()
    {
        Assert.True(journal.TryReserve(1));
        var call = JournalHome.Call(7) with { AdmittedAt = Books.At("2026-01-20T11:59") };
        var admitted = journal.AppendAdmitted(call).Sequence;
        journal.AppendMeasured(new Measure
        {
            AdmissionSequence = admitted, Admission = call, Meter = Tokens, Quantity = 40,
        });
        await drain.CatchUpAsync();
        using var left = home.CopyAsAfterAKill();
        using var again = left.Open();
        using var next = new UsageDrain(again, books.Database, Clocks, EntitlementStore.OfCustomerAsync);
        await next.RecoverAsync();
        Assert.Equal((0, 40), (await SumAsync(1), await SumAsync(Tokens)));
        Assert.Equal(1, await books.ReadAsync(db => db.ExecuteScalarAsync<long>("select sum(unknown) from rollups")));
        journal.AppendSettled(JournalHome.Answer(admitted, call));
    }

    [Fact]
    public async Task An_event_counts_once_however_often_and_late_it_is_sent_again()
    {
        await SubscribeAliceAsync();
        var once = Event(1, Tokens, 10);
        Assert.True(journal.TryAppendEvents([once, once]));
        await drain.CatchUpAsync();
        for (var day = 0; day < 35; day += 7)
        {
            Assert.True(journal.TryAppendEvents(
                [once with { OccurredAt = once.OccurredAt + day }, Event((UInt128)(100 + day), Tokens, 1)]));
            await drain.CatchUpAsync();
            await ReopenAsync();
            business.Advance(TimeSpan.FromDays(7));
        }

        Assert.Equal(10 + 5, await SumAsync(Tokens));
        Assert.Equal(6, await books.ReadAsync(db => db.ExecuteScalarAsync<long>(
            $"select duplicates from {EventIdentities.TableOf(EventIdentities.DayOf(Books.At("2026-01-20")))} where low = 1")));
        business.Advance(TimeSpan.FromDays(2));
        Assert.True(journal.TryAppendEvents([once]));
        await drain.CatchUpAsync();
        // 37 days later its day is forgotten, as a whole
        Assert.Equal(10 + 5 + 10, await SumAsync(Tokens));
        Assert.Equal(5, await books.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from event_days")));
    }

    [Fact]
    public async Task A_batch_that_fails_remembers_no_identity()
    {
        await SubscribeAliceAsync();
        await books.Database.WriteAsync(db => TestDatabase.BreakAsync(db, "rollups"));
        Assert.True(journal.TryAppendEvents([Event(1, Tokens, 10), Event(2, Tokens, 5)]));
        await Assert.ThrowsAnyAsync<Exception>(drain.CatchUpAsync);
        await Assert.ThrowsAnyAsync<Exception>(drain.CatchUpAsync);
        await books.Database.WriteAsync(db => TestDatabase.MendAsync(db, "rollups"));
        await drain.CatchUpAsync();
        await drain.CatchUpAsync();
        Assert.Equal(15, await SumAsync(Tokens));
    }

    [Fact]
    public async Task An_event_of_which_a_dead_process_left_a_part_does_not_count_and_its_retry_does()
    {
        await SubscribeAliceAsync();
        var first = Event(1, Tokens, 10) with { Left = 1 };
        var second = Event(1, Peak, 3) with { IsFirst = false };
        // what stands in the journal when the process dies between the two
        Assert.True(journal.TryAppendEvents([first]));
        await drain.CatchUpAsync();
        Assert.Equal(0, await SumAsync(Tokens));
        await ReopenAsync();
        Assert.True(journal.TryAppendEvents([first, second]));
        await drain.CatchUpAsync();
        Assert.Equal((10, 3), (await SumAsync(Tokens), await SumAsync(Peak)));
    }

    [Fact]
    public async Task Every_aggregation_puts_measurements_together_in_its_own_way()
    {
        await SubscribeAliceAsync();
        long[] values = [4, -9, 12, 12, 5];
        for (var i = 0; i < values.Length; i++)
        {
            var at = Books.At("2026-01-20T10:00") + i * 1_000;
            UInt128 id = (UInt128)(10 * i);
            Assert.True(journal.TryAppendEvents(
            [
                Event(id, Tokens, values[i]) with { OccurredAt = at, Left = 4 },
                Event(id, Peak, values[i]) with { OccurredAt = at, Left = 3, IsFirst = false },
                Event(id, Seats, values[i]) with { OccurredAt = at, Left = 2, IsFirst = false },
                Event(id, Level, values[i]) with { OccurredAt = at, Left = 1, IsFirst = false },
                Event(id, Low, values[i]) with { OccurredAt = at, IsFirst = false },
            ]));
            if (i % 2 == 0) await drain.CatchUpAsync();
        }

        // news of an earlier time does not become the latest
        Assert.True(journal.TryAppendEvents([Event(99, Level, 77) with { OccurredAt = Books.At("2026-01-20T10:00") - 1 }]));
        await drain.CatchUpAsync();
        Assert.Equal((24, 12, 5, -9),
            (await SumAsync(Tokens), await SumAsync(Peak), await LatestAsync(), await SumAsync(Low)));
        Assert.Equal(4, await books.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from unique_values")));
    }

    [Fact]
    public async Task Usage_of_an_unknown_subject_is_kept_and_becomes_its_owners_at_the_time_that_it_was()
    {
        Assert.True(journal.TryAppendEvents(
        [
            Event(1, Tokens, 10),
            Event(2, Tokens, 5) with { OccurredAt = Books.At("2025-12-31T23:59") },
            Event(3, Tokens, 99) with { Subject = 2 },
        ]));
        await drain.CatchUpAsync();
        Assert.Equal(0, await SumAsync(Tokens));
        await SubscribeAliceAsync();
        await drain.CatchUpAsync();
        // the one before the subscription waits on
        Assert.Equal(10, await SumAsync(Tokens));
        Assert.Equal(2, await books.ReadAsync(UnattributedStore.CountAsync));
        var usage = await books.ReadAsync(db => db.QuerySingleAsync<(long Entitlement, long Period, long Bucket)>(
            "select entitlement, period, bucket from rollups where quantity > 0"));
        Assert.Equal((1, 0, Books.At("2026-01-20T10:00")), usage);
    }

    [Fact]
    public async Task A_sum_that_would_overflow_stops_and_the_drain_goes_on()
    {
        await SubscribeAliceAsync();
        Assert.True(journal.TryAppendEvents([Event(1, Tokens, long.MaxValue), Event(2, Tokens, long.MaxValue)]));
        await drain.CatchUpAsync();
        Assert.True(journal.TryAppendEvents([Event(3, Tokens, long.MaxValue), Event(4, Peak, 1)]));
        await drain.CatchUpAsync();
        Assert.Equal((RollupSum.MostQuantity, 1), (await SumAsync(Tokens), await SumAsync(Peak)));
    }

    private Clocks Clocks => new(business, TimeProvider.System);

    private static UsageEvent Event(UInt128 identity, int meter, long quantity) => new()
    {
        Identity = identity,
        OccurredAt = Books.At("2026-01-20T10:00"),
        Subject = 1,
        Meter = meter,
        Quantity = quantity,
        IsFirst = true,
        Left = 0,
    };

    private async Task SubscribeAliceAsync()
    {
        var customer = await books.CustomerAsync("alice", at: Books.At("2026-01-01"));
        await books.SubscribeAsync(customer, await books.PlanAsync("pro", "data per_unit 0.01"), Books.At("2026-01-01"));
        drain.Reattribute();
    }

    private async Task OpenAsync()
    {
        journal = home.Open(new JournalOptions { SegmentBytes = 64 * 1024 });
        drain = new UsageDrain(journal, books.Database, Clocks, EntitlementStore.OfCustomerAsync);
        await drain.RecoverAsync();
    }

    private async Task ReopenAsync()
    {
        drain.Dispose();
        journal.Dispose();
        home.Clock.Advance(TimeSpan.FromHours(1));
        await OpenAsync();
    }

    private Task<long> SumAsync(int meter) => books.ReadAsync(db => db.ExecuteScalarAsync<long>(
        "select coalesce(cast(sum(quantity) as bigint), 0) from rollups where meter = @meter", new { meter }));

    private Task<long> LatestAsync() => books.ReadAsync(db => db.ExecuteScalarAsync<long>(
        "select quantity from rollups where meter = 5 order by latest_at desc limit 1"));
}
