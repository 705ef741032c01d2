using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;
using Tollgate.Tests.Billing;

namespace Tollgate.Tests.Config;

/// <summary>What a meter's name once stood for it stands for until the end.</summary>
public sealed class MeterKeysTests
{
    [Fact]
    public async Task A_meter_keeps_its_key_when_it_leaves_the_file_and_comes_back()
    {
        await using var books = new Books();
        var publisher = new Publisher(books.Database, new ChangeFeed());
        Assert.True((await ApplyAsync(books, "tokens: { aggregation: sum, value: response.header }")).Ok);
        await publisher.RepublishAsync();
        var first = publisher.Current.FindMeter("tokens")!.Meter;
        Assert.Equal(new Meter(2, "tokens", Aggregation.Sum, 0), first);
        Assert.True((await ApplyAsync(books, "bytes: { aggregation: sum, value: response.bytes }")).Ok);
        await publisher.RepublishAsync();
        Assert.Equal([("calls", 1), ("bytes", 3)], publisher.Current.Meters.Select(m => (m.Name, m.Meter.Key)));
        Assert.True((await ApplyAsync(books, "tokens: { aggregation: sum, value: response.body $.n }")).Ok);
        await publisher.RepublishAsync();
        Assert.Equal(first, publisher.Current.FindMeter("tokens")!.Meter);
        Assert.Equal(Meter.Calls, publisher.Current.Meters[0].Meter);
    }

    [Theory]
    [InlineData("tokens: { aggregation: max, value: response.header }")]
    [InlineData("tokens: { aggregation: sum, value: response.header, scale: 1 }")]
    public async Task A_meter_that_would_mean_something_else_is_refused_and_nothing_is_applied(string changed)
    {
        await using var books = new Books();
        Assert.True((await ApplyAsync(books, "tokens: { aggregation: sum, value: response.header }")).Ok);
        await new Publisher(books.Database, new ChangeFeed()).RepublishAsync();
        var refused = await ApplyAsync(books, $"{changed}\n  other: {{ aggregation: count }}");
        var problem = Assert.Single(refused.Problems);
        Assert.Equal(("meter_changed", "meters.tokens"), (problem.Code, problem.Field));
        Assert.Equal(1, await books.ReadAsync(db =>
            db.ExecuteScalarAsync<long>("select count(*) from config_objects where kind = 'meter'")));
    }

    [Theory]
    [InlineData("$", "")]
    [InlineData("$.usage.total_tokens", "usage|total_tokens")]
    [InlineData("$['a name'][12].x-y", "a name|#12|x-y")]
    [InlineData("$[\"a.b\"]", "a.b")]
    public void A_path_names_one_place(string text, string steps) => Assert.Equal(steps,
        string.Join('|', JsonPath.Parse(text).Path!.Steps.Select(s => s.Name ?? $"#{s.Index}")));

    [Theory]
    [InlineData("")]
    [InlineData("usage")]
    [InlineData("$.")]
    [InlineData("$..a")]
    [InlineData("$.*")]
    [InlineData("$[*]")]
    [InlineData("$[-1]")]
    [InlineData("$[99999999999]")]
    [InlineData("$[0:2]")]
    [InlineData("$[?(@.a)]")]
    [InlineData("$['a'")]
    [InlineData("$['']")]
    [InlineData("$['a\\'b']")]
    [InlineData("$.a b")]
    [InlineData("$a")]
    public void What_names_no_place_or_several_is_refused(string text) => Assert.NotNull(JsonPath.Parse(text).Wrong);

    private static Task<Result<AppliedFile>> ApplyAsync(Books books, string meters)
    {
        var file = ConfigFileReader.Read($"version: 1\ncurrency: USD\nmeters:\n  {meters}\n", "f");
        return new FileApply(books.Database, new ConfigStore(books.Database, TimeProvider.System), TimeProvider.System)
            .ApplyAsync(file.Value);
    }
}
