using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>A version that cannot be published is told all that is wrong with it, and nothing of it is published.</summary>
public sealed class PlanVersionFaultTests
{
    private static readonly object s_monthly = new
    {
        calls = new { model = "per_unit", meter = "calls", unit_amount = "0.01", included = "from quota" },
    };

    private static readonly object s_volume = new
    {
        calls = new { model = "volume", meter = "calls", tiers = new object[] { new { unit_amount = "0.01" } } },
    };

    [Fact]
    public async Task All_that_is_wrong_is_told_at_once()
    {
        await using var server = await GroupAsync("pro", "fred");
        var (status, faults) = await PublishAsync(server, new
        {
            prices = new
            {
                a = new { model = "per_unit", meter = "calls" },
                b = new { model = "nonsense" },
                c = new { model = "per_unit", meter = "calls", unit_amount = "-1" },
            },
            quotas = new object[]
            {
                new { meter = "calls", allowance = -1, per = "month" },
                new { name = "x", meter = "gone", allowance = 1, per = "fortnight" },
            },
            terms = new { trial = "soon", features = 7 },
            currency = "XXXX",
            more = 1,
        });
        Assert.Equal(400, status);
        foreach (var field in new[] { "prices.a", "prices.b", "prices.c", "quotas[0].allowance", "quotas[1].meter", "quotas[1].per",
            "terms.trial", "terms.features", "currency", "migrate", "more" })
            Assert.Contains(faults, f => f.Field.StartsWith(field, StringComparison.Ordinal));
        Assert.Equal(1, (await server.GetAsync("/v1/plans/pro")).GetProperty("version").GetInt32());
    }

    [Fact]
    public async Task What_prices_and_quotas_mean_together_is_told_beside_what_is_wrong_with_the_request()
    {
        await using var server = await GroupAsync("pro", "fred");
        var (_, faults) = await PublishAsync(server, new { prices = s_monthly, currency = "EUR", migrate = "soon" });
        Assert.Equal(["bad_value migrate", "no_quota prices.calls.included"],
            faults.Select(f => $"{f.Code} {f.Field}").Order(StringComparer.Ordinal));
        (_, faults) = await PublishAsync(server, new { prices = s_monthly, currency = "EUR", migrate = "now" });
        Assert.Equal(["currency_differs currency", "no_quota prices.calls.included"],
            faults.Select(f => $"{f.Code} {f.Field}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_subscription_of_another_interval_does_not_move_and_it_is_said_which_and_what_to_do()
    {
        await using var server = await GroupAsync("pro", "fred");
        await server.PostAsync("/v1/customers", new { name = "acme", currency = "USD" });
        var yearly = (await server.PostAsync("/v1/subscriptions", new { customer = "acme", plan = "pro", interval = "year" }))
            .GetProperty("id").GetString()!;
        var quota = new { meter = "calls", allowance = 10, per = "month" };
        var version = new { prices = s_monthly, quotas = new[] { quota }, migrate = "now" };
        var (status, faults) = await PublishAsync(server, version);
        Assert.Equal(400, status);
        var fault = Assert.Single(faults);
        Assert.Equal(("quota_period_differs", "migrate"), (fault.Code, fault.Field));
        Assert.StartsWith(yearly + " cannot move", fault.Detail, StringComparison.Ordinal);
        Assert.Contains("migrate: never", fault.Detail, StringComparison.Ordinal);
        (status, _) = await PublishAsync(server, version with { migrate = "never" });
        Assert.Equal(201, status);
        using var moved = await server.Admin.PostAsJsonAsync("/v1/plans/pro/versions/2/migrate", new { when = "now" });
        Assert.Equal(400, (int)moved.StatusCode);
        Assert.Contains(yearly, await moved.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, "prepaid", "never", 201)]
    [InlineData(true, "prepaid", "now", 400)]
    [InlineData(true, "spend_cap", "now", 400)]
    [InlineData(true, null, "now", 201)]
    [InlineData(false, "prepaid", "now", 400)]
    public async Task A_price_that_may_take_back_is_refused_where_customers_are_held_to_a_balance(
        bool volume, string? balance, string migrate, int expected)
    {
        await using var server = await GroupAsync("pro", "fred");
        if (balance is not null) await BalanceAsync(server, balance);
        var minimum = new { calls = new { model = "per_unit", meter = "calls", unit_amount = "0.01", minimum = "3" } };
        var (status, faults) = await PublishAsync(server, new { prices = volume ? s_volume : minimum, migrate });
        Assert.Equal(expected, status);
        if (expected != 400) return;
        var fault = Assert.Single(faults);
        Assert.Equal(("price_cannot_block", "prices.calls"), (fault.Code, fault.Field));
        Assert.Contains(volume ? "graduated" : "Remove the minimum", fault.Detail, StringComparison.Ordinal);
        var fixedPrice = new { calls = new { model = "per_unit", meter = "calls", unit_amount = "0.01" } };
        Assert.Equal(201, (await PublishAsync(server, new { prices = fixedPrice, migrate })).Status);
    }

    [Theory]
    [InlineData("volume", "prepaid")]
    [InlineData("volume", "spend_cap")]
    [InlineData("minimum", "prepaid")]
    public async Task A_balance_is_refused_to_a_customer_whose_price_may_take_back(string price, string balance)
    {
        await using var server = await GroupAsync("pro", "fred");
        var minimum = new { calls = new { model = "per_unit", meter = "calls", unit_amount = "0.01", minimum = "3" } };
        Assert.Equal(201, (await PublishAsync(server, new { prices = price == "volume" ? s_volume : minimum, migrate = "now" })).Status);
        using var refused = await server.Admin.PutAsJsonAsync($"/v1/customers/fred/balances/{balance}", new { amount = "5.00" });
        var text = await refused.Content.ReadAsStringAsync();
        Assert.True((int)refused.StatusCode == 400, text);
        Assert.Equal("price_cannot_block", JsonDocument.Parse(text).RootElement.GetProperty("code").GetString());
        Assert.Contains("runs on the price calls", text, StringComparison.Ordinal);
        Assert.Empty((await server.GetAsync("/v1/customers/fred/balances")).GetProperty("data").EnumerateArray());
        var unit = new { calls = new { model = "per_unit", meter = "calls", unit_amount = "0.01" } };
        Assert.Equal(201, (await PublishAsync(server, new { prices = unit, migrate = "now" })).Status);
        await BalanceAsync(server, balance);
    }

    [Theory]
    [InlineData("prepaid")]
    [InlineData("spend_cap")]
    [InlineData("credit")]
    [InlineData("later credit")]
    public async Task A_customer_who_is_held_to_a_balance_does_not_come_onto_a_price_that_may_take_back(string balance)
    {
        await using var server = await GroupAsync("pro", "fred");
        Assert.Equal(201, (await PublishAsync(server, new { prices = s_volume, migrate = "never" })).Status);
        await server.PostAsync("/v1/customers", new { name = "anna", currency = "USD" });
        await server.PostAsync("/v1/plans", new { name = "plain", operations = new[] { "*" }, prices = new { } });
        var subscription = (await server.PostAsync("/v1/subscriptions", new { customer = "anna", plan = "plain" }))
            .GetProperty("id").GetString();
        if (balance.EndsWith("credit", StringComparison.Ordinal))
            await server.PostAsync("/v1/credits", new
            {
                customer = "anna",
                kind = "prepaid",
                amount = "5.00",
                effective_at = balance == "credit" ? null : "2026-03-01T00:00:00Z",
            });
        else
            Assert.Equal(200, (await SendAsync(server, "PUT", $"/v1/customers/anna/balances/{balance}", new { amount = "5.00" })).Status);
        (string Method, string Path, object Body)[] ways =
        [
            ("POST", "/v1/subscriptions", new { customer = "anna", plan = "pro" }),
            ("POST", $"/v1/subscriptions/{subscription}/change", new { plan = "pro" }),
            ("POST", $"/v1/subscriptions/{subscription}/change", new { plan = "pro", when = "period_end", preview = true }),
            ("PUT", $"/v1/subscriptions/{subscription}/overrides", new { prices = s_volume }),
        ];
        foreach (var (method, path, body) in ways)
        {
            var (status, text) = await SendAsync(server, method, path, body);
            Assert.True(status == 400, $"{method} {path}: {status} {text}");
            Assert.Equal("price_cannot_block", JsonDocument.Parse(text).RootElement.GetProperty("code").GetString());
            Assert.Contains("calls cannot be held to a balance by", text, StringComparison.Ordinal);
        }

        Assert.Equal("plain", (await server.GetAsync($"/v1/subscriptions/{subscription}")).GetProperty("plan").GetString());
        Assert.Single((await server.GetAsync("/v1/subscriptions?customer=anna")).GetProperty("data").EnumerateArray());
        Assert.Equal(200, (await SendAsync(server, "POST", $"/v1/subscriptions/{subscription}/cancel", new { })).Status);
    }

    [Fact]
    public async Task Prepaid_credit_that_would_become_a_balance_is_refused_on_a_price_that_may_take_back()
    {
        await using var server = await GroupAsync("pro", "fred");
        Assert.Equal(201, (await PublishAsync(server, new { prices = s_volume, migrate = "now" })).Status);
        var credit = new { customer = "fred", kind = "prepaid", amount = "5.00" };
        object[] refusals = [credit, new { customer = "fred", kind = "prepaid", amount = "5.00", every = "month" }];
        foreach (var body in refusals)
        {
            var (status, text) = await SendAsync(server, "POST", "/v1/credits", body);
            Assert.True(status == 400 && text.Contains("price_cannot_block", StringComparison.Ordinal), text);
            Assert.Contains("runs on the price calls", text, StringComparison.Ordinal);
        }

        Assert.Empty((await server.GetAsync("/v1/credits?customer=fred")).GetProperty("data").EnumerateArray());
        // promotional credit, credit for some prices, and credit that calls may go beyond only pay on invoices
        await server.PostAsync("/v1/credits", new { customer = "fred", kind = "promotional", amount = "5.00" });
        await server.PostAsync("/v1/credits", new { customer = "fred", kind = "prepaid", amount = "5.00", prices = new[] { "calls" } });
        Assert.Equal(200, (await SendAsync(server, "PUT", "/v1/customers/fred/terms", new { credit_overage = "bill" })).Status);
        await server.PostAsync("/v1/credits", credit);
        var (held, why) = await SendAsync(server, "PUT", "/v1/customers/fred/terms", new { credit_overage = "block" });
        Assert.True(held == 400 && why.Contains("price_cannot_block", StringComparison.Ordinal), why);
        var billed = new { credit_overage = "bill", net_days = 7 };
        Assert.Equal(200, (await SendAsync(server, "PUT", "/v1/customers/fred/terms", billed)).Status);
    }

    private static async Task<(int Status, string Text)> SendAsync(TestServer server, string method, string path, object body)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = JsonContent.Create(body) };
        using var answer = await server.Admin.SendAsync(request);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("""{"by":"operation"}""")]
    [InlineData("""{"when":"sat,sun 00:00-24:00"}""")]
    [InlineData("""{"matrix":[{"when":"00:00-06:00","unit_amount":"0.005"}]}""")]
    public async Task A_price_of_which_the_gate_does_not_know_what_a_call_costs_is_refused_there_too(string terms)
    {
        await using var server = await GroupAsync("pro", "fred");
        await BalanceAsync(server, "prepaid");
        var price = JsonSerializer.Deserialize<JsonElement>(
            """{"calls":{"model":"per_unit","meter":"calls","unit_amount":"0.01",""" + terms[1..] + "}");
        var (status, faults) = await PublishAsync(server, new { prices = price, migrate = "now" });
        var fault = Assert.Single(faults);
        Assert.Equal((400, "price_cannot_block", "prices.calls"), (status, fault.Code, fault.Field));
        Assert.Contains("one price for all of the usage", fault.Detail, StringComparison.Ordinal);
        Assert.Equal(201, (await PublishAsync(server, new { prices = price, migrate = "never" })).Status);
    }

    [Fact]
    public async Task A_file_that_would_move_such_customers_is_refused_and_one_that_moves_nobody_is_not()
    {
        const string file = """
            version: 1
            currency: USD
            apis: { a: { upstream: "http://127.0.0.1:1", operations: { x: GET /x } } }
            plans:
              pro: { operations: [x], migrate: now, prices: { calls: { meter: calls, PRICE } } }
            """;
        const string unit = "model: per_unit, unit_amount: \"0.01\"", volume = "model: volume, tiers: [{ unit_amount: \"0.01\" }]";
        await using var server = await TestServer.StartAsync(file.Replace("PRICE", unit, StringComparison.Ordinal));
        await server.SubscribeAsync("fred", "pro");
        Assert.Equal(200, await ApplyAsync(server, volume));
        Assert.Equal(200, await ApplyAsync(server, unit));
        await BalanceAsync(server, "prepaid");
        // what is published already moves nobody
        Assert.Equal(200, await ApplyAsync(server, unit));
        Assert.NotEqual(200, await ApplyAsync(server, volume));

        static async Task<int> ApplyAsync(TestServer server, string price)
        {
            var text = file.Replace("PRICE", price, StringComparison.Ordinal);
            using var content = new StringContent(text, Encoding.UTF8, "application/yaml");
            using var answer = await server.Admin.PostAsync("/v1/config/apply", content);
            return (int)answer.StatusCode;
        }
    }

    private static async Task BalanceAsync(TestServer server, string kind)
    {
        using var set = await server.Admin.PutAsJsonAsync($"/v1/customers/fred/balances/{kind}", new { amount = "5.00" });
        Assert.True(set.IsSuccessStatusCode, await set.Content.ReadAsStringAsync());
    }

    private static async Task<TestServer> GroupAsync(string group, string consumer)
    {
        var server = await TestServer.StartAsync();
        await server.PostAsync("/consumers", new { username = consumer });
        await server.PostAsync("/consumer_groups", new { name = group });
        await server.PostAsync($"/consumer_groups/{group}/consumers", new { consumer });
        return server;
    }

    private static async Task<(int Status, IReadOnlyList<(string Code, string Field, string Detail)> Faults)> PublishAsync(
        TestServer server, object body)
    {
        using var answer = await server.Admin.PostAsJsonAsync("/v1/plans/pro/versions", body);
        var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;
        return ((int)answer.StatusCode, !json.TryGetProperty("errors", out var errors) ? [] : [.. errors.EnumerateArray().Select(e =>
            (e.GetProperty("code").GetString()!, e.GetProperty("field").GetString() ?? "", e.GetProperty("detail").GetString()!))]);
    }
}
