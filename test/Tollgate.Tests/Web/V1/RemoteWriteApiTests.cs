using System.Net;
using System.Net.Http.Headers;
using Tollgate.Tests.Gateway.Cost;
using Tollgate.Tests.Metering;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>Samples that are sent, from the request to the usage that is told.</summary>
public sealed class RemoteWriteApiTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m: { upstream: UPSTREAM, operations: { data: GET /v1/data } }
        plans:
          pro: { operations: [data] }
        sources:
          shop: { remote_write: true, series: 'calls_total{job="shop"}', subject: consumer, endpoint: path }
          asked: { prometheus: "http://127.0.0.1:9", series: calls_total, subject: consumer }
        """;

    // the test clock stands at noon
    private static readonly long s_noon = TestServer.Start.ToUnixTimeMilliseconds();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Samples_count_once_however_often_and_in_which_order_they_come(bool version2)
    {
        await using var server = await StartAsync();
        await SentAsync(server, version2, ("alice", -60, 100));
        await SentAsync(server, version2, ("alice", -45, 110), ("bob", -45, 5));
        await SentAsync(server, version2, ("alice", -45, 110), ("bob", -45, 5)); // again: the answer was lost
        await SentAsync(server, version2, ("alice", -60, 100)); // late
        await SentAsync(server, version2, ("alice", -30, 113), ("alice", -15, 120));
        await SentAsync(server, version2, ("alice", 7_200, 999)); // of tomorrow
        Assert.Equal("20", await CallCostTests.ValueAsync(server, "calls&customer=alice"));
        var source = await server.GetAsync("/v1/sources/shop");
        Assert.Equal((3, 1), (source.GetProperty("since_start").GetProperty("old").GetInt32(),
            source.GetProperty("since_start").GetProperty("refused").GetInt32()));
        Assert.Equal("bob", (await server.GetAsync("/v1/unattributed_usage")).GetProperty("data")[0].GetProperty("subject").GetString());
    }

    [Fact]
    public async Task A_restart_that_a_process_tells_counts_at_once()
    {
        await using var server = await StartAsync();
        await SentAsync(server, false, ("alice", -60, 100), ("", -60, 1_000));
        await SentAsync(server, false, ("alice", -45, 150), ("", -45, s_noon / 1_000 - 50));
        Assert.Equal("150", await CallCostTests.ValueAsync(server, "calls"));
    }

    [Fact]
    public async Task A_target_that_does_not_say_when_its_process_started_is_told()
    {
        await using var server = await StartAsync();
        await SentAsync(server, false, ("alice", -60, 100));
        Assert.Equal(1, await WithoutStartAsync());
        await SentAsync(server, false, ("alice", -45, 150), ("", -45, s_noon / 1_000 - 50));
        Assert.Equal(0, await WithoutStartAsync());

        async Task<int> WithoutStartAsync() =>
            (await server.GetAsync("/v1/sources/shop")).GetProperty("targets_without_start").GetInt32();
    }

    [Fact]
    public async Task What_is_no_remote_write_is_refused_and_why_is_said()
    {
        await using var server = await StartAsync();
        var good = RemoteWriteTests.Pack(RemoteWriteTests.Request(false, Series("alice", -60, 100)));
        Assert.Equal((HttpStatusCode.NotFound, "not_found"), await PostAsync(server, "nobody", good));
        Assert.Equal((HttpStatusCode.Conflict, "source_is_asked"), await PostAsync(server, "asked", good));
        Assert.Equal((HttpStatusCode.UnsupportedMediaType, "bad_value"), await PostAsync(server, "shop", good, type: "application/json"));
        Assert.Equal((HttpStatusCode.UnsupportedMediaType, "bad_value"), await PostAsync(server, "shop", good, encoding: "gzip"));
        Assert.Equal((HttpStatusCode.BadRequest, "bad_value"), await PostAsync(server, "shop", []));
        Assert.Equal((HttpStatusCode.BadRequest, "bad_value"), await PostAsync(server, "shop", good[..^3]));
        Assert.Equal((HttpStatusCode.BadRequest, "bad_value"), await PostAsync(server, "shop", [0xFF, 0xFF, 0xFF, 0xFF, 7]));
        Assert.Equal(0, (await server.GetAsync("/v1/sources/shop")).GetProperty("known_series").GetInt32());
        Assert.Equal(HttpStatusCode.NoContent, (await PostAsync(server, "shop", good)).Status);
    }

    [Fact]
    public async Task Only_parked_targets_are_released()
    {
        await using var server = await StartAsync();
        Assert.Equal(0, (await server.PostAsync("/v1/sources/shop/release", new { })).GetProperty("released").GetArrayLength());
        using var half = await server.Admin.PostAsync(new Uri("/v1/sources/shop/release", UriKind.Relative),
            new StringContent("{\"job\":\"shop\"}"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, half.StatusCode);
    }

    private static async Task<TestServer> StartAsync()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var server = await TestServer.StartAsync(File, upstream);
        await server.PostAsync("/v1/customers", new { name = "alice" });
        await server.PostAsync("/v1/subscriptions", new { customer = "alice", plan = "pro", start_at = "2026-01-01T00:00:00Z" });
        return server;
    }

    private static async Task SentAsync(TestServer server, bool version2, params (string Consumer, int At, double Value)[] samples)
    {
        var series = samples.GroupBy(s => s.Consumer).Select(g => (Series(g.Key, 0, 0).Labels,
            g.Select(s => (s_noon + s.At * 1_000L, s.Value)).ToArray())).ToArray();
        var body = RemoteWriteTests.Pack(RemoteWriteTests.Request(version2, series));
        var type = version2 ? "application/x-protobuf;proto=io.prometheus.write.v2.Request" : "application/x-protobuf";
        Assert.Equal((HttpStatusCode.NoContent, ""), await PostAsync(server, "shop", body, type));
    }

    /// <summary>Nobody's is what the process says of itself.</summary>
    private static ((string, string)[] Labels, (long, double)[] Samples) Series(string consumer, int at, double value) =>
        ([
            ("__name__", consumer.Length == 0 ? "process_start_time_seconds" : "calls_total"), ("consumer", consumer),
            ("instance", "app:80"), ("job", "shop"),
        ], [(s_noon + at * 1_000L, value)]);

    private static async Task<(HttpStatusCode Status, string Code)> PostAsync(
        TestServer server, string source, byte[] body, string type = "application/x-protobuf", string encoding = "snappy")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/sources/{source}/write") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        request.Content.Headers.ContentEncoding.Add(encoding);
        using var answer = await server.Admin.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return (answer.StatusCode, text.Length == 0 ? ""
            : System.Text.Json.JsonDocument.Parse(text).RootElement.GetProperty("errors")[0].GetProperty("code").GetString()!);
    }
}
