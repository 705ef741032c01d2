using Dapper;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Billing;

namespace Tollgate.Tests.Metering;

/// <summary>Events are known again without a table in memory of all that ever came.</summary>
public sealed class EventFilterTests : IAsyncLifetime
{
    private static readonly DateTimeOffset s_noon = new(2026, 1, 20, 12, 0, 0, TimeSpan.Zero);

    private readonly Books books = new();
    private readonly JournalHome home = new();
    private readonly FakeTimeProvider business = new(s_noon);
    private UsageJournal journal = null!;
    private UsageDrain drain = null!;

    public async ValueTask InitializeAsync()
    {
        await books.SqlAsync("insert into meter_keys (key, name, aggregation, scale) values (2, 'tokens', 'sum', 0)");
        await books.SqlAsync("insert into event_subjects (key, subject) values (1, 'alice')");
        journal = home.Open(new JournalOptions { SegmentBytes = 64 * 1024 });
        var customer = await books.CustomerAsync("alice", at: Books.At("2026-01-01"));
        await books.SubscribeAsync(customer, await books.PlanAsync("pro", "data per_unit 0.01"), Books.At("2026-01-01"));
        await OpenAsync(business);
    }

    public async ValueTask DisposeAsync()
    {
        drain.Dispose();
        journal.Dispose();
        home.Dispose();
        await books.DisposeAsync();
    }

    [Fact]
    public async Task Days_that_are_over_get_a_filter_and_what_they_counted_is_still_known()
    {
        for (var day = 0; day < 6; day++)
        {
            await SendAsync(day);
            await drain.SealEventsAsync(CancellationToken.None);
            business.Advance(TimeSpan.FromDays(1));
        }

        Assert.Equal(4, await SealedAsync());
        for (var day = 0; day < 6; day++) await SendAsync(day);
        Assert.Equal(6, await SumAsync());
        // so does a process that begins with what stands in the store
        await OpenAsync(business);
        for (var day = 0; day < 7; day++) await SendAsync(day);
        Assert.Equal(7, await SumAsync());
        business.Advance(TimeSpan.FromDays(40));
        await SendAsync(100);
        Assert.Equal(0, await SealedAsync());
    }

    [Fact]
    public async Task A_clock_that_jumped_back_to_a_day_that_is_over_writes_to_another_part_of_it()
    {
        await SendAsync(0);
        business.Advance(TimeSpan.FromDays(5));
        await SendAsync(1);
        await drain.SealEventsAsync(CancellationToken.None);
        Assert.Equal(1, await SealedAsync());
        await OpenAsync(new FakeTimeProvider(s_noon));
        await SendAsync(2);
        await OpenAsync(business);
        await SendAsync(2);
        Assert.Equal(3, await SumAsync());
        await drain.SealEventsAsync(CancellationToken.None);
        await SendAsync(2);
        Assert.Equal((3, 2), (await SumAsync(), await SealedAsync()));
    }

    [Fact]
    public async Task A_filter_that_forgot_an_event_is_named()
    {
        await SendAsync(0);
        business.Advance(TimeSpan.FromDays(5));
        await drain.SealEventsAsync(CancellationToken.None);
        var day = EventIdentities.DayOf(Books.At("2026-01-20"));
        Assert.Null(await books.ReadAsync(db => EventFilters.FaultAsync(db, day)));
        await books.Database.WriteAsync(db => db.ExecuteAsync("update event_filters set bits = @none", new { none = new byte[64] }));
        var fault = await books.ReadAsync(db => EventFilters.FaultAsync(db, day));
        Assert.Contains("does not know 1 identities", fault, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 64)]
    [InlineData(1_000, 2_048)]
    [InlineData(2_000_000, 4_000_000)]
    [InlineData(100_000_000, IdentityFilter.MostBytes)]
    [InlineData(long.MaxValue / 16, IdentityFilter.MostBytes)]
    public void A_filter_is_as_large_as_its_day_needs_and_never_larger_than_its_bound(long count, int bytes) =>
        Assert.Equal(bytes, IdentityFilter.Of(count).Bits.Length);

    [Fact]
    public void A_filter_knows_each_of_its_identities_and_few_others()
    {
        const int count = 20_000;
        var filter = IdentityFilter.Of(count);
        for (var i = 0; i < count; i++) filter.Add(Hash(i));
        Assert.All(Enumerable.Range(0, count), i => Assert.True(filter.MayContain(Hash(i))));
        Assert.InRange(Enumerable.Range(count, count).Count(i => filter.MayContain(Hash(i))), 0, count / 200);
    }

    private static UInt128 Hash(int i) => EventHash.Identity("test", $"{i}");

    private async Task OpenAsync(TimeProvider clock)
    {
        drain?.Dispose();
        drain = new UsageDrain(journal, books.Database, new Clocks(clock, TimeProvider.System), EntitlementStore.OfCustomerAsync);
        await drain.RecoverAsync();
    }

    private async Task SendAsync(int event_)
    {
        Assert.True(journal.TryAppendEvents([new UsageEvent
        {
            Identity = Hash(event_), OccurredAt = Books.At("2026-01-20T10:00"), Subject = 1, Meter = 2, Quantity = 1,
            IsFirst = true, Left = 0,
        }]));
        await drain.CatchUpAsync();
    }

    private Task<long> SumAsync() => books.ReadAsync(db => db.ExecuteScalarAsync<long>(
        "select coalesce(cast(sum(quantity) as bigint), 0) from rollups where meter = 2"));

    private Task<long> SealedAsync() => books.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from event_filters"));
}
