using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>What Billing says of a subscription stops its calls at the gate, and lets them in again.</summary>
public sealed class HoldTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m: { upstream: UPSTREAM, operations: { data: GET /data } }
        plans:
          pro:
            operations: [data]
            limits: [100/day]
            prices: { base: { model: flat, amount: "10.00", every: month, in: advance } }
        """;

    [Fact]
    public async Task An_overdue_invoice_refuses_with_402_until_it_is_paid_and_takes_nothing()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", "pro");
        using (var set = await server.Admin.PutAsJsonAsync("/v1/customers/fred/terms", new { net_days = 5, hold_after_days = 2 }))
            Assert.True(set.IsSuccessStatusCode, await set.Content.ReadAsStringAsync());
        Assert.Equal((200, "admit"), await CallAsync(server, key));
        await server.PostAsync("/v1/test_clock", new { now = "2026-01-12T00:00:00Z" });
        Assert.Equal((200, "admit"), await CallAsync(server, key));
        await server.PostAsync("/v1/test_clock", new { now = "2026-02-25T00:00:00Z" });
        Assert.Equal((402, "payment_overdue"), await CallAsync(server, key));
        Assert.Equal((402, "payment_overdue"), await CallAsync(server, key));
        var invoices = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray()
            .ToArray();
        foreach (var invoice in invoices)
            await server.PostAsync("/v1/payments", new
            {
                invoice = invoice.GetProperty("number").GetString(),
                amount = invoice.GetProperty("total").GetString(),
            });
        using var answer = await server.CallAsync("/data", key);
        Assert.Equal((HttpStatusCode.OK, "99"), (answer.StatusCode, answer.Headers.GetValues("X-RateLimit-Remaining-Day").Single()));
    }

    [Fact]
    public async Task A_paused_subscription_refuses_with_403_until_it_is_resumed_also_over_a_restart()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key, id;
        await using (var server = await TestServer.StartAsync(File, upstream, folder))
        {
            key = await server.SubscribeAsync("fred", "pro");
            id = (await server.GetAsync("/v1/subscriptions")).GetProperty("data")[0].GetProperty("id").GetString()!;
            Assert.Equal((200, "admit"), await CallAsync(server, key));
            await server.PostAsync($"/v1/subscriptions/{id}/pause", new { });
            Assert.Equal((403, "no_plan"), await CallAsync(server, key));
        }

        await using var again = await TestServer.StartAsync(File, upstream, folder, TestServer.Start.AddMinutes(1));
        Assert.Equal((403, "no_plan"), await CallAsync(again, key));
        await again.PostAsync($"/v1/subscriptions/{id}/resume", new { });
        using var answer = await again.CallAsync("/data", key);
        Assert.Equal((HttpStatusCode.OK, "98"), (answer.StatusCode, answer.Headers.GetValues("X-RateLimit-Remaining-Day").Single()));
    }

    [Fact]
    public async Task A_refusal_without_a_running_subscription_says_whether_it_is_paused_is_over_or_is_still_to_begin()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("fred", null);
        Assert.Equal("Consumer not assigned to any group.", await DetailAsync());
        var (start_at, end_at) = ("2026-01-11T00:00:00Z", "2026-01-20T00:00:00Z");
        var made = await server.PostAsync("/v1/subscriptions", new { customer = "fred", plan = "pro", start_at, end_at });
        var id = made.GetProperty("id").GetString();
        Assert.Equal("The subscription begins at 2026-01-11T00:00:00Z.", await DetailAsync());
        await server.PostAsync("/v1/test_clock", new { now = "2026-01-11T00:00:00Z" });
        await server.PostAsync($"/v1/subscriptions/{id}/pause", new { resume_at = "2026-01-13T00:00:00Z" });
        Assert.Equal("The subscription is paused until 2026-01-13T00:00:00Z.", await DetailAsync());
        await server.PostAsync("/v1/test_clock", new { now = "2026-01-13T00:00:00Z" });
        Assert.Equal((200, "admit"), await CallAsync(server, key));
        // without an end of its own it lasts
        await server.PostAsync($"/v1/subscriptions/{id}/pause", new { });
        Assert.Equal("The subscription is paused.", await DetailAsync());
        await server.PostAsync("/v1/test_clock", new { now = "2026-01-20T00:00:00Z" });
        Assert.Equal("The subscription ended at 2026-01-20T00:00:00Z.", await DetailAsync());
        await server.PostAsync($"/v1/subscriptions/{id}/reactivate", new { });
        Assert.Equal((200, "admit"), await CallAsync(server, key));

        async Task<string?> DetailAsync()
        {
            using var answer = await server.CallAsync("/data", key);
            var problem = await answer.Content.ReadFromJsonAsync<JsonElement>();
            // the message stays what Kong says
            Assert.Equal("Consumer not assigned to any group", problem.GetProperty("message").GetString());
            return problem.GetProperty("detail").GetString();
        }
    }

    private static async Task<(int, string)> CallAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync("/data", key);
        var text = await answer.Content.ReadAsStringAsync();
        return ((int)answer.StatusCode, answer.IsSuccessStatusCode ? "admit"
            : JsonDocument.Parse(text).RootElement.GetProperty("code").GetString()!);
    }
}
