using System.Net.Http.Json;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>The life of an invoice as its status tells it: gathering → draft → issued → paid, and what closes it otherwise.
/// </summary>
public sealed class OpenInvoiceTests
{
    private const string File = """
        version: 1
        currency: USD
        apis: { shop: { upstream: UPSTREAM, operations: { quote: GET /quotes } } }
        plans:
          metered: { operations: ["*"], prices: { quotes: { model: per_unit, meter: calls, unit_amount: "1.00" } } }
          free: { operations: ["*"] }
        """;

    [Fact]
    public async Task An_invoice_gathers_until_its_period_is_over_is_a_draft_for_the_window_and_then_issued()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("ann", "metered");
        await server.SubscribeAsync("bob", "metered");
        await server.SubscribeAsync("cas", "free");
        await server.AdvanceAsync("PT1H");
        (await server.CallAsync("/quotes", key)).Dispose();
        Assert.Equal(["ann 1.00", "bob 0.00", "cas 0.00"], await ListAsync(server, "gathering"));
        Assert.Equal(["ann 1.00"], await ListAsync(server, "gathering&customer=ann"));
        Assert.Empty(await ListAsync(server, "draft"));
        var id = (await server.GetAsync("/v1/invoices?status=gathering")).GetProperty("data")[0].GetProperty("id").GetString();
        Assert.Equal("gathering", Text(await server.GetAsync("/v1/invoices/" + id), "status"));
        Assert.Contains("gathering: closes at 2026-02-01", await server.TextAsync("/v1/invoices/" + id), StringComparison.Ordinal);

        // the period is over, and late usage is waited for: February gathers already
        await server.PostAsync("/v1/test_clock", new { now = "2026-02-01T00:30:00Z" });
        Assert.Equal(["ann 1.00"], await ListAsync(server, "draft"));
        Assert.Equal(["ann 0.00", "bob 0.00", "cas 0.00"], await ListAsync(server, "gathering"));
        Assert.Equal("draft", Text(await server.GetAsync("/v1/invoices/" + id), "status"));
        Assert.Contains("draft: closed at 2026-02-01", await server.TextAsync("/v1/invoices/" + id), StringComparison.Ordinal);
        Assert.Empty(await ListAsync(server, "issued"));

        await server.AdvanceAsync("PT1H");
        Assert.Empty(await ListAsync(server, "draft"));
        Assert.Equal(["ann 1.00"], await ListAsync(server, "issued"));
        Assert.Equal("issued", Text(await server.GetAsync("/v1/invoices/" + id), "status"));
        await server.AdvanceAsync("P31D");
        Assert.Empty(await ListAsync(server, "issued"));
        Assert.Equal(["ann 1.00"], await ListAsync(server, "overdue"));
        await server.PostAsync("/v1/payments", new { invoice = id, amount = "1.00" });
        Assert.Empty(await ListAsync(server, "overdue"));
        Assert.Equal(["ann 1.00"], await ListAsync(server, "paid"));
        await server.PostAsync($"/v1/invoices/{id}/void", new { });
        Assert.Equal(["ann 1.00"], await ListAsync(server, "void"));
        Assert.Empty(await ListAsync(server, "uncollectible"));
        using var refused = await server.Admin.GetAsync("/v1/invoices?status=open");
        Assert.Equal((400, "status"), ((int)refused.StatusCode, (await JsonAsync(refused)).GetProperty("errors")[0]
            .GetProperty("field").GetString()));
    }

    [Fact]
    public async Task What_gathers_is_listed_in_pages_of_subscriptions()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        for (var i = 0; i < 5; i++) await server.SubscribeAsync("c" + i, "metered");
        var found = new List<string>();
        for (string? cursor = "0"; cursor is not null;)
        {
            var page = await server.GetAsync($"/v1/invoices?status=gathering&limit=2&cursor={cursor}");
            found.AddRange(page.GetProperty("data").EnumerateArray().Select(Text));
            Assert.True(page.GetProperty("data").GetArrayLength() <= 2);
            cursor = page.GetProperty("next_cursor").GetString();
        }

        Assert.Equal(["c0 0.00", "c1 0.00", "c2 0.00", "c3 0.00", "c4 0.00"], found);
    }

    [Fact]
    public async Task A_draft_is_finalized_once_however_often_it_is_asked_and_only_as_it_was_read()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        var key = await server.SubscribeAsync("ann", "metered");
        await server.AdvanceAsync("PT1H");
        (await server.CallAsync("/quotes", key)).Dispose();
        var id = (await server.GetAsync("/v1/invoices?status=gathering")).GetProperty("data")[0].GetProperty("id").GetString()!;
        var early = await FinalizeAsync(server, id);
        Assert.Equal((409, "period_not_over"), (early.Status, Text(early.Answer, "code")));

        await server.PostAsync("/v1/test_clock", new { now = "2026-02-01T00:10:00Z" });
        var read = await TagAsync(server, id);
        await server.PostAsync("/v1/test_clock", new { now = "2026-02-01T00:20:00Z" });
        // time alone changes nothing of what it says; usage does
        Assert.Equal(read, await TagAsync(server, id));
        await server.PostAsync("/v1/credits",
            new { customer = "ann", kind = "promotional", amount = "0.40", effective_at = "2026-01-01T00:00:00Z" });
        var stale = await FinalizeAsync(server, id, read);
        Assert.Equal((412, "not_as_expected"), (stale.Status, Text(stale.Answer, "code")));
        Assert.Empty((await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray());

        var first = await FinalizeAsync(server, id, await TagAsync(server, id));
        Assert.Equal((200, "issued", "0.60"), (first.Status, Text(first.Answer, "status"), Text(first.Answer, "total")));
        var again = await FinalizeAsync(server, id);
        Assert.Equal((200, first.Answer.GetRawText()), (again.Status, again.Answer.GetRawText()));
        Assert.Equal(412, (await FinalizeAsync(server, id, read)).Status);
        Assert.Single((await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray());

        await server.PostAsync($"/v1/invoices/{id}/void", new { });
        var closed = await FinalizeAsync(server, id);
        Assert.Equal((409, "invoice_closed"), (closed.Status, Text(closed.Answer, "code")));
    }

    [Fact]
    public async Task What_is_no_invoice_yet_is_not_voided_and_what_never_was_is_not_found()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("ann", "metered");
        await server.AdvanceAsync("PT1H");
        var id = (await server.GetAsync("/v1/invoices?status=gathering")).GetProperty("data")[0].GetProperty("id").GetString()!;
        foreach (var action in (string[])["void", "uncollectible"])
        {
            using var answer = await server.Admin.PostAsJsonAsync($"/v1/invoices/{id}/{action}", new { });
            Assert.Equal(404, (int)answer.StatusCode);
        }

        var never = id[..^4] + "0000";
        Assert.Equal(404, (await FinalizeAsync(server, never)).Status);
        using var missing = await server.Admin.GetAsync("/v1/invoices/" + never);
        Assert.Equal(404, (int)missing.StatusCode);
    }

    [Fact]
    public async Task Lists_of_what_is_published_and_of_keys_have_pages_like_all_others()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("ann", "metered");
        await server.PostAsync("/v1/consumers/ann/keys", new { });
        foreach (var (path, count) in ((string, int)[])[("/v1/plans", 2), ("/v1/apis", 1), ("/v1/meters", 1),
            ("/v1/plans/metered/versions", 1), ("/v1/consumers/ann/keys", 2)])
        {
            var all = await server.GetAsync(path);
            Assert.Equal(JsonValueKind.Null, all.GetProperty("next_cursor").ValueKind);
            var (found, cursor) = (new List<string>(), "0");
            while (cursor is not null)
            {
                var page = await server.GetAsync($"{path}?limit=1&cursor={cursor}");
                found.Add(page.GetProperty("data").EnumerateArray().Single().GetRawText());
                cursor = page.GetProperty("next_cursor").GetString();
            }

            Assert.Equal((path, count), (path, found.Count));
            Assert.Equal(all.GetProperty("data").EnumerateArray().Select(e => e.GetRawText()), found);
            Assert.Empty((await server.GetAsync($"{path}?cursor={long.MaxValue}")).GetProperty("data").EnumerateArray());
            using var refused = await server.Admin.GetAsync(path + "?limit=0&cursor=x");
            Assert.Equal((path, 400, 2), (path, (int)refused.StatusCode,
                (await JsonAsync(refused)).GetProperty("errors").GetArrayLength()));
        }
    }

    private static async Task<string[]> ListAsync(TestServer server, string status) =>
        [.. (await server.GetAsync("/v1/invoices?status=" + status)).GetProperty("data").EnumerateArray().Select(Text)];

    private static async Task<(int Status, JsonElement Answer)> FinalizeAsync(TestServer server, string id, string? tag = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/invoices/{id}/finalize")
        {
            Content = JsonContent.Create(new { }),
        };
        if (tag is not null) request.Headers.Add("If-Match", tag);
        using var answer = await server.Admin.SendAsync(request);
        return ((int)answer.StatusCode, await JsonAsync(answer));
    }

    private static async Task<string> TagAsync(TestServer server, string id)
    {
        using var answer = await server.Admin.GetAsync("/v1/invoices/" + id);
        return answer.Headers.ETag!.Tag;
    }

    private static async Task<JsonElement> JsonAsync(HttpResponseMessage answer) =>
        JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement;

    private static string Text(JsonElement invoice) =>
        $"{invoice.GetProperty("customer").GetProperty("name").GetString()} {invoice.GetProperty("total").GetString()}";

    private static string Text(JsonElement of, string name) => of.GetProperty(name).GetString()!;
}
