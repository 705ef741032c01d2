using System.Net;
using System.Net.Http.Json;
using Dapper;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>What a subscription may be started on, whichever side starts it.</summary>
public sealed class SubscriptionRuleTests
{
    private static readonly object s_fee = new { b = new { model = "flat", amount = "49.00", every = "month" } };

    [Theory]
    [InlineData("9999-12-31T00:00:00Z", "from 2000 until before 2200")]
    [InlineData("2200-01-01T00:00:00Z", "from 2000 until before 2200")]
    [InlineData("1926-01-01T00:00:00Z", "from 2000 until before 2200")]
    [InlineData("0000-01-01T00:00:00Z", "from 2000 until before 2200")]
    [InlineData("2023-01-10T11:59:59Z", "more than 36 months back")]
    public async Task A_start_out_of_bounds_is_refused_with_the_bound(string start, string bound)
    {
        await using var server = await StartAsync();
        using var answer = await server.Admin.PostAsJsonAsync(
            "/v1/subscriptions", new { customer = "acme", plan = "g", start_at = start });
        var text = await answer.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("start_at", text);
        Assert.Contains(bound, text);
    }

    [Theory]
    [InlineData("2023-01-10T12:00:00Z")]
    [InlineData("2199-12-31T23:59:59Z")]
    public async Task A_start_just_within_the_bounds_is_taken_and_billing_goes_on(string start)
    {
        await using var server = await StartAsync();
        await server.PostAsync("/v1/plans/g/versions", new { prices = s_fee });
        await server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "g", start_at = start });
        await server.AdvanceAsync("PT1S");
        var issued = await server.Node.Database.ReadAsync(
            db => db.ExecuteScalarAsync<long>("select count(*) from invoices"));
        Assert.Equal(start.StartsWith("2023", StringComparison.Ordinal) ? 36 : 0, issued);
    }

    [Theory]
    // the day of the instant is one later in Tokyo, and one earlier in Honolulu
    [InlineData("Asia/Tokyo", null, "2026-01-16")]
    [InlineData("Pacific/Honolulu", null, "2026-01-15")]
    [InlineData("Pacific/Honolulu", "Asia/Tokyo", "2026-01-16")]
    public async Task An_anchor_given_as_an_instant_is_the_day_that_it_falls_on_where_the_subscription_is_billed(
        string customers, string? own, string anchor)
    {
        await using var server = await StartAsync();
        await server.PostAsync("/v1/customers", new { name = "far", timezone = customers });
        var started = await server.PostAsync(
            "/v1/subscriptions", new { customer = "far", plan = "g", timezone = own, anchor = "2026-01-15T20:00:00Z" });
        Assert.Equal(anchor, started.GetProperty("anchor").GetString());
    }

    [Theory]
    // Berlin's clocks go forward on 29 March, so this day has 23 hours
    [InlineData("Europe/Berlin", "2026-03-28T11:00:00Z", 1, "2026-03-29T10:00:00Z")]
    [InlineData("Europe/Berlin", "2026-10-24T10:00:00Z", 14, "2026-11-07T11:00:00Z")]
    // at a quarter to six behind UTC nothing is different
    [InlineData("Asia/Kathmandu", "2026-03-01T18:15:00Z", 30, "2026-03-31T18:15:00Z")]
    public async Task Days_of_a_trial_are_local_ones_and_it_ends_at_the_hour_of_the_start(
        string zone, string start, int days, string end)
    {
        await using var server = await StartAsync();
        await server.PostAsync("/v1/customers", new { name = "far", timezone = zone });
        var started = await server.PostAsync(
            "/v1/subscriptions", new { customer = "far", plan = "g", start_at = start, trial_days = days });
        Assert.Equal(end, started.GetProperty("trial_end").GetString());
        using var over = await server.Admin.PostAsJsonAsync("/v1/subscriptions",
            new { customer = "acme", plan = "g", start_at = start, trial_days = days, end_at = end, timezone = zone });
        Assert.Contains("trial_days", await over.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task A_subscription_made_while_prices_are_published_starts_on_the_new_version()
    {
        await using var server = await StartAsync();
        var gate = new TaskCompletionSource();
        var hold = server.Node.Database.WriteAsync(async _ => { await gate.Task; });
        var publish = server.PostAsync("/v1/plans/g/versions", new { migrate = "now", prices = s_fee });
        await Task.Delay(200, TestContext.Current.CancellationToken);
        var subscribe = server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "g" });
        await Task.Delay(200, TestContext.Current.CancellationToken);
        gate.SetResult();
        await Task.WhenAll(hold, publish, subscribe);
        Assert.Equal(2, await server.Node.Database.ReadAsync(
            db => db.ExecuteScalarAsync<long>("select plan_version from entitlements")));
    }

    [Fact]
    public async Task A_consumer_cannot_join_a_group_whose_prices_are_in_another_currency()
    {
        await using var server = await StartAsync();
        await server.PostAsync("/v1/plans/g/versions", new { prices = s_fee });
        await server.PostAsync("/v1/customers", new { name = "eu", currency = "EUR" });
        await server.PostAsync("/v1/consumers", new { username = "euapp", customer = "eu" });
        foreach (var (path, body, field) in new (string, object, string)[]
        {
            ("/consumer_groups/g/consumers", new { consumer = "euapp" }, "consumer"),
            ("/consumers/euapp/consumer_groups", new { group = "g" }, "group"),
        })
        {
            using var answer = await server.Admin.PostAsJsonAsync(path, body);
            var text = await answer.Content.ReadAsStringAsync();
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            Assert.Contains($"schema violation ({field}: The plan's prices are in USD, the customer pays in EUR.)", text);
        }
    }

    [Fact]
    public async Task A_refused_join_leaves_no_customer_behind()
    {
        await using var server = await StartAsync();
        await server.PostAsync("/v1/plans/g/versions", new { currency = "EUR", prices = s_fee });
        await server.PostAsync("/consumers", new { username = "fred" });
        using var answer = await server.Admin.PostAsJsonAsync("/consumer_groups/g/consumers", new { consumer = "fred" });
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal(1, await server.Node.Database.ReadAsync(
            db => db.ExecuteScalarAsync<long>("select count(*) from customers")));
    }

    [Fact]
    public async Task A_plan_without_prices_is_open_to_every_currency()
    {
        await using var server = await StartAsync();
        await server.PostAsync("/v1/customers", new { name = "eu", currency = "EUR" });
        await server.PostAsync("/v1/subscriptions", new { customer = "eu", plan = "g" });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_in_another_currency_than_its_running_subscribers_pay_is_refused_and_changes_nothing(bool now)
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        await using (var server = await TestServer.StartAsync(Yaml.Rates, upstream, folder))
            await server.SubscribeAsync("fred", "metered");
        var euros = Yaml.Rates.Replace("USD", "EUR", StringComparison.Ordinal);
        if (now)
            euros = euros.Replace(
                "    operations: [\"*\"]", "    migrate: now\n    operations: [\"*\"]", StringComparison.Ordinal);
        var refused = await Assert.ThrowsAsync<StartupException>(
            () => TestServer.StartAsync(euros, upstream, folder));
        Assert.Contains("plans.metered", refused.Message);
        Assert.Contains("EUR", refused.Message);
        await using var again = await TestServer.StartAsync(null, upstream, folder);
        Assert.Equal(["USD"], await again.Node.Database.ReadAsync(
            db => db.QueryAsync<string>("select currency from plan_versions")));
    }

    [Fact]
    public async Task A_file_may_change_its_currency_while_nobody_runs_on_its_plans()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        await using (await TestServer.StartAsync(Yaml.Rates, upstream, folder))
        {
        }

        var euros = Yaml.Rates.Replace("USD", "EUR", StringComparison.Ordinal);
        await using var server = await TestServer.StartAsync(euros, upstream, folder);
    }

    private static async Task<TestServer> StartAsync()
    {
        var server = await TestServer.StartAsync();
        await server.PostAsync("/consumer_groups", new { name = "g" });
        await server.PostAsync("/v1/customers", new { name = "acme" });
        return server;
    }
}
