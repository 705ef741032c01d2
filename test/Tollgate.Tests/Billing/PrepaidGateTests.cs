using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>Credit that blocks, at the real gate: what it lets through is what the invoice takes.</summary>
public sealed class PrepaidGateTests
{
    private static readonly string s_dimes = Yaml.Rates.Replace("\"0.01\"", "\"0.10\"", StringComparison.Ordinal);

    [Fact]
    public async Task Ten_dollars_are_a_hundred_calls_at_the_gate_and_on_the_invoice_and_a_top_up_lets_the_next_one_pass()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var server = await TestServer.StartAsync(s_dimes, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "metered");
            await GrantAsync(server, "10.00");
            // at once, and more than are covered: never below zero
            var calls = await Task.WhenAll(Enumerable.Range(0, 120).Select(_ => StatusAsync(server, key)));
            Assert.Equal((100, 20), (calls.Count(c => c == 200), calls.Count(c => c == 402)));
            Assert.Equal(("10", "10", "0"), await BalanceAsync(server));
            await GrantAsync(server, "0.20");
            Assert.Equal(200, await StatusAsync(server, key));
            Assert.Equal(("10.2", "10.1", "0.1"), await BalanceAsync(server));
            await server.AdvanceAsync("P22D");
            var invoice = (await server.GetAsync("/v1/invoices?customer=fred")).GetProperty("data")[0];
            Assert.Equal(("10.10", "0.00", "paid"), (
                invoice.GetProperty("total").GetString(), invoice.GetProperty("amount_due").GetString(),
                invoice.GetProperty("status").GetString()));
            // what is invoiced is not counted a second time
            Assert.Equal(("0.1", "0", "0.1"), await BalanceAsync(server));
            Assert.Equal("0.10", (await server.GetAsync("/v1/credits?customer=fred")).GetProperty("data")
                .EnumerateArray().Last().GetProperty("balance").GetString());
            Assert.Equal((200, 402), (await StatusAsync(server, key), await StatusAsync(server, key)));
            await server.PostAsync($"/v1/invoices/{invoice.GetProperty("id").GetString()}/void", new { });
            Assert.Equal(("10.2", "0.1", "10.1"), await BalanceAsync(server));
        }

        await using var again = await TestServer.StartAsync(s_dimes, upstream, folder);
        Assert.Equal(("10.2", "0.1", "10.1"), await BalanceAsync(again));
        Assert.Equal(200, await StatusAsync(again, key));
    }

    [Fact]
    public async Task Credit_that_expires_blocks_at_that_instant_and_still_pays_for_what_was_called_before()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(s_dimes, upstream);
        var key = await server.SubscribeAsync("fred", "metered");
        await GrantAsync(server, "1.00", new { expires_at = "2026-01-12T00:00:00Z" });
        for (var i = 0; i < 4; i++) Assert.Equal(200, await StatusAsync(server, key));
        await server.AdvanceAsync("P2D");
        Assert.Equal(402, await StatusAsync(server, key));
        await GrantAsync(server, "0.10");
        Assert.Equal((200, 402), (await StatusAsync(server, key), await StatusAsync(server, key)));
        await server.AdvanceAsync("P22D");
        var invoice = (await server.GetAsync("/v1/invoices?customer=fred")).GetProperty("data")[0];
        Assert.Equal(("0.50", "0.00"), (
            invoice.GetProperty("total").GetString(), invoice.GetProperty("amount_due").GetString()));
        Assert.Equal(402, await StatusAsync(server, key));
    }

    [Fact]
    public async Task Tax_is_reserved_and_burnt_gross_and_a_credit_note_gives_back_what_was_burnt()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(s_dimes, upstream);
        var key = await server.SubscribeAsync("fred", "metered");
        // in the middle of a period, and of a quarter of an hour
        await server.AdvanceAsync("P1DT5M");
        await GrantAsync(server, "0.24");
        Assert.Equal("0.24", (await BalanceAsync(server)).Available);
        using (var terms = await server.Admin.PutAsJsonAsync("/v1/customers/fred/terms", new { tax_percent = "20" }))
            Assert.Equal(HttpStatusCode.OK, terms.StatusCode);
        Assert.Equal((200, 200, 402),
            (await StatusAsync(server, key), await StatusAsync(server, key), await StatusAsync(server, key)));
        Assert.Equal(("0.24", "0.24", "0"), await BalanceAsync(server));
        await server.AdvanceAsync("P22D");
        var invoice = (await server.GetAsync("/v1/invoices?customer=fred")).GetProperty("data")[0];
        Assert.Equal("0.00", invoice.GetProperty("amount_due").GetString());
        await server.PostAsync("/v1/credit_notes",
            new { invoice = invoice.GetProperty("number").GetString(), amount = "0.12", reason = "slow" });
        Assert.Equal("0.12", (await BalanceAsync(server)).Available);
        Assert.Equal((200, 402), (await StatusAsync(server, key), await StatusAsync(server, key)));
    }

    [Fact]
    public async Task The_fee_with_which_a_subscription_begins_is_off_the_credit_at_the_gate_before_its_first_call()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(s_dimes, upstream);
        var key = await server.SubscribeAsync("fred", null);
        await GrantAsync(server, "5.20");
        await server.PostAsync("/v1/plans", new
        {
            name = "fee",
            operations = new[] { "*" },
            prices = new
            {
                fee = new { model = "flat", amount = "5", every = "month", @in = "advance" },
                calls = new { model = "per_unit", meter = "calls", unit_amount = "0.10" },
            },
        });
        await server.PostAsync("/v1/subscriptions", new { customer = "fred", plan = "fee", anchor = "anniversary" });
        Assert.Equal(("0.2", "0", "0.2"), await BalanceAsync(server));
        Assert.Equal((200, 200, 402),
            (await StatusAsync(server, key), await StatusAsync(server, key), await StatusAsync(server, key)));
    }

    private static Task<JsonElement> GrantAsync(TestServer server, string amount, object? more = null)
    {
        var body = JsonSerializer.SerializeToNode(more ?? new { })!.AsObject();
        (body["customer"], body["kind"], body["amount"]) = ("fred", "prepaid", amount);
        return server.PostAsync("/v1/credits", body);
    }

    private static async Task<int> StatusAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync("/api/v1/data", key);
        return (int)answer.StatusCode;
    }

    private static async Task<(string? Amount, string? Used, string? Available)> BalanceAsync(TestServer server)
    {
        var balance = (await server.GetAsync("/v1/customers/fred/balances")).GetProperty("data")[0];
        return (balance.GetProperty("amount").GetString(), balance.GetProperty("used").GetString(),
            balance.GetProperty("available").GetString());
    }
}
