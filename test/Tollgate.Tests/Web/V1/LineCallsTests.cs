using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Dapper;
using Tollgate.Metering;
using Tollgate.Tests.Metering;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>From each kind of line to its rollups and to the calls, events and samples behind it, to the last unit.</summary>
public sealed class LineCallsTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            operations: { data: GET /data, more: GET /more }
        meters:
          calls: { aggregation: count, event: kong.api_request }
          gb:    { aggregation: sum, scale: 3, event: stored, value: $.gb, dimensions: { region: $.region } }
          paid:  { aggregation: sum, scale: 2, event: payment, value: $.amount, keep_values: true }
          peak:  { aggregation: max, event: stored, value: $.gb, scale: 3 }
          users: { aggregation: unique_count, event: seen, value: $.user }
          mean:  { aggregation: average, scale: 1, event: level, value: $.value }
          last:  { aggregation: latest, scale: 1, event: level, value: $.value }
          egress: { aggregation: sum, value: response.bytes }
        plans:
          pro:
            operations: ["*"]
            prices:
              gb:    { meter: gb, model: per_unit, unit_amount: "1", by: region, matrix: [{ where: { region: eu }, unit_amount: "2" }] }
              paid:  { meter: paid, model: percentage, rate: "2", fixed: "0.30", minimum_per_event: "0.50", maximum_per_event: "5.00" }
              calls: { meter: calls, model: per_unit, unit_amount: "1", matrix: [{ when: "12:00-12:15", unit_amount: "0.25" }] }
              tiers: { meter: calls, model: graduated, by: operation, tiers: [{ up_to: 2, unit_amount: "3" }, { unit_amount: "1" }] }
              peak:  { meter: peak, model: per_unit, unit_amount: "1" }
              users: { meter: users, model: per_unit, unit_amount: "1" }
              mean:  { meter: mean, model: per_unit, unit_amount: "1" }
              last:  { meter: last, model: per_unit, unit_amount: "1" }
              bytes: { meter: egress, model: package, size: 10, amount: "1" }
              base:  { model: flat, amount: "5", every: month }
        sources:
          counted: { remote_write: true, series: 'calls_total{job="shop"}', subject: consumer, endpoint: path }
        """;

    private static readonly long s_noon = TestServer.Start.ToUnixTimeMilliseconds();

    [Fact]
    public async Task Each_line_of_an_invoice_is_the_sum_of_its_rollups_and_of_what_stands_behind_them()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var first = await TestServer.StartAsync(File, upstream, folder))
        {
            // usage of somebody who comes later
            await EventAsync(first, "stored", new { gb = "0.5", region = "us" }, "early");
            key = await first.SubscribeAsync("acme", "pro");
            await UseAsync(first, key, "a");
            await CountedAsync(first, (60, 100), (75, 107));
        }

        await using var server = await TestServer.StartAsync(File, upstream, folder);
        await server.Node.Archive.RunAsync(server.Node.Drain.Position);
        Assert.NotEqual(0UL, server.Node.Archive.Archived);
        await server.AdvanceAsync("PT1H");
        await UseAsync(server, key, "b");
        await UseAsync(server, key, "a");
        await CountedAsync(server, (75, 107), (90, 110));
        await server.AdvanceAsync("P40D");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray()
            .First(i => i.GetProperty("lines").GetArrayLength() > 5);
        var lines = invoice.GetProperty("lines").EnumerateArray().ToArray();
        var kinds = new HashSet<string>();
        for (var i = 0; i < lines.Length; i++)
            if (lines[i].GetProperty("meter").ValueKind == JsonValueKind.String)
                await CheckAsync(server, $"/v1/invoices/{invoice.GetProperty("number").GetString()}/lines/{i + 1}", lines[i], kinds);
        Assert.Equal(["call", "counter", "event", "measure"], kinds.Order());
        Assert.Equal(17, lines.Count(l => l.GetProperty("meter").ValueKind == JsonValueKind.String));
    }

    [Fact]
    public async Task An_event_stays_whose_it_was_though_its_subject_is_somebody_else_by_now()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("other", "pro");
        await EventAsync(server, "stored", new { gb = "1", region = "eu" }, "e1", "fred");
        await server.UsageAsync();
        await server.PostAsync("/v1/customers", new { name = "fred" });
        await server.PostAsync("/v1/subscriptions", new { customer = "fred", plan = "pro" });
        await EventAsync(server, "stored", new { gb = "2", region = "eu" }, "e2", "fred");
        await server.UsageAsync();
        // a consumer of that name comes before a customer
        await server.PostAsync("/v1/consumers", new { username = "fred", customer = "other" });
        await EventAsync(server, "stored", new { gb = "4", region = "eu" }, "e3", "fred");
        await server.AdvanceAsync("P40D");
        foreach (var (customer, quantity) in ((string, string)[])[("fred", "3"), ("other", "4")])
        {
            var invoice = (await server.GetAsync($"/v1/invoices?customer={customer}")).GetProperty("data").EnumerateArray()
                .First(i => i.GetProperty("lines").EnumerateArray().Any(l => l.GetProperty("meter").ToString() == "gb"));
            var at = invoice.GetProperty("lines").EnumerateArray().Index().First(l => l.Item.GetProperty("meter").ToString() == "gb").Index;
            var calls = await server.GetAsync($"/v1/invoices/{invoice.GetProperty("number").GetString()}/lines/{at + 1}/calls");
            Assert.Equal((quantity, true), (calls.GetProperty("quantity").GetString(), calls.GetProperty("complete").GetBoolean()));
        }

        var found = await server.GetAsync("/v1/events/test/e2");
        var record = found.GetProperty("records")[0];
        Assert.Equal(("fred", true, "2"), (record.GetProperty("customer").GetString(), record.GetProperty("counts").GetBoolean(),
            record.GetProperty("quantity").GetString()));
    }

    [Fact]
    public async Task A_line_of_which_another_node_has_calls_says_so_and_names_the_journal()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("acme", "pro");
        await EventAsync(server, "stored", new { gb = "1", region = "eu" }, "e1");
        await server.UsageAsync();
        // as another node would have drained it
        await server.Node.Database.WriteAsync(async db =>
        {
            await db.ExecuteAsync("insert into journals (id, position, drained_at, node, closed) values (43690, 9, 0, 'b:1', 1)");
            await db.ExecuteAsync("update rollups set quantity = quantity + 3 " +
                "where meter = (select key from meter_keys where name = 'gb')");
        });
        await server.AdvanceAsync("P40D");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray()
            .First(i => i.GetProperty("lines").EnumerateArray().Any(l => l.GetProperty("meter").ToString() == "gb"));
        var at = invoice.GetProperty("lines").EnumerateArray().Index().First(l => l.Item.GetProperty("meter").ToString() == "gb").Index;
        var path = $"/v1/invoices/{invoice.GetProperty("number").GetString()}/lines/{at + 1}/calls";
        var calls = await server.GetAsync(path);
        Assert.False(calls.GetProperty("complete").GetBoolean());
        Assert.Equal(("0000aaaa", "b:1"), (calls.GetProperty("missing_journals")[0].GetProperty("journal").GetString(),
            calls.GetProperty("missing_journals")[0].GetProperty("node").GetString()));
        using var csv = await server.Admin.GetAsync(path + "?format=csv", TestContext.Current.CancellationToken);
        Assert.Equal("0000aaaa", csv.Headers.GetValues("Tollgate-Missing-Journals").Single());
        Assert.Contains("\"journal\":\"0000aaaa\"", (await server.GetAsync("/v1/calls")).GetRawText(), StringComparison.Ordinal);
        using var elsewhere = await server.Admin.GetAsync(
            $"/v1/calls/{new RecordId(43690, 1, 5)}", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, elsewhere.StatusCode);
        var said = await elsewhere.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains("'b:1'", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_line_cannot_be_asked_for_is_said()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        await server.SubscribeAsync("acme", "pro");
        await EventAsync(server, "stored", new { gb = "1", region = "eu" }, "e1");
        await server.AdvanceAsync("P40D");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray().First(i =>
            i.GetProperty("lines").GetArrayLength() > 1);
        var number = invoice.GetProperty("number").GetString();
        var fee = 1 + invoice.GetProperty("lines").EnumerateArray().Index()
            .First(l => l.Item.GetProperty("kind").ToString() == "fee").Index;
        foreach (var (path, status, code) in ((string, int, string)[])[
            ($"{fee}/calls", 422, "line_without_calls"), ($"{fee}/rollups", 422, "line_without_calls"), ("99/rollups", 404, "not_found"),
            ($"{fee}/rollups?format=parquet&limit=0", 400, "bad_value"), ($"{fee}/calls?from=x&colour=1", 400, "unknown_field")])
        {
            using var answer = await server.Admin.GetAsync($"/v1/invoices/{number}/lines/{path}", TestContext.Current.CancellationToken);
            Assert.Equal(status, (int)answer.StatusCode);
            Assert.Contains(code, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
    }

    private static async Task CheckAsync(TestServer server, string path, JsonElement line, HashSet<string> kinds)
    {
        var (quantity, meter) = (line.GetProperty("quantity").GetString()!, line.GetProperty("meter").GetString()!);
        var calls = await server.GetAsync(path + "/calls?limit=1");
        Assert.Equal((quantity, quantity, quantity, true), (calls.GetProperty("quantity").GetString(),
            calls.GetProperty("rollup_quantity").GetString(), calls.GetProperty("line_quantity").GetString(),
            calls.GetProperty("complete").GetBoolean()));
        var rollups = await server.GetAsync(path + "/rollups");
        Assert.Equal(quantity, rollups.GetProperty("quantity").GetString());
        var all = (await server.GetAsync(path + "/calls")).GetProperty("data").EnumerateArray().ToArray();
        foreach (var call in all) kinds.Add(call.GetProperty("kind").GetString()!);
        var csv = (await server.TextAsync(path + "/calls?format=csv")).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(all.Length + 1, csv.Length);
        if (meter is "peak" or "users" or "mean" or "last") return;
        Assert.Equal(decimal.Parse(quantity, CultureInfo.InvariantCulture), csv[1..].Sum(c =>
            decimal.Parse(c.Split(',')[12], CultureInfo.InvariantCulture)));
        Assert.Equal(decimal.Parse(quantity, CultureInfo.InvariantCulture), rollups.GetProperty("data").EnumerateArray().Sum(r =>
            decimal.Parse(r.GetProperty("quantity").GetString()!, CultureInfo.InvariantCulture)));
        var bytes = await server.Admin.GetByteArrayAsync(path + "/calls?format=parquet", TestContext.Current.CancellationToken);
        var file = Path.GetTempFileName();
        await System.IO.File.WriteAllBytesAsync(file, bytes, TestContext.Current.CancellationToken);
        var scale = meter switch { "gb" => 1_000, "paid" => 100, _ => 1 };
        Assert.Equal(decimal.Parse(quantity, CultureInfo.InvariantCulture) * scale,
            decimal.Parse(DuckDbQuestion.Ask($"select sum(quantity) from read_parquet('{file}')"), CultureInfo.InvariantCulture));
        System.IO.File.Delete(file);
    }

    /// <summary>Something of everything; sent again under the same run it counts once.</summary>
    private static async Task UseAsync(TestServer server, string key, string run)
    {
        for (var i = 0; i < 3; i++) (await server.CallAsync("/data", key)).Dispose();
        (await server.CallAsync("/more", key)).Dispose();
        await EventAsync(server, "stored", new { gb = "1.25", region = "eu" }, run + 1);
        await EventAsync(server, "stored", new { gb = "3.5", region = "us" }, run + 2);
        await EventAsync(server, "payment", new { amount = "10" }, run + 3);
        await EventAsync(server, "payment", new { amount = "1000.55" }, run + 4);
        await EventAsync(server, "seen", new { user = "u1" }, run + 5);
        await EventAsync(server, "seen", new { user = "u" + run }, run + 6);
        await EventAsync(server, "level", new { value = run == "a" ? "2.5" : "7.5" }, run + 7);
        await EventAsync(server, "kong.api_request", new { path = "/x" }, run + 8);
    }

    private static Task EventAsync(TestServer server, string type, object data, string id, string subject = "acme") =>
        server.PostAsync("/v1/events", new { specversion = "1.0", id, source = "test", type, subject, data });

    private static async Task CountedAsync(TestServer server, params (int At, double Value)[] samples)
    {
        var body = RemoteWriteTests.Pack(RemoteWriteTests.Request(false,
            ([("__name__", "calls_total"), ("consumer", "acme"), ("instance", "app:80"), ("job", "shop"), ("path", "/data")],
                samples.Select(s => (s_noon + s.At * 1_000L, s.Value)).ToArray())));
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/sources/counted/write") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse("application/x-protobuf");
        request.Content.Headers.ContentEncoding.Add("snappy");
        (await server.Admin.SendAsync(request, TestContext.Current.CancellationToken)).EnsureSuccessStatusCode();
    }
}
