using CsCheck;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Tests.Billing;

namespace Tollgate.Tests.Metering;

public sealed class UsageStoreTests
{
    [Fact]
    public async Task Usage_of_an_entitlement_is_what_was_stamped_whenever_it_happened()
    {
        await using var books = new Books();
        await RollUpAsync(books, "(1, 0, 1, 1, 1, 1, 0, 5, 4, 1), (1, 0, 2, 1, 1, 2, 900000000, 5, 5, 0), " +
            "(1, 1, 1, 1, 1, 1, 0, 9, 9, 0), (2, 0, 1, 1, 1, 1, 0, 9, 9, 0), (1, 0, 1, 2, 1, 1, 0, 9, 9, 0), " +
            "(1, 0, 1, 1, 2, 1, 0, 2, 2, 0), (1, 0, 1, 1, 99, 1, 0, 1, 1, 0)");
        var usage = await books.ReadAsync(db => UsageStore.OfEntitlementAsync(db, 1, 0));
        Assert.Equal(
        [
            new OperationUsage("market", "data", "/v1/data", 10, 9, 1),
            new OperationUsage("", "operation 99", "operation 99", 1, 1, 0),
            new OperationUsage("market", "quote", "/v1/quote", 2, 2, 0),
        ], usage);
        Assert.Empty(await books.ReadAsync(db => UsageStore.OfEntitlementAsync(db, 1, 7)));
    }

    [Fact]
    public async Task Sums_are_split_by_what_is_asked_for()
    {
        await using var books = new Books();
        await FillAsync(books);
        Assert.Equal([new UsageRow(15, 16)], await AskAsync(books, new UsageQuery()));
        Assert.Equal([("alice", 12m), ("bob", 2m), (null, 1m)],
            (await AskAsync(books, new UsageQuery { GroupBy = UsageGroups.Consumer }))
            .Select(r => (r.Consumer, r.Value)).OrderByDescending(r => r.Value));
        Assert.Equal([(null, 1m), ("acme", 14m)],
            (await AskAsync(books, new UsageQuery { GroupBy = UsageGroups.Customer }))
            .Select(r => (r.Customer, r.Value)));
        Assert.Equal([("market", "data", "/v1/data", 1, 11m), ("market", "quote", "/v1/quote", 2, 4m)],
            (await AskAsync(books, new UsageQuery { GroupBy = UsageGroups.Operation | UsageGroups.Method }))
            .Select(r => (r.Api, r.Operation, r.Endpoint, r.Method!.Value, r.Value)));
    }

    [Fact]
    public async Task Conditions_hold_at_once_and_times_are_half_open()
    {
        await using var books = new Books();
        await FillAsync(books);
        Assert.Equal(14, (await AskAsync(books, new UsageQuery { CustomerKey = 1 })).Single().Value);
        Assert.Equal(2, (await AskAsync(books, new UsageQuery { ConsumerKey = 2 })).Single().Value);
        Assert.Equal(4, (await AskAsync(books, new UsageQuery { Operation = "quote" })).Single().Value);
        Assert.Empty(await AskAsync(books, new UsageQuery { Operation = "quote", ConsumerKey = 7 }));
        var first = new UsageQuery { From = Books.At("2026-01-31T23:45"), To = Books.At("2026-02-01") };
        Assert.Equal(10, (await AskAsync(books, first)).Single().Value);
    }

    [Theory]
    [InlineData("UTC", UsageWindow.Month, "2026-01-01 10, 2026-02-01 5")]
    [InlineData("Asia/Tokyo", UsageWindow.Month, "2026-02-01 15")]
    [InlineData("UTC", UsageWindow.Day, "2026-01-31 10, 2026-02-01 4, 2026-02-02 1")]
    [InlineData("Asia/Kathmandu", UsageWindow.Day, "2026-02-01 14, 2026-02-02 1")]
    [InlineData("UTC", UsageWindow.Hour, "2026-01-31 10, 2026-02-01 4, 2026-02-02 1")]
    public async Task Windows_are_those_of_local_time(string zone, UsageWindow window, string expected)
    {
        await using var books = new Books();
        await FillAsync(books);
        var rows = await AskAsync(books, new UsageQuery { Window = window, Timezone = zone });
        Assert.Equal(expected, string.Join(", ", rows.Select(r =>
            Micros.ToInstant(r.WindowStart!.Value).InZone(DateTimeZoneProviders.Tzdb[zone])
                .Date.ToString("uuuu-MM-dd", null) + " " + r.Value)));
    }

    [Fact]
    public async Task The_first_and_the_last_window_are_cut_at_the_times_asked_for()
    {
        await using var books = new Books();
        await FillAsync(books);
        var (from, to) = (Books.At("2026-01-31T23:45"), Books.At("2026-02-01T00:15"));
        var rows = await AskAsync(books, new UsageQuery { From = from, To = to, Window = UsageWindow.Day });
        Assert.Equal([(from, Books.At("2026-02-01"), 10m), (Books.At("2026-02-01"), to, 4m)],
            rows.Select(r => (r.WindowStart!.Value, r.WindowEnd!.Value, r.Value)));
    }

    [Fact]
    public async Task What_cannot_be_answered_is_refused_all_at_once()
    {
        await using var books = new Books();
        var query = new UsageQuery { Meter = "tokens", From = 1, To = 0, Timezone = "Mars" };
        var answer = await books.ReadAsync(db => UsageStore.QueryAsync(db, query));
        Assert.Equal(["meter_unknown", "not_on_boundary", "range_empty", "timezone_unknown"],
            answer.Problems.Select(p => p.Code));
    }

    [Fact]
    public void Windows_hold_their_instant_and_touch()
    {
        string[] zones = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"];
        Gen.Select(Gen.Enum<UsageWindow>(), Gen.OneOf(zones), Gen.Long[1_500_000_000, 1_900_000_000]).Sample(
            (length, zone, seconds) =>
            {
                var windows = new UsageWindows(length, DateTimeZoneProviders.Tzdb[zone]);
                var at = seconds * Micros.PerSecond;
                var (start, end) = windows.At(at);
                Assert.InRange(at, start, end - 1);
                Assert.Equal((start, end), windows.At(end - 1));
                Assert.Equal((start, end), windows.At(start));
                Assert.Equal(end, windows.At(end).Start);
            });
    }

    /// <summary>15 billable calls around a change of month: 10 and 4 on either side of midnight UTC, 1 of nobody.
    /// </summary>
    private static async Task FillAsync(Books books)
    {
        var customer = await books.CustomerAsync("acme");
        var plan = await books.PlanAsync("pro", "");
        await books.SubscribeAsync(customer, plan, Books.At("2026-01-01"));
        await books.SqlAsync("insert into consumers (key, id, username, managed_by, created_at) values " +
            "(1, 'con_1', 'alice', 'api', 0), (2, 'con_2', 'bob', 'api', 0)");
        var (before, after) = (Books.At("2026-01-31T23:45"), Books.At("2026-02-01"));
        await RollUpAsync(books, $"(1, 0, 1, 1, 1, 1, {before}, 11, 10, 1), (1, 1, 1, 1, 2, 2, {after}, 2, 2, 0), " +
            $"(1, 1, 2, 1, 2, 2, {after}, 2, 2, 0), (0, 0, 0, 1, 1, 1, {Books.At("2026-02-02")}, 1, 1, 0)");
    }

    private static async Task RollUpAsync(Books books, string rows)
    {
        await books.SqlAsync("insert into operation_keys values (1, 'market', 'data', '/v1/data'), " +
            "(2, 'market', 'quote', '/v1/quote')");
        await books.SqlAsync("insert into rollups (entitlement, period, consumer, meter, operation, " +
            $"method, bucket, admitted, quantity, unknown) values {rows}");
    }

    private static async Task<IReadOnlyList<UsageRow>> AskAsync(Books books, UsageQuery query) =>
        (await books.ReadAsync(db => UsageStore.QueryAsync(db, query))).Value;
}
