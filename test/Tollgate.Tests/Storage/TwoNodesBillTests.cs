using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>Two nodes on one PostgreSQL that issue the same invoices at the same time: by hand, and by their runs.</summary>
public sealed class TwoNodesBillTests
{
    private const int Customers = 6;

    public static bool IsInstalled => PostgresServer.IsInstalled;

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task What_both_nodes_finalize_and_both_runs_issue_at_once_has_one_number_each_and_no_gap()
    {
        using var first = new TempFolder();
        using var second = new TempFolder();
        var where = PostgresServer.Shared.Empty();
        await using var upstream = await TestUpstream.StartAsync();
        await using var here = await TestServer.StartAsync(
            Yaml.Rates, upstream, first, change: o => o with { Database = where });
        Directory.CreateDirectory(Path.Combine(second.Path, "data"));
        File.Copy(Path.Combine(first.Path, "data", "install.key"), Path.Combine(second.Path, "data", "install.key"));
        await using var there = await TestServer.StartAsync(
            Yaml.Rates, upstream, second, change: o => o with { Database = where });
        TestServer[] nodes = [here, there];
        for (var i = 0; i < Customers; i++)
        {
            var key = await here.SubscribeAsync("c" + i, "metered");
            Assert.Equal(3, await here.PassAsync("/api/v1/data", key, 3));
        }

        // the month is over: of half of them the draft is finalized, at both nodes at once and several times
        foreach (var node in nodes) await node.PostAsync("/v1/test_clock", new { now = "2026-02-01T00:10:00Z" });
        var drafts = (await here.GetAsync("/v1/invoices?status=draft")).GetProperty("data").EnumerateArray()
            .Select(d => d.GetProperty("id").GetString()!).ToArray();
        Assert.Equal(Customers, drafts.Length);
        var answers = await Task.WhenAll(drafts.Take(Customers / 2).SelectMany(id => nodes.SelectMany(n => Enumerable.Repeat(n, 3)
            .Select(async node =>
            {
                using var answer = await node.Admin.PostAsJsonAsync($"/v1/invoices/{id}/finalize", new { force = true });
                var text = await answer.Content.ReadAsStringAsync();
                Assert.True(answer.IsSuccessStatusCode, text);
                return (Id: id, Number: JsonDocument.Parse(text).RootElement.GetProperty("number").GetString());
            }))));
        Assert.All(answers.GroupBy(a => a.Id), of => Assert.Single(of.Select(a => a.Number).Distinct()));

        // the others are issued by the runs, both at once
        await Task.WhenAll(nodes.Select(n => n.PostAsync("/v1/test_clock", new { now = "2026-02-01T01:10:00Z" })));
        await Task.WhenAll(nodes.Select(n => n.AdvanceAsync("PT1M")));
        var numbers = await here.Node.Database.ReadAsync(async db =>
            (await db.QueryAsync<string>("select number from invoices order by number")).ToArray());
        Assert.Equal(Enumerable.Range(1, Customers).Select(n => $"2026-{n:000000}"), numbers);
        Assert.Empty(await here.Node.Database.ReadAsync(async db => (await db.QueryAsync<string>(
            "select entry from postings group by entry having sum(amount) <> 0 or count(*) <> 2")).ToArray()));
    }
}
