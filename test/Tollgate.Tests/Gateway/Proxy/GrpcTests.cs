using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>HTTP/2 on both sides, and gRPC over it: messages are five bytes and their content, and how a call ended is a trailer.
/// </summary>
public sealed class GrpcTests
{
    private static readonly byte[] s_message = [0, 0, 0, 0, 2, 8, 1];

    [Theory]
    [InlineData("0", 1)]
    [InlineData("5", 1)]
    [InlineData("8", 1)]
    [InlineData("13", 0)]
    [InlineData("14", 0)]
    [InlineData("nonsense", 0)]
    [InlineData("0 among the headers", 1)]
    [InlineData("14 among the headers", 0)]
    public async Task A_call_is_billed_by_its_grpc_status(string ends, int billed)
    {
        await using var upstream = await TestUpstream.StartAsync(HttpProtocols.Http2);
        var code = ends.Split(' ')[0];
        upstream.Answer = async context =>
        {
            context.Response.ContentType = "application/grpc";
            if (code != ends)
            {
                context.Response.Headers["grpc-status"] = code;
                return;
            }

            await context.Request.Body.CopyToAsync(Stream.Null);
            await context.Response.Body.WriteAsync(s_message);
            context.Response.AppendTrailer("grpc-status", code);
            context.Response.AppendTrailer("grpc-message", "said");
        };
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        using var client = Client();
        using var answer = await client.SendAsync(Call(server, key), TestContext.Current.CancellationToken);
        var body = await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, "application/grpc"), (answer.StatusCode, answer.Content.Headers.ContentType?.MediaType));
        var told = code == ends ? answer.TrailingHeaders : answer.Headers;
        Assert.Equal(code, told.GetValues("grpc-status").Single());
        if (code == ends) Assert.Equal(s_message, body);
        var seen = Assert.Single(upstream.Seen);
        Assert.Equal("trailers", seen.Headers["TE"]);
        Assert.Equal("application/grpc", seen.Headers["Content-Type"]);
        await server.NothingIsOpenAsync();
        Assert.Equal(billed, await server.UsageAsync());
    }

    [Fact]
    public async Task Messages_of_a_stream_cross_both_ways_while_it_is_open()
    {
        await using var upstream = await TestUpstream.StartAsync(HttpProtocols.Http2);
        upstream.Answer = async context =>
        {
            context.Response.ContentType = "application/grpc";
            var buffer = new byte[64];
            while (await context.Request.Body.ReadAsync(buffer) is var read and > 0)
            {
                await context.Response.Body.WriteAsync(buffer.AsMemory(0, read));
                await context.Response.Body.FlushAsync();
            }

            context.Response.AppendTrailer("grpc-status", "0");
        };
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        using var client = Client();
        var pipe = new System.IO.Pipelines.Pipe();
        var request = Call(server, key);
        request.Content = new OpenContent(pipe.Reader.AsStream());
        request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc+proto");
        var token = TestContext.Current.CancellationToken;
        await pipe.Writer.WriteAsync(s_message, token);
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, token);
        await using var stream = await answer.Content.ReadAsStreamAsync(token);
        var got = new byte[s_message.Length];
        for (var i = 0; i < 3; i++)
        {
            await stream.ReadExactlyAsync(got, token);
            Assert.Equal(s_message, got);
            Assert.Equal(0, await server.UsageAsync());
            if (i < 2) await pipe.Writer.WriteAsync(s_message, token);
        }

        Assert.Equal("application/grpc+proto", Assert.Single(upstream.Seen).Headers["Content-Type"]);
        await pipe.Writer.CompleteAsync();
        Assert.Equal(0, await stream.ReadAsync(got, token));
        Assert.Equal("0", answer.TrailingHeaders.GetValues("grpc-status").Single());
        Assert.Equal(1, await server.UsageAsync());
    }

    [Fact]
    public async Task A_stream_whose_upstream_breaks_off_costs_nothing()
    {
        var seen = new TaskCompletionSource();
        await using var upstream = await TestUpstream.StartAsync(HttpProtocols.Http2);
        upstream.Answer = async context =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.Body.WriteAsync(s_message);
            await context.Response.Body.FlushAsync();
            await seen.Task;
            context.Abort();
        };
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        using var client = Client();
        var token = TestContext.Current.CancellationToken;
        using var answer = await client.SendAsync(Call(server, key), HttpCompletionOption.ResponseHeadersRead, token);
        await using var stream = await answer.Content.ReadAsStreamAsync(token);
        await stream.ReadExactlyAsync(new byte[s_message.Length], token);
        seen.SetResult();
        await Assert.ThrowsAnyAsync<IOException>(() => stream.ReadExactlyAsync(new byte[1], token).AsTask());
        await server.NothingIsOpenAsync();
        Assert.Equal(0, await server.UsageAsync());
    }

    [Theory]
    [InlineData("/shop.Orders/Get", null, "16", "Send the key in the header apikey.")]
    [InlineData("/shop.Orders/Unknown", "key", "12", "no Route matched with those values.")]
    [InlineData("/shop.Orders/Get", "spent", "8", "The plan pro admits")]
    [InlineData("/gone.Orders/Get", "key", "14", "It refused the connection.")]
    public async Task A_refusal_is_told_by_grpc_status(string path, string? who, string code, string message)
    {
        await using var upstream = await TestUpstream.StartAsync(HttpProtocols.Http2);
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        using var client = Client();
        if (who == "spent")
            for (var i = 0; i < 5; i++)
                (await client.SendAsync(Call(server, key), TestContext.Current.CancellationToken)).Dispose();
        using var answer = await client.SendAsync(
            Call(server, who is null ? null : key, path), TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, "application/grpc"), (answer.StatusCode, answer.Content.Headers.ContentType?.MediaType));
        Assert.Equal(code, answer.Header("grpc-status"));
        Assert.StartsWith(message, answer.Header("grpc-message"), StringComparison.Ordinal);
        Assert.NotNull(answer.Header("X-Request-Id"));
        await server.NothingIsOpenAsync();
    }

    private static HttpClient Client() => new(new SocketsHttpHandler())
    {
        DefaultRequestVersion = HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    private static HttpRequestMessage Call(TestServer server, string? key, string path = "/shop.Orders/Get")
    {
        var request = new HttpRequestMessage(
            HttpMethod.Post, new UriBuilder(server.Proxies[1]) { Scheme = "http", Path = path }.Uri)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(s_message),
        };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc");
        request.Headers.Add("TE", "trailers");
        if (key is not null) request.Headers.Add("apikey", key);
        return request;
    }

    private static Task<TestServer> StartAsync(TestUpstream upstream) => TestServer.StartAsync("""
        version: 1
        currency: USD
        apis:
          orders:
            upstream: UPSTREAM
            protocol: http2
            operations: { get-order: POST /shop.Orders/Get }
          gone:
            upstream: http://127.0.0.1:1
            protocol: http2
            operations: { gone: POST /gone.Orders/Get }
        plans:
          pro: { operations: ["*"], limits: [5/minute] }
        """, upstream, change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });

    /// <summary>A body that is sent as it comes; the client's own holds small pieces back.</summary>
    private sealed class OpenContent(Stream source) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.FlushAsync();
            var buffer = new byte[64];
            while (await source.ReadAsync(buffer) is var read and > 0)
            {
                await stream.WriteAsync(buffer.AsMemory(0, read));
                await stream.FlushAsync();
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
