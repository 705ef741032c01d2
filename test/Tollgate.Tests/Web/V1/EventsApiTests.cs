using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Tollgate.Tests.Gateway.Cost;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>Usage from outside, in every shape that is taken, from the request to the usage that is told.</summary>
public sealed class EventsApiTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m: { upstream: UPSTREAM, operations: { data: GET /v1/data } }
        meters:
          calls: { aggregation: count, event: kong.api_request }
          storage:
            aggregation: sum
            event: storage.used
            value: $.gigabytes
            scale: 3
            dimensions: { region: $.where.region }
            where: { $.billable: ["true"] }
          peak: { aggregation: max, event: storage.used, value: $.gigabytes, scale: 3 }
          users: { aggregation: unique_count, event: user.seen, value: $.user }
          level: { aggregation: latest, event: level, value: $.value }
          mean: { aggregation: average, event: level, value: $.value, scale: 2 }
        plans:
          pro: { operations: [data], prices: { s: { model: per_unit, meter: storage, unit_amount: "0.10" } } }
        """;

    private const string Structured = "application/cloudevents+json", Batch = "application/cloudevents-batch+json";

    [Fact]
    public async Task Every_event_of_a_batch_is_answered_for_itself()
    {
        await using var server = await StartAsync();
        var answer = await SendAsync(server, "/v1/events", Batch, $"""
            [{Used("1", "1.5")}, {Used("2", "\"0.25\"")}, {Used("3", "-1e-3")}, {Used("4", "1.0001")}, {Used("5", "true")},
             {Used("6", "1", type: "nothing")}, {Used("7", "1", time: "2026-01-10T13:00:01Z")},
             {Used("8", "1", time: "2025-12-06T11:59:59Z")}, {Used("9", "1", time: "yesterday")}, 17,
             {Used("", "1")}, {Used("11", "1").Replace("\"1.0\"", "\"0.3\"", StringComparison.Ordinal)},
             {Used("12", "1").Replace("\"alice\"", "null", StringComparison.Ordinal)},
             {Used("13", "1").Replace("\"billable\":true", "\"billable\":false", StringComparison.Ordinal)},
             {Used("14", "1").Replace("\"gigabytes\"", "\"terabytes\"", StringComparison.Ordinal)},
             {Used("15", "1").Replace("\"eu\"", "[]", StringComparison.Ordinal)},
             {Used("16", "1").Replace("\"alice\"", "\"\\ud800\"", StringComparison.Ordinal)}]
            """);
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal((4, 13), (answer.Body.GetProperty("accepted").GetInt32(), answer.Body.GetProperty("rejected").GetInt32()));
        var reasons = answer.Body.GetProperty("items").EnumerateArray().Where(i => i.GetProperty("status").GetString() == "rejected")
            .Select(i => $"{i.GetProperty("index")} {i.GetProperty("reason").GetProperty("code").GetString()} " +
                i.GetProperty("reason").GetProperty("field").GetString());
        Assert.Equal(
            [
                "3 bad_value data.gigabytes", "4 bad_value data.gigabytes", "5 type_unknown type", "6 time_in_future time",
                "7 time_too_old time", "8 bad_value time", "9 wrong_type ", "10 missing_field id", "11 bad_value specversion",
                "12 missing_field subject", "14 missing_field data.gigabytes", "15 bad_value data.where.region",
                "16 bad_value subject",
            ], reasons);
        Assert.Equal("1.749", await CallCostTests.ValueAsync(server, "storage"));
        Assert.Equal("1.5", await CallCostTests.ValueAsync(server, "peak"));
    }

    [Fact]
    public async Task The_same_event_counts_once_in_whatever_form_it_comes_again()
    {
        await using var server = await StartAsync();
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(server, "/api/v1/events", Structured, Used("1", "2"))).Status);
        var twice = $"[{Used("1", "2")},{Used("1", "2")}]";
        Assert.Equal(HttpStatusCode.NoContent, (await SendAsync(server, "/api/v1/events", Batch, twice)).Status);
        var later = Used("1", "2", time: "2026-01-10T10:00:00.5Z");
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(server, "/v1/events", "application/json", later)).Status);
        using var binary = new HttpRequestMessage(HttpMethod.Post, "/v1/events")
        {
            Content = new StringContent("{\"gigabytes\": 2, \"billable\": true}", Encoding.UTF8, "application/json"),
        };
        foreach (var (name, value) in new[]
        {
            ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "urn%3Adisks/7"), ("ce-type", "storage.used"), ("ce-subject", "alice"),
        }) binary.Headers.Add(name, value);
        using var sent = await server.Admin.SendAsync(binary, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, sent.StatusCode);
        Assert.Equal("2", await CallCostTests.ValueAsync(server, "storage"));
        var told = await server.GetAsync("/v1/events/urn%3Adisks%2F7/1");
        Assert.Equal(("counted", "2026-01-10", 4), (told.GetProperty("status").GetString(),
            told.GetProperty("counted_on").GetString(), told.GetProperty("duplicates").GetInt32()));
        using var unknown = await server.Admin.GetAsync(
            new Uri("/v1/events/urn%3Adisks%2F7/2", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
    }

    [Fact]
    public async Task Usage_of_somebody_unknown_is_kept_and_counts_when_he_is_known()
    {
        await using var server = await StartAsync();
        await SendAsync(server, "/v1/events", Structured, Used("1", "4").Replace("\"alice\"", "\"bob\"", StringComparison.Ordinal));
        Assert.Equal("0", await CallCostTests.ValueAsync(server, "storage"));
        var waiting = (await server.GetAsync("/v1/unattributed_usage")).GetProperty("data");
        Assert.Equal(("bob", "peak"), (waiting[0].GetProperty("subject").GetString(), waiting[1].GetProperty("meter").GetString()));
        Assert.Equal("unattributed", (await server.GetAsync("/v1/events/urn%3Adisks%2F7/1")).GetProperty("status").GetString());
        await server.PostAsync("/v1/customers", new { name = "bob" });
        await server.PostAsync("/v1/subscriptions", new { customer = "bob", plan = "pro", start_at = "2026-01-01T00:00:00Z" });
        Assert.Equal("4", await CallCostTests.ValueAsync(server, "storage&customer=bob"));
        Assert.Equal("counted", (await server.GetAsync("/v1/events/urn%3Adisks%2F7/1")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task Each_aggregation_is_told_by_window_and_group_and_compared()
    {
        await using var server = await StartAsync();
        var events = new List<string>();
        for (var i = 0; i < 6; i++)
        {
            var time = $"2026-01-0{1 + i}T12:00:00Z";
            events.Add(Used($"s{i}", $"{i}.5", time).Replace("\"eu\"", i % 2 == 0 ? "\"eu\"" : "\"us\"", StringComparison.Ordinal));
            events.Add(Event($"u{i}", "user.seen", $"{{\"user\":\"u{i % 4}\"}}", time));
            events.Add(Event($"l{i}", "level", $"{{\"value\":{(i * 7) % 5}}}", time));
        }

        await SendAsync(server, "/v1/events", Batch, $"[{string.Join(",", events)}]");
        Assert.Equal(("18", "5.5", "4", "0", "1.67"), (
            await CallCostTests.ValueAsync(server, "storage"), await CallCostTests.ValueAsync(server, "peak"),
            await CallCostTests.ValueAsync(server, "users"), await CallCostTests.ValueAsync(server, "level"),
            await CallCostTests.ValueAsync(server, "mean")));
        Assert.Equal("eu 7.5 us 10.5", await RowsAsync(server, "storage&group_by=region", "dimensions"));
        Assert.Equal("10.5", await CallCostTests.ValueAsync(server, "storage&where.region=us"));
        Assert.Equal("2", await CallCostTests.ValueAsync(server, "users&from=2026-01-05T00:00:00Z"));
        Assert.Equal("0 2 4 1 3 0", await RowsAsync(server, "level&window=day"));
        Assert.Equal("1 1 1 1 1 1", await RowsAsync(server, "users&window=day&timezone=Asia/Tokyo"));
        var compared = await server.GetAsync(
            "/v1/usage?meter=storage&from=2026-01-04T00:00:00Z&to=2026-01-07T00:00:00Z&compare=previous");
        Assert.Equal(("13.5", "4.5"), (compared.GetProperty("data")[0].GetProperty("value").GetString(),
            compared.GetProperty("compared_with")[0].GetProperty("value").GetString()));
        using var unknown = await server.Admin.GetAsync(
            new Uri("/v1/usage?meter=tokns", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, unknown.StatusCode);
    }

    [Fact]
    public async Task An_invoice_bills_what_the_usage_says()
    {
        await using var server = await StartAsync();
        var elsewhere = Used("2", "2.005").Replace("\"eu\"", "\"us\"", StringComparison.Ordinal);
        await SendAsync(server, "/v1/events", Batch, $"[{Used("1", "10.25")},{elsewhere}]");
        await SendAsync(server, "/v1/events", Structured, Event("k", "kong.api_request", "{\"path\":\"/x\"}"));
        Assert.Equal(("12.255", "1"),
            (await CallCostTests.ValueAsync(server, "storage"), await CallCostTests.ValueAsync(server, "calls")));
        var preview = (await server.GetAsync("/v1/invoices/preview?customer=alice&at=2026-02-01T00:00:00Z")).ToString();
        Assert.Contains("12.255", preview, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Clients_of_Lago_and_Stripe_are_taken_as_they_are()
    {
        await using var server = await StartAsync();
        const string lago = """
            {"transaction_id":"t1","external_subscription_id":"alice","code":"storage.used","timestamp":1768046400.25,
             "properties":{"gigabytes":"3","billable":true}}
            """;
        var one = await SendAsync(server, "/api/v1/events", "application/json", $"{{\"event\":{lago}}}");
        Assert.Equal((HttpStatusCode.OK, "t1"), (one.Status, one.Body.GetProperty("event").GetProperty("transaction_id").GetString()));
        var batch = await SendAsync(server, "/api/v1/events/batch", "application/json",
            $"{{\"events\":[{lago},{lago.Replace("t1", "t2", StringComparison.Ordinal)},{{\"code\":\"storage.used\"}}]}}");
        Assert.Equal((HttpStatusCode.UnprocessableEntity, "missing_field"), (batch.Status,
            batch.Body.GetProperty("error_details").GetProperty("2").GetProperty("transaction_id")[0].GetString()));
        Assert.Equal("6", await CallCostTests.ValueAsync(server, "storage"));

        for (var i = 0; i < 2; i++)
        {
            using var form = new FormUrlEncodedContent(new Dictionary<string, string>
            {
                ["event_name"] = "level", ["payload[value]"] = "25", ["payload[stripe_customer_id]"] = "alice",
                ["identifier"] = "idem", ["timestamp"] = "1768046400",
            });
            using var answer = await server.Admin.PostAsync(
                new Uri("/v1/billing/meter_events", UriKind.Relative), form, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        var json = await SendAsync(server, "/v2/billing/meter_events", "application/json",
            """{"event_name":"level","payload":{"value":"x","stripe_customer_id":"alice"}}""");
        Assert.Equal((HttpStatusCode.BadRequest, "payload[value]"),
            (json.Status, json.Body.GetProperty("error").GetProperty("param").GetString()));
        Assert.Equal(("25", "25"), (await CallCostTests.ValueAsync(server, "level"), await CallCostTests.ValueAsync(server, "mean")));
    }

    [Fact]
    public async Task Events_of_a_new_subject_make_no_entry_in_the_audit_log_and_a_retry_of_Stripes_client_counts_once()
    {
        await using var server = await StartAsync();
        var before = (await server.GetAsync("/v1/audit_log")).ToString();
        var unknown = Used("1", "2").Replace("\"alice\"", "\"nobody\"", StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(server, "/v1/events", Structured, unknown)).Status);
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/billing/meter_events")
            {
                Content = new StringContent("""
                    {"event_name":"storage.used","payload":{"gigabytes":"4","billable":true,"stripe_customer_id":"alice"}}
                    """),
            };
            request.Headers.Add("Idempotency-Key", "one-try");
            using var answer = await server.Admin.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Equal("4", await CallCostTests.ValueAsync(server, "storage"));
        Assert.Equal(before, (await server.GetAsync("/v1/audit_log")).ToString());
    }

    [Theory]
    [InlineData("", 400)]
    [InlineData("{", 400)]
    [InlineData("[]", 200)]
    [InlineData("{}", 400)]
    [InlineData("null", 400)]
    [InlineData("\"text\"", 400)]
    [InlineData("[[[[]]]]", 400)]
    [InlineData("{\"event\":{}}", 422)]
    [InlineData("{\"event\":17}", 400)]
    [InlineData("{\"events\":[]}", 400)]
    public async Task What_is_no_event_is_refused_and_nothing_is_counted(string body, int status)
    {
        await using var server = await StartAsync();
        Assert.Equal(status, (int)(await SendAsync(server, "/v1/events", "application/json", body)).Status);
        Assert.Equal("0", await CallCostTests.ValueAsync(server, "storage"));
    }

    private static async Task<TestServer> StartAsync()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var server = await TestServer.StartAsync(File, upstream);
        await server.PostAsync("/v1/customers", new { name = "alice" });
        await server.PostAsync("/v1/subscriptions", new { customer = "alice", plan = "pro", start_at = "2026-01-01T00:00:00Z" });
        return server;
    }

    private static string Used(string id, string gigabytes, string time = "2026-01-10T10:00:00Z", string type = "storage.used") =>
        Event(id, type, $"{{\"gigabytes\":{gigabytes},\"billable\":true,\"where\":{{\"region\":\"eu\"}}}}", time);

    private static string Event(string id, string type, string data, string time = "2026-01-10T10:00:00Z") =>
        $"{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"urn:disks/7\",\"type\":\"{type}\",\"subject\":\"alice\"," +
        $"\"time\":\"{time}\",\"data\":{data}}}";

    private static async Task<(HttpStatusCode Status, JsonElement Body)> SendAsync(
        TestServer server, string path, string type, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8);
        content.Headers.ContentType = new MediaTypeHeaderValue(type);
        using var answer = await server.Admin.PostAsync(new Uri(path, UriKind.Relative), content, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return (answer.StatusCode, text.Length == 0 ? default : JsonDocument.Parse(text).RootElement);
    }

    private static async Task<string> RowsAsync(TestServer server, string question, string? group = null) =>
        string.Join(' ', (await server.GetAsync($"/v1/usage?meter={question}")).GetProperty("data").EnumerateArray().Select(r =>
            (group is null ? "" : string.Join(',', r.GetProperty(group).EnumerateObject().Select(d => d.Value.GetString())) + " ")
            + r.GetProperty("value").GetString()));
}
