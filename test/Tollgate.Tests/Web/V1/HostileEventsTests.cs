using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Tollgate.Tests.Gateway.Cost;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>Whatever is sent as an event, in each shape: it is counted, or refused with field and place, and never our fault.</summary>
public sealed class HostileEventsTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m: { upstream: UPSTREAM, operations: { data: GET /v1/data } }
        meters:
          used: { aggregation: sum, event: used, value: $.n, scale: 3, dimensions: { region: $.region } }
          users: { aggregation: unique_count, event: seen, value: $.user }
        plans:
          pro: { operations: [data] }
        """;

    private const string Json = "application/json", Form = "application/x-www-form-urlencoded";

    // each shape with a place for a value and one for further fields
    private const string CloudEvent =
        """{"specversion":"1.0","id":"ID","source":"s","type":"used","subject":"alice","data":{"n":VALUE}MORE}""";

    private const string LagoEvent =
        """{"transaction_id":"ID","external_subscription_id":"alice","code":"used","properties":{"n":VALUE}MORE}""";

    private static readonly (string Name, string Path, string Body)[] s_shapes =
    [
        ("structured", "/v1/events", CloudEvent),
        ("batch", "/v1/events", $"[{CloudEvent}]"),
        ("OpenMeter", "/api/v1/events", CloudEvent),
        ("Lago", "/api/v1/events", $"{{\"event\":{LagoEvent}}}"),
        ("Lago batch", "/api/v1/events/batch", $"{{\"events\":[{LagoEvent}]}}"),
        ("Stripe v2", "/v2/billing/meter_events",
            """{"event_name":"used","identifier":"ID","payload":{"stripe_customer_id":"alice","n":VALUE}MORE}"""),
    ];

    private static readonly string[] s_identities = ["transaction_id", "identifier", "id"];

    private static readonly string[] s_noNumbers =
    [
        "1e400", "-1e400", "1e-400", "1e999999999999", "\"NaN\"", "\"1e400\"", "\"\"", "\" 1\"", "\"１\"", "null", "true", "{}", "[1]",
        $"\"{new string('9', 100_000)}\"", new string('9', 100_000), "0.0001",
    ];

    [Fact]
    public async Task Values_that_are_no_numbers_are_refused_in_each_shape_with_the_name_of_the_field()
    {
        await using var server = await StartAsync();
        var wrong = new List<string>();
        foreach (var (name, path, body) in s_shapes)
            foreach (var value in s_noNumbers)
            {
                var (status, text) = await SendAsync(server, path, Json, Filled(body, value));
                var field = path.StartsWith("/v2", StringComparison.Ordinal) ? "[n]" : ".n\"";
                if (status is not (400 or 422) || !text.Contains(field, StringComparison.Ordinal))
                    wrong.Add($"{name} {value[..Math.Min(20, value.Length)]}: {status} {text}");
            }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.Equal("0", await CallCostTests.ValueAsync(server, "used"));
    }

    [Fact]
    public async Task What_is_no_JSON_is_refused_in_each_shape_and_says_where()
    {
        await using var server = await StartAsync();
        var wrong = new List<string>();
        foreach (var (name, path, body) in s_shapes)
        {
            var good = Encoding.UTF8.GetBytes(Filled(body, "1"));
            var bodies = new List<(string What, byte[] Bytes)>
            {
                ("NaN", Text(body, "NaN")), ("Infinity", Text(body, "-Infinity")), ("hexadecimal", Text(body, "0x10")),
                ("01", Text(body, "01")), ("depth", Text(body, new string('[', 100_000))),
                ("closed depth", Text(body, new string('[', 70) + new string(']', 70))),
                ("UTF-16", Encoding.Unicode.GetBytes(Filled(body, "1"))), ("zipped", Zipped(good)), ("comment", Text(body, "1/**/")),
                ("two", [.. good, .. good]), ("invalid", Bytes(body, [0xFF])), ("overlong", Bytes(body, [0xC0, 0x80])),
                ("surrogate", Bytes(body, [0xED, 0xA0, 0x80])), ("control", Bytes(body, [0])),
                ("two marks", [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.Preamble, .. good]),
                ("many values", Text(body, $"[{string.Join(',', Enumerable.Repeat('1', 1_100_000))}]")),
            };
            for (var cut = 0; cut < good.Length; cut += 3) bodies.Add(($"cut at {cut}", good[..cut]));
            foreach (var (what, bytes) in bodies)
            {
                var (status, text) = await SendAsync(server, path, Json, bytes);
                if (status != 400 || text.Length == 0) wrong.Add($"{name} {what}: {status} {text}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.Equal("0", await CallCostTests.ValueAsync(server, "used"));
    }

    [Fact]
    public async Task A_field_that_stands_twice_or_holds_half_of_a_surrogate_pair_spoils_its_own_event_and_is_named()
    {
        await using var server = await StartAsync();
        var wrong = new List<string>();
        foreach (var (name, path, body) in s_shapes)
            foreach (var (more, named) in new[]
            {
                ($",\"{IdentityOf(body)}\":\"2\"", "twice|value_is_duplicated"),
                (",\"note\":\"\\ud800\"", "note|\"event\""),
                (",\"note\":\"\\udc00\\ud800\"", "note|\"event\""),
                (",\"\\ud800\":1", "half|invalid_value"),
                (",\"note\":{\"deep\":[\"\\ud83d\\u0041\"]}", "note|\"event\""),
            })
            {
                var (status, text) = await SendAsync(server, path, Json, Filled(body, "1", more));
                if (status is not (400 or 422) || !named.Split('|').Any(n => text.Contains(n, StringComparison.Ordinal)))
                    wrong.Add($"{name} {more}: {status} {text}");
            }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.Equal("0", await CallCostTests.ValueAsync(server, "used"));

        // whole pairs, escaped backslashes and a mark at the beginning are no faults
        foreach (var (name, path, body) in s_shapes)
        {
            byte[] bytes = [.. Encoding.UTF8.Preamble, .. Encoding.UTF8.GetBytes(
                Filled(body, "1", ",\"note\":\"\\ud83d\\ude00 \\\\ud800\"").Replace("ID", name, StringComparison.Ordinal))];
            var (status, text) = await SendAsync(server, path, Json, bytes);
            Assert.True(status is 200 or 204, $"{name}: {status} {text}");
        }

        Assert.Equal("6", await CallCostTests.ValueAsync(server, "used"));
    }

    [Fact]
    public async Task The_others_of_a_batch_count_beside_an_event_that_no_text_can_hold()
    {
        await using var server = await StartAsync();
        var one = CloudEvent.Replace("VALUE", "1", StringComparison.Ordinal);
        var batch = $"[{one.Replace("ID", "a", StringComparison.Ordinal).Replace("MORE", ",\"\\ud800\":1", StringComparison.Ordinal)}," +
            $"{one.Replace("ID", "b", StringComparison.Ordinal).Replace("MORE", "", StringComparison.Ordinal)}]";
        var (status, text) = await SendAsync(server, "/v1/events", Json, batch);
        Assert.Equal((200, 1), (status, JsonDocument.Parse(text).RootElement.GetProperty("accepted").GetInt32()));
        (status, text) = await SendAsync(server, "/api/v1/events/batch", Json,
            $"{{\"events\":[{Filled(LagoEvent, "1", ",\"\\udfff\":1")},{Filled(LagoEvent, "1")}]}}");
        Assert.Equal((422, "invalid_value"), (status,
            JsonDocument.Parse(text).RootElement.GetProperty("error_details").GetProperty("0").GetProperty("event")[0].GetString()));
        Assert.Equal("2", await CallCostTests.ValueAsync(server, "used"));
    }

    [Fact]
    public async Task What_is_too_much_is_refused_whatever_it_holds()
    {
        await using var server = await StartAsync();
        var wrong = new List<string>();
        foreach (var (name, path, body) in s_shapes)
        {
            var large = await SendLargeAsync(server, path, Filled(body, $"\"{new string('x', 10_000_000)}\""));
            if (large != 413) wrong.Add($"{name} of 10 MB: {large}");
            var named = Filled(body, "1").Replace("ID", new string('x', 3_000_000), StringComparison.Ordinal);
            var (status, text) = await SendAsync(server, path, Json, named);
            if (status is not (400 or 422)) wrong.Add($"{name} with a long id: {status} {text}");
            (status, text) = await SendAsync(server, path, Json, Zipped(Encoding.UTF8.GetBytes(Filled(body, "1"))), "gzip");
            if (status != 415 || !text.Contains("Content-Encoding", StringComparison.Ordinal)) wrong.Add($"{name} zipped: {status} {text}");
        }

        var many = await SendAsync(server, "/v1/events", Json, $"[{string.Join(',', Enumerable.Repeat("1", 10_001))}]");
        if (many.Status != 400 || !many.Text.Contains("too_many", StringComparison.Ordinal)) wrong.Add($"many: {many}");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    [Theory]
    [InlineData("event_name=used&event_name=used&identifier=1&payload[n]=1&payload[stripe_customer_id]=alice", "event_name")]
    [InlineData("event_name=used&identifier=1&payload[n]=1&payload[n]=2&payload[stripe_customer_id]=alice", "payload[n]")]
    [InlineData("event_name=used&identifier=1&payload[n]=NaN&payload[stripe_customer_id]=alice", "payload[n]")]
    [InlineData("event_name=used&identifier=%00&payload[n]=1&payload[stripe_customer_id]=alice", "identifier")]
    [InlineData("event_name=used&identifier=1&payload[n]=%ED%A0%80&payload[stripe_customer_id]=alice", "payload[n]")]
    [InlineData("event_name=used&identifier=1&payload[n]=1&payload[stripe_customer_id]=alice&timestamp=1e400", "timestamp")]
    [InlineData("event_name=used&identifier=1&payload[n]=1", "payload[stripe_customer_id]")]
    [InlineData("payload[=1&[]=2&%&=&&&", "event_name")]
    [InlineData("\u00ff\u00fe", "event_name")]
    public async Task A_form_of_Stripes_clients_that_cannot_be_an_event_names_its_field(string form, string named)
    {
        await using var server = await StartAsync();
        var (status, text) = await SendAsync(server, "/v1/billing/meter_events", Form, Encoding.Latin1.GetBytes(form));
        Assert.Equal(400, status);
        Assert.Equal(named, JsonDocument.Parse(text).RootElement.GetProperty("error").GetProperty("param").GetString());
        Assert.Equal("0", await CallCostTests.ValueAsync(server, "used"));
    }

    [Fact]
    public async Task A_form_with_very_many_or_very_long_names_or_of_another_kind_is_refused()
    {
        await using var server = await StartAsync();
        foreach (var (type, form) in new[]
        {
            (Form, string.Join('&', Enumerable.Range(0, 5_000).Select(i => $"k{i}=1"))), (Form, $"{new string('k', 100_000)}=1"),
            ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"event_name\"\r\n\r\nused\r\n--x--\r\n"),
            ("text/plain", "event_name=used"), ("application/json", "{}"),
        })
            Assert.Equal(400, (await SendAsync(server, "/v1/billing/meter_events", type, form)).Status);
    }

    [Fact]
    public async Task An_event_in_headers_is_refused_for_each_header_that_is_none_and_may_have_no_body()
    {
        await using var server = await StartAsync();
        foreach (var (header, value, body, field) in new[]
        {
            ("ce-id", "%00", "{\"n\":1}", "id"), ("ce-source", "", "{\"n\":1}", "source"),
            ("ce-specversion", "0.3", "{\"n\":1}", "ce-specversion"), ("ce-time", "%ED%A0%80", "{\"n\":1}", "time"),
            ("ce-type", "unheard", "{\"n\":1}", "type"), ("ce-id", "1", "{\"n\":1,\"x\":\"\\ud800\"}", "data"),
            ("ce-id", "1", "", "data.n"), ("ce-id", "1", "[]", "data.n"), ("ce-id", new string('x', 2_000), "{\"n\":1}", "id"),
        })
        {
            var (status, text) = await SendAsync(server, "/v1/events", Json, Encoding.UTF8.GetBytes(body), headers: (header, value));
            Assert.Equal((400, field), (status, JsonDocument.Parse(text).RootElement.GetProperty("items")[0]
                .GetProperty("reason").GetProperty("field").GetString()));
        }

        Assert.Equal(400, (await SendAsync(server, "/v1/events", Json, "{"u8.ToArray(), headers: ("ce-id", "1"))).Status);
        Assert.Equal("0", await CallCostTests.ValueAsync(server, "used"));
    }

    private static string IdentityOf(string body) => s_identities.First(i => body.Contains($"\"{i}\"", StringComparison.Ordinal));

    private static string Filled(string body, string value, string more = "") =>
        body.Replace("VALUE", value, StringComparison.Ordinal).Replace("MORE", more, StringComparison.Ordinal);

    private static byte[] Text(string body, string value) => Encoding.UTF8.GetBytes(Filled(body, value));

    /// <summary>With bytes inside of a text.</summary>
    private static byte[] Bytes(string body, byte[] bytes)
    {
        var parts = Filled(body, "\"|\"").Split('|');
        return [.. Encoding.UTF8.GetBytes(parts[0]), .. bytes, .. Encoding.UTF8.GetBytes(parts[1])];
    }

    private static byte[] Zipped(byte[] bytes)
    {
        using var zipped = new MemoryStream();
        using (var zip = new GZipStream(zipped, CompressionLevel.Fastest)) zip.Write(bytes);
        return zipped.ToArray();
    }

    private static async Task<TestServer> StartAsync()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var server = await TestServer.StartAsync(File, upstream);
        await server.PostAsync("/v1/customers", new { name = "alice" });
        await server.PostAsync("/v1/subscriptions", new { customer = "alice", plan = "pro", start_at = "2026-01-01T00:00:00Z" });
        return server;
    }

    /// <summary>What is too large is refused before it is read, and its connection closed: who goes on sending may not see
    /// the answer.</summary>
    private static async Task<int> SendLargeAsync(TestServer server, string path, string body)
    {
        try
        {
            return (await SendAsync(server, path, Json, body)).Status;
        }
        catch (HttpRequestException)
        {
            return 413;
        }
    }

    private static Task<(int Status, string Text)> SendAsync(TestServer server, string path, string type, string body) =>
        SendAsync(server, path, type, Encoding.UTF8.GetBytes(body));

    private static async Task<(int Status, string Text)> SendAsync(
        TestServer server, string path, string type, byte[] body, string? encoding = null, (string Name, string Value)? headers = null)
    {
        using var content = new ByteArrayContent(body);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Content = content };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        if (encoding is not null) request.Content.Headers.ContentEncoding.Add(encoding);
        if (headers is { } given)
            foreach (var (name, value) in new[]
            {
                ("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "used"), ("ce-subject", "alice"),
            }.Where(h => h.Item1 != given.Name).Append(given))
                request.Headers.TryAddWithoutValidation(name, value);
        using var answer = await server.Admin.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
