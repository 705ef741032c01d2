using System.Diagnostics;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>Two nodes, each with its own folder and journal, on one PostgreSQL.</summary>
public sealed class TwoNodesTests : IAsyncLifetime
{
    private readonly TempFolder _first = new();
    private readonly TempFolder _second = new();
    private TestUpstream _upstream = null!;
    private TestServer _one = null!;
    private TestServer _other = null!;
    private string _where = "";
    private bool _otherEnded;

    public static bool IsInstalled => PostgresServer.IsInstalled;

    public async ValueTask InitializeAsync()
    {
        if (!IsInstalled) return;
        _where = PostgresServer.Shared.Empty();
        _upstream = await TestUpstream.StartAsync();
        _one = await TestServer.StartAsync(Yaml.Tiers, _upstream, _first, change: o => o with { Database = _where });
        var data = Directory.CreateDirectory(Path.Combine(_second.Path, "data"));
        File.Copy(Path.Combine(_first.Path, "data", "install.key"), Path.Combine(data.FullName, "install.key"));
        _other = await TestServer.StartAsync(Yaml.Tiers, _upstream, _second, change: o => o with { Database = _where });
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task What_one_node_changes_the_other_decides_by()
    {
        var key = await _one.SubscribeAsync("fred", "free");
        await UntilAsync(_other, "/v1/public/data", key, 200);
        await UntilAsync(_other, "/v1/premium/analytics", key, 403);

        // a plan more, by the other way round
        await _other.PostAsync("/v1/subscriptions", new { customer = "fred", plan = "pro", priority = 5 });
        await UntilAsync(_one, "/v1/premium/analytics", key, 200);

        var id = (await _one.GetAsync("/v1/consumers/fred/keys")).GetProperty("data")[0].GetProperty("id").GetString();
        using var revoked = await _one.Admin.DeleteAsync($"/v1/consumers/fred/keys/{id}");
        Assert.True(revoked.IsSuccessStatusCode);
        await UntilAsync(_other, "/v1/public/data", key, 401);
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task What_changed_while_the_feed_was_cut_is_found_when_it_is_back()
    {
        var key = await _one.SubscribeAsync("wilma", "free");
        await UntilAsync(_other, "/v1/public/data", key, 200);
        PostgresServer.Shared.Sql("select pg_terminate_backend(pid) from pg_stat_activity " +
            $"where datname = '{DatabaseName}' and query like 'select kind, subject%' or query like 'listen%'");
        await _one.Node.Database.WriteAsync(db => db.ExecuteAsync("update credentials set revoked_at = 1"));
        await UntilAsync(_other, "/v1/public/data", key, 401);
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Both_nodes_count_into_the_same_sums()
    {
        var key = await _one.SubscribeAsync("barney", "free");
        await UntilAsync(_other, "/v1/public/data", key, 200);
        for (var i = 0; i < 10; i++)
        {
            using var here = await _one.CallAsync("/v1/public/data", key);
            using var there = await _other.CallAsync("/v1/public/data", key);
            Assert.Equal((200, 200), ((int)here.StatusCode, (int)there.StatusCode));
        }

        await _other.Node.Drain.CatchUpAsync();
        Assert.Equal(21, await _one.UsageAsync());
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Billing_time_does_not_pass_a_journal_that_lags_until_it_is_closed()
    {
        var registry = new JournalRegistry(_one.Node.Database, _one.Node.Clocks);
        const long window = 3_600_000_000, now = 10 * window;
        var other = _other.Node.Journal.Id;
        await _one.Node.Database.WriteAsync(db => db.ExecuteAsync(
            "insert into journals (id, position, drained_at, node, complete_to) values (7, 0, 0, 'lost', @at)",
            new { at = 3 * window }));
        var mine = _one.Node.Journal.Id;
        await _other.DisposeAsync(); // an orderly end closes its journal
        _otherEnded = true;
        var (horizon, slowest) = await registry.HorizonAsync(mine, now, TimeSpan.FromHours(1));
        Assert.Equal((4 * window, 7L, "lost"), (horizon, slowest!.Id, slowest.Node));
        await registry.CloseAsync(7);
        Assert.Equal((now, null), await registry.HorizonAsync(mine, now, TimeSpan.FromHours(1)));
        Assert.Equal(1, (await registry.AllAsync()).Single(j => j.Id == other).Closed);
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Nothing_is_invoiced_while_a_registered_journal_lags_behind_the_end_of_the_period()
    {
        await _other.DisposeAsync();
        _otherEnded = true;
        await _one.PostAsync("/v1/plans", new
        {
            name = "paid",
            currency = "USD",
            operations = new[] { "*" },
            prices = new { calls = new { model = "per_unit", meter = "calls", unit_amount = "0.01" } },
        });
        var key = await _one.SubscribeAsync("pebbles", "paid");
        await UntilAsync(_one, "/v1/public/data", key, 200);
        await _one.Node.Database.WriteAsync(db => db.ExecuteAsync(
            "insert into journals (id, position, drained_at, node, complete_to) values (7, 0, 0, 'lost', @at)",
            new { at = Micros.Now(_one.Node.Clocks.Business) }));
        await _one.AdvanceAsync("P40D");
        Assert.Empty((await _one.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray());
        await new JournalRegistry(_one.Node.Database, _one.Node.Clocks).RetireAsync(7);
        await _one.AdvanceAsync("PT1S");
        Assert.Single((await _one.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray());
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_node_with_another_install_key_is_refused()
    {
        var refused = await Assert.ThrowsAsync<StartupException>(
            () => TestServer.StartAsync(Yaml.Tiers, _upstream, change: o => o with { Database = _where }));
        Assert.Contains("install.key", refused.Message, StringComparison.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        if (!IsInstalled) return;
        await _one.DisposeAsync();
        if (!_otherEnded) await _other.DisposeAsync();
        await _upstream.DisposeAsync();
        _first.Dispose();
        _second.Dispose();
    }

    private string DatabaseName => _where.Split("Database=")[1].Split(';')[0];

    /// <summary>Waits until a call is answered so; fails after ten seconds. How soon it is, the bench measures.</summary>
    private static async Task UntilAsync(TestServer node, string path, string key, int status)
    {
        var clock = Stopwatch.StartNew();
        while (true)
        {
            using var answer = await node.CallAsync(path, key);
            if ((int)answer.StatusCode == status) return;
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"{(int)answer.StatusCode} instead of {status}");
        }
    }
}
