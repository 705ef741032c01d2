using CsCheck;
using Dapper;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Billing;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Metering;

/// <summary>Which events were counted before, in parts so small that a day has many.</summary>
public sealed class EventIdentitiesTests : IAsyncDisposable
{
    private const int Today = 20_000, RowsOfPart = 10;

    private readonly Books books = new();
    private ulong sequence;

    public ValueTask DisposeAsync() => books.DisposeAsync();

    [Fact]
    public async Task A_day_with_more_than_a_part_holds_goes_on_in_another_and_knows_all_of_them()
    {
        var identities = new EventIdentities(seals: false, RowsOfPart);
        for (var i = 0; i < 60; i += 6) Assert.Equal(6, (await TakeAsync(identities, Today, i, 6)).Count);
        var parts = await PartsAsync();
        Assert.Equal([20_000, 4_020_000, 8_020_000, 12_020_000, 16_020_000], parts.Select(p => p.Number));
        Assert.Equal([12, 12, 12, 12, -1], parts.Select(p => p.Filtered));
        Assert.All(parts, part => Assert.Equal(12, part.Identities));
        Assert.All(parts, part => Assert.Equal(Today, part.Day));
        // so does a process that begins with what stands in the store
        foreach (var again in (EventIdentities[])[identities, new EventIdentities(seals: false, RowsOfPart)])
            for (var i = 0; i < 60; i += 20) Assert.Empty(await TakeAsync(again, Today + 1, i, 20));
        Assert.Equal(120, await books.ReadAsync(async db =>
        {
            var sum = 0L;
            foreach (var part in parts)
                sum += await db.ExecuteScalarAsync<long>(
                    $"select cast(sum(duplicates) as bigint) from {EventIdentities.TableOf(part.Number)}");
            return sum;
        }));
    }

    [Fact]
    public async Task All_parts_of_a_day_are_dropped_when_it_is_over_for_long()
    {
        var identities = new EventIdentities(seals: false, RowsOfPart);
        for (var i = 0; i < 40; i += 10) await TakeAsync(identities, Today, i, 10);
        Assert.Equal(10, (await TakeAsync(identities, Today + EventIdentities.KeepDays + 1, 0, 10)).Count);
        Assert.Equal([Today + EventIdentities.KeepDays + 1], (await PartsAsync()).Select(p => p.Number));
        Assert.Equal(0, await books.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from event_filters")));
    }

    [Fact]
    public void A_very_large_day_has_few_parts()
    {
        var (parts, rows) = (0, 0L);
        for (var part = 0L; rows < 10_000_000_000; rows += part, parts++) part = EventPart.RowsOf(rows, EventPart.Rows);
        Assert.InRange(parts, 10, 60);
    }

    [Fact]
    public async Task Whatever_comes_again_on_whatever_day_counts_once()
    {
        var batch = Gen.Select(Gen.Int[0, 80].List[1, 25], Gen.Int[0, 4]);
        await batch.List[1, 30].SampleAsync(async batches =>
        {
            await using var store = new Books();
            var identities = new EventIdentities(seals: false, RowsOfPart);
            var seen = new HashSet<int>();
            foreach (var (ids, day) in batches)
            {
                var groups = ids.ConvertAll(i => new EventGroup(Hash(i), ++sequence, 0, 1));
                var fresh = await store.Database.WriteAsync(Turn.OfJournal(1),
                    db => identities.TakeAsync(db, 1, Today + day, groups));
                Assert.Equal([.. ids.Where(seen.Add).Select(Hash).Order()], fresh.Select(f => f.Identity).Order().ToArray());
            }
        }, iter: 10, threads: 2);
    }

    [Fact]
    public async Task One_event_that_two_nodes_drain_on_two_days_at_once_counts_once()
    {
        var (taken, goOn) = (new TaskCompletionSource(), new TaskCompletionSource());
        var first = books.Database.WriteAsync(Turn.OfJournal(1), async db =>
        {
            var fresh = await new EventIdentities(seals: false).TakeAsync(db, 1, Today, [Group(7)]);
            taken.SetResult();
            await goOn.Task;
            return fresh.Count;
        });
        await Task.WhenAny(taken.Task, first);
        var second = books.Database.WriteAsync(Turn.OfJournal(2), async db =>
            (await new EventIdentities(seals: false).TakeAsync(db, 2, Today + 1, [Group(7)])).Count);
        // the embedded store has one writer; a server lets the second go on until it waits for the first, or does not
        while (TestDatabase.OnPostgres && !second.IsCompleted && await WaitingAsync() == 0) await Task.Yield();
        goOn.SetResult();
        Assert.Equal((1, 0), (await first, await second));
    }

    private static UInt128 Hash(int i) => EventHash.Identity("test", $"{i}");

    private EventGroup Group(int i) => new(Hash(i), ++sequence, 0, 1);

    private Task<List<EventGroup>> TakeAsync(EventIdentities identities, int day, int first, int count) =>
        books.Database.WriteAsync(Turn.OfJournal(1), db => identities.TakeAsync(
            db, 1, day, Enumerable.Range(first, count).Select(Group).ToList()));

    private async Task<EventPart[]> PartsAsync() =>
        [.. (await books.ReadAsync(db => new EventFilters().PartsAsync(db))).OrderBy(p => p.Number)];

    private Task<long> WaitingAsync() => books.ReadAsync(db => db.ExecuteScalarAsync<long>(
        "select count(*) from pg_locks where locktype = 'advisory' and not granted " +
        "and database = (select oid from pg_database where datname = current_database())"));
}
