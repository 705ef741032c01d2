using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>What belongs to one connection and ends with it, and what crosses from one version of HTTP to another.</summary>
public sealed class ConnectionTests
{
    [Fact]
    public async Task A_header_that_Connection_names_ends_at_the_gate_both_ways()
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = context =>
        {
            context.Response.Headers.Connection = "X-Back, X-Other";
            context.Response.Headers["X-Back"] = "1";
            context.Response.Headers["X-Stays"] = "2";
            return Task.CompletedTask;
        };
        await using var server = await ProxyHost.StartAsync(upstream, "");
        var key = await server.SubscribeAsync("paul", "pro");
        using var answer = await server.SendAsync(server.Request("/v1/data", key, headers:
            [("Connection", "X-Other, x-drop"), ("X-Drop", "1"), ("X-Keep", "2")]));
        Assert.Equal((null, "2"), (answer.Header("X-Back"), answer.Header("X-Stays")));
        var seen = Assert.Single(upstream.Seen).Headers;
        Assert.DoesNotContain("X-Drop", seen.Keys);
        Assert.Equal("2", seen["X-Keep"]);
    }

    [Theory]
    [InlineData(HttpProtocols.Http1)]
    [InlineData(HttpProtocols.Http2)]
    public async Task A_web_socket_over_HTTP_2_is_the_GET_that_it_is_over_HTTP_1(HttpProtocols protocols)
    {
        await using var upstream = await TestUpstream.StartAsync(protocols);
        upstream.Answer = EchoAsync;
        await using var server = await ProxyHost.StartAsync(upstream, protocols == HttpProtocols.Http2 ? "protocol: http2" : "",
            change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
        var key = await server.SubscribeAsync("paul", "pro");
        var token = TestContext.Current.CancellationToken;
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler());
        using var client = new ClientWebSocket();
        client.Options.HttpVersion = HttpVersion.Version20;
        client.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        client.Options.SetRequestHeader("apikey", key);
        await client.ConnectAsync(new UriBuilder(server.Proxies[1]) { Scheme = "ws", Path = "/v1/data" }.Uri, invoker, token);
        await client.SendAsync("hello"u8.ToArray(), WebSocketMessageType.Text, true, token);
        var answer = new byte[64];
        Assert.Equal(5, (await client.ReceiveAsync(answer, token)).Count);
        await client.CloseAsync(WebSocketCloseStatus.NormalClosure, null, token);
        await server.NothingIsOpenAsync();
        Assert.Equal(1, await server.UsageAsync());
        var call = (await server.GetAsync("/v1/calls?consumer=paul")).GetProperty("data")[0];
        Assert.Equal("GET", call.GetProperty("method").GetString());
        Assert.DoesNotContain("apikey", Assert.Single(upstream.Seen).Headers.Keys);
    }

    [Fact]
    public async Task A_tunnel_is_no_operation_and_says_nothing_about_a_server()
    {
        await using var first = await TestUpstream.StartAsync();
        await using var second = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(null,
            $"upstream: [{{ url: {first.Address} }}, {{ url: {second.Address} }}]", "any: /v1/data",
            change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
        var key = await server.SubscribeAsync("paul", "pro");
        for (var i = 0; i < 12; i++)
        {
            var got = await RawCall.SendAsync(server.Proxy,
                $"CONNECT /v1/data HTTP/1.1\r\nHost: a\r\napikey: {key}\r\nConnection: close\r\n\r\n");
            Assert.Equal(404, got.Status);
        }

        await using var http2 = await RawHttp2.ConnectAsync(server.Proxies[1]);
        var (status, _) = await http2.CallAsync([(":method", "CONNECT"), (":protocol", "masque"), (":scheme", "http"),
            (":path", "/v1/data"), (":authority", "a"), ("apikey", key)], "");
        Assert.Equal(404, status);
        for (var i = 0; i < 4; i++) (await server.CallAsync("/v1/data", key)).Dispose();
        Assert.Equal((2, 2), (first.Seen.Count, second.Seen.Count));
        Assert.Equal(4, await server.UsageAsync());
    }

    [Theory]
    [InlineData("first_byte: 200ms", 200, 1)]
    [InlineData("total: 400ms", 504, 0)]
    public async Task The_time_that_a_caller_takes_over_its_body_is_not_the_servers(string timeouts, int status, int billed)
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = context => context.Request.Body.CopyToAsync(Stream.Null, context.RequestAborted);
        await using var other = await TestUpstream.StartAsync();
        await using var server = await ProxyHost.StartAsync(null, $$"""
            upstream: [{ url: {{upstream.Address}}, weight: 100 }, { url: {{other.Address}} }]
            timeouts: { {{timeouts}} }
            """, "post: POST /v1/data\nget: GET /v1/data");
        var key = await server.SubscribeAsync("paul", "pro");
        await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
        {
            using var client = new TcpClient();
            await client.ConnectAsync(server.Proxy.Host, server.Proxy.Port);
            await using var stream = client.GetStream();
            await stream.WriteAsync(Encoding.ASCII.GetBytes(
                $"POST /v1/data HTTP/1.1\r\nHost: a\r\napikey: {key}\r\nConnection: close\r\nContent-Length: 600\r\n\r\n"));
            using var reader = new StreamReader(stream);
            var answer = reader.ReadLineAsync();
            for (var sent = 0; sent < 6 && !answer.IsCompleted; sent++)
            {
                await Task.Delay(100);
                if (!answer.IsCompleted) await stream.WriteAsync(new byte[100]);
            }

            Assert.Equal($"HTTP/1.1 {status}", (await answer)?[..12]);
        }));
        await server.NothingIsOpenAsync();
        Assert.Equal(6 * billed, await server.UsageAsync());
        var before = other.Seen.Count;
        for (var i = 0; i < 4; i++) (await server.CallAsync("/v1/data", key)).Dispose();
        Assert.Equal(before, other.Seen.Count);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_a_request_with_a_body_is_too_late_when_it_has_the_body()
    {
        await using var upstream = await TestUpstream.StartAsync();
        upstream.Answer = async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            try { await Task.Delay(5_000, context.RequestAborted); }
            catch (OperationCanceledException) { }
        };
        await using var server = await ProxyHost.StartAsync(upstream, "timeouts: { first_byte: 200ms }", "post: POST /v1/data");
        var key = await server.SubscribeAsync("paul", "pro");
        foreach (var chunked in (bool[])[false, true])
        {
            var request = server.Request("/v1/data", key, HttpMethod.Post);
            request.Content = new StringContent("body");
            request.Headers.TransferEncodingChunked = chunked;
            using var answer = await server.SendAsync(request);
            Assert.Equal(HttpStatusCode.GatewayTimeout, answer.StatusCode);
        }

        Assert.Equal(0, await server.UsageAsync());
    }

    [Fact]
    public async Task Trailers_of_an_answer_reach_callers_over_HTTP_2_and_are_promised_to_no_others()
    {
        await using var upstream = await TestUpstream.StartAsync(HttpProtocols.Http2);
        upstream.Answer = async context =>
        {
            context.Response.DeclareTrailer("X-Sum");
            await context.Response.WriteAsync("hello");
            context.Response.AppendTrailer("X-Sum", "42");
        };
        await using var server = await ProxyHost.StartAsync(upstream, "protocol: http2",
            change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
        var key = await server.SubscribeAsync("paul", "pro");
        var old = await RawCall.SendAsync(server.Proxy,
            $"GET /v1/data HTTP/1.1\r\nHost: a\r\napikey: {key}\r\nConnection: close\r\nTE: trailers\r\nTrailer: X-T\r\n\r\n");
        Assert.Equal((200, null), (old.Status, old.Header("Trailer")));
        Assert.Contains("hello", old.Body, StringComparison.Ordinal);
        using var client = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Get,
            new UriBuilder(server.Proxies[1]) { Scheme = "http", Path = "/v1/data" }.Uri)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Add("apikey", key);
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal("hello", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal("42", answer.TrailingHeaders.GetValues("X-Sum").Single());
        Assert.Equal("X-Sum", answer.Headers.Trailer.Single());
        Assert.DoesNotContain(upstream.Seen, s => s.Headers.ContainsKey("Trailer"));
    }

    /// <summary>A WebSocket that says what it hears, over either version.</summary>
    internal static async Task EchoAsync(HttpContext context)
    {
        Stream stream;
        if (context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } connect)
        {
            stream = await connect.AcceptAsync();
        }
        else
        {
            context.Response.Headers.Connection = "Upgrade";
            context.Response.Headers.Upgrade = "websocket";
            context.Response.Headers["Sec-WebSocket-Accept"] = UpstreamTests.Accept(context.Request.Headers["Sec-WebSocket-Key"]!);
            stream = await context.Features.GetRequiredFeature<IHttpUpgradeFeature>().UpgradeAsync();
        }

        using var socket = WebSocket.CreateFromStream(stream, new WebSocketCreationOptions { IsServer = true });
        var buffer = new byte[64];
        var got = await socket.ReceiveAsync(buffer, CancellationToken.None);
        await socket.SendAsync(buffer.AsMemory(0, got.Count), WebSocketMessageType.Text, true, CancellationToken.None);
        await socket.ReceiveAsync(buffer, CancellationToken.None);
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, CancellationToken.None);
    }
}
