using System.Net;
using System.Net.Sockets;
using System.Text;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>Upstreams that break off, answer nonsense, or close reused connections, byte by byte.</summary>
public sealed class RoughUpstreamTests
{
    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", 502, 0, "It closed the connection before its answer began.")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", 502, 0, "What it sent is no HTTP answer.")]
    [InlineData("HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", 502, 0, "It answered with a status that is none.")]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", 502, 0,
        "It answered with a status that is none.")]
    [InlineData("garbage\r\n\r\n", 502, 0, "What it sent is no HTTP answer.")]
    [InlineData("", 502, 0, "It closed the connection before its answer began.")]
    [InlineData("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", 204, 1)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, 1)]
    [InlineData("HTTP/1.1 200 OK\r\nX-City: Z\u00fcrich\r\nContent-Length: 2\r\n\r\nok", 200, 1)]
    [InlineData("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, 0)]
    public async Task A_caller_who_gets_no_answer_of_the_upstream_pays_nothing_and_is_told_why(
        string answer, int status, int billed, string? why = null)
    {
        using var upstream = new RawUpstream(answer);
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        var got = await RawCall.GetAsync(server.Proxy, "/v1/public/data", key);
        Assert.Equal(status, got.Status);
        Assert.NotNull(got.Header("X-Request-Id"));
        if (why is not null) Assert.Contains($"\"detail\":\"{why}\"", got.Body, StringComparison.Ordinal);
        Assert.Equal(billed, await server.UsageAsync());
        Assert.Null(server.Node.Journal.Trouble);
    }

    [Fact]
    public async Task A_POST_without_a_body_is_never_sent_twice()
    {
        using var upstream = new RawUpstream("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", answers: 1);
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        var post = $"POST /v1/orders HTTP/1.1\r\nHost: {server.Proxy.Authority}\r\napikey: {key}\r\nConnection: close\r\n\r\n";
        Assert.Equal(200, (await RawCall.SendAsync(server.Proxy, post)).Status);
        Assert.Equal(502, (await RawCall.SendAsync(server.Proxy, post)).Status);
        Assert.Equal(2, upstream.Requests);
        Assert.Equal(1, await server.UsageAsync());
    }

    [Fact]
    public async Task A_callers_broken_body_is_the_callers_fault()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        upstream.Answer = context => context.Request.Body.CopyToAsync(Stream.Null);
        var key = await server.SubscribeAsync("paul", "pro");
        var got = await RawCall.SendAsync(server.Proxy,
            $"POST /v1/orders HTTP/1.1\r\nHost: {server.Proxy.Authority}\r\napikey: {key}\r\nConnection: close\r\n" +
            "Transfer-Encoding: chunked\r\n\r\nZZZ\r\nabc\r\n0\r\n\r\n");
        Assert.Equal(400, got.Status);
        Assert.Equal(0, await server.UsageAsync());
    }

    private static async Task<TestServer> StartAsync(RawUpstream upstream)
    {
        var yaml = Yaml.Tiers.Replace("UPSTREAM", upstream.Address, StringComparison.Ordinal);
        return await TestServer.StartAsync(yaml);
    }

    /// <summary>Answers each request on a connection with the same bytes, so many times, and then closes it.</summary>
    private sealed class RawUpstream : IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private int _requests;

        public RawUpstream(string answer, int answers = 1)
        {
            _listener.Start();
            _ = ServeAsync(Encoding.Latin1.GetBytes(answer), answers);
        }

        public string Address => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

        public int Requests => Volatile.Read(ref _requests);

        public void Dispose() => _listener.Dispose();

        private async Task ServeAsync(byte[] answer, int answers)
        {
            while (true)
            {
                TcpClient client;
                try
                {
                    client = await _listener.AcceptTcpClientAsync();
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    return;
                }

                _ = AnswerAsync(client, answer, answers);
            }
        }

        private async Task AnswerAsync(TcpClient client, byte[] answer, int answers)
        {
            using var connection = client;
            var stream = client.GetStream();
            var buffer = new byte[16_384];
            for (var i = 0; ; i++)
            {
                if (await stream.ReadAsync(buffer) == 0) return;
                Interlocked.Increment(ref _requests);
                if (i == answers) return;
                await stream.WriteAsync(answer);
                if (!answer.AsSpan().EndsWith("Content-Length: 0\r\n\r\n"u8)) return;
            }
        }
    }
}
