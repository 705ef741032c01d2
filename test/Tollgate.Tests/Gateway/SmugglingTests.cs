using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>
/// Requests that two servers could take for different ones (RFC 9112 11.2), byte by byte. Whatever is made of them, the
/// upstream never sees a request that was not gated as that request, nor a body that was not sent as its body.
/// </summary>
public sealed class SmugglingTests
{
    private const string Order = "POST /v1/orders HTTP/1.1\r\nHost: api.test\r\napikey: KEY\r\n";
    private const string End = "GET /end HTTP/1.1\r\nHost: api.test\r\nConnection: close\r\n\r\n";
    private const string Hidden = "GET /v1/enterprise/advanced HTTP/1.1\r\nHost: api.test\r\n\r\n";

    /// <summary>The bytes; the first status (0: closed without a word); what reached the upstream: method, target and
    /// body, or nothing.</summary>
    public static TheoryData<string, string, int, string> Corpus => new()
    {
        // two lengths
        { "CL and TE",
            Order + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + Hidden,
            200, "POST /v1/orders " },
        { "TE and CL",
            Order + "Transfer-Encoding: chunked\r\nContent-Length: 100\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + Hidden,
            200, "POST /v1/orders abc" },
        { "two CL that differ", Order + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, "" },
        { "two CL alike", Order + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, "" },
        { "a list of CL", Order + "Content-Length: 3, 3\r\n\r\nabc", 400, "" },
        { "CL with a sign", Order + "Content-Length: +3\r\n\r\nabc", 200, "POST /v1/orders abc" },
        { "CL below zero", Order + "Content-Length: -3\r\n\r\nabc", 400, "" },
        { "CL in hex", Order + "Content-Length: 0x3\r\n\r\nabc", 400, "" },
        { "CL with an underscore", Order + "Content-Length: 1_0\r\n\r\nabc", 400, "" },
        { "CL beyond 64 bits", Order + "Content-Length: 18446744073709551619\r\n\r\nabc", 400, "" },
        { "CL empty", Order + "Content-Length: \r\n\r\nabc", 400, "" },
        { "CL with a zero in front", Order + "Content-Length: 03\r\n\r\nabc", 200, "POST /v1/orders abc" },

        // transfer codings that one server knows and another does not
        { "TE unknown", Order + "Transfer-Encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "TE not last", Order + "Transfer-Encoding: chunked, identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "TE twice",
            Order + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            400, "" },
        { "TE quoted", Order + "Transfer-Encoding: \"chunked\"\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "TE with a vertical tab", Order + "Transfer-Encoding: \vchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "TE behind a space before the colon",
            Order + "Transfer-Encoding : chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "TE in capitals",
            Order + "TRANSFER-ENCODING: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "POST /v1/orders abc" },
        { "TE by underscore beside CL",
            Order + "Transfer_Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 200, "POST /v1/orders abc" },
        { "TE in HTTP/1.0",
            "POST /v1/orders HTTP/1.0\r\nHost: api.test\r\napikey: KEY\r\nTransfer-Encoding: chunked\r\n" +
            "\r\n3\r\nabc\r\n0\r\n\r\n", 200, "POST /v1/orders abc" },

        // chunks
        { "a chunk size with a sign", Order + "Transfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "a chunk size below zero", Order + "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "a chunk size with 0x", Order + "Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "a chunk size that overflows",
            Order + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFF0\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "a chunk without its end", Order + "Transfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n", 400, "" },
        { "a chunk that ends in a bare LF",
            Order + "Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n" + Hidden, 400, "" },
        { "an extension with a bare LF",
            Order + "Transfer-Encoding: chunked\r\n\r\n3;a\nb\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "no chunk size", Order + "Transfer-Encoding: chunked\r\n\r\n\r\nabc\r\n0\r\n\r\n", 400, "" },

        // lines
        { "obs-fold of TE", Order + "Transfer-Encoding:\r\n chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 400, "" },
        { "obs-fold of any", Order + "X-A: b\r\n c: d\r\nContent-Length: 3\r\n\r\nabc", 400, "" },
        { "a folded first header",
            "POST /v1/orders HTTP/1.1\r\n Host: evil.test\r\nHost: api.test\r\napikey: KEY\r\n" +
            "Content-Length: 0\r\n\r\n", 400, "" },
        { "bare LF lines", "POST /v1/orders HTTP/1.1\nHost: api.test\napikey: KEY\nContent-Length: 0\n\n", 400, "" },
        { "a bare LF in a value", Order + "X-A: b\nContent-Length: 3\r\n\r\nabc", 400, "" },
        { "a bare CR in a value", Order + "X-A: b\rContent-Length: 3\r\nContent-Length: 0\r\n\r\n", 400, "" },
        { "a NUL in a value", Order + "X-A: b\0c\r\nContent-Length: 0\r\n\r\n", 400, "" },
        { "a NUL in a name", Order + "X\0A: b\r\nContent-Length: 0\r\n\r\n", 400, "" },
        { "a header without a colon", Order + "Content-Length\r\n\r\n", 400, "" },
        { "a header without a name", Order + ": 3\r\nContent-Length: 0\r\n\r\n", 400, "" },
        { "a space in a name", Order + "Content Length: 3\r\n\r\nabc", 400, "" },
        { "a tab before the colon", Order + "Content-Length\t: 3\r\n\r\nabc", 400, "" },
        { "a name in Latin-1", Order + "Content-L\u00e9ngth: 3\r\nContent-Length: 0\r\n\r\n", 400, "" },

        // who is meant
        { "two hosts",
            "POST /v1/orders HTTP/1.1\r\nHost: api.test\r\nHost: evil.test\r\napikey: KEY\r\n" +
            "Content-Length: 0\r\n\r\n", 400, "" },
        { "no host", "POST /v1/orders HTTP/1.1\r\napikey: KEY\r\nContent-Length: 0\r\n\r\n", 400, "" },
        { "a host with a path",
            "POST /v1/orders HTTP/1.1\r\nHost: api.test/x\r\napikey: KEY\r\nContent-Length: 0\r\n\r\n", 400, "" },
        { "a host with a user",
            "POST /v1/orders HTTP/1.1\r\nHost: a@api.test\r\napikey: KEY\r\nContent-Length: 0\r\n\r\n", 400, "" },
        { "absolute-form of another host",
            "POST http://evil.test/v1/orders HTTP/1.1\r\nHost: api.test\r\napikey: KEY\r\n" +
            "Content-Length: 0\r\n\r\n", 400, "" },
        { "absolute-form of this host",
            "POST http://api.test/v1/orders HTTP/1.1\r\nHost: api.test\r\napikey: KEY\r\n" +
            "Content-Length: 0\r\n\r\n", 200, "POST /v1/orders " },
        { "CONNECT", "CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\napikey: KEY\r\n\r\n" + Hidden, 400, "" },
        { "asterisk", "OPTIONS * HTTP/1.1\r\nHost: api.test\r\napikey: KEY\r\n\r\n", 400, "" },
        { "a space in the target",
            "POST /v1/orders HTTP/1.1 HTTP/1.1\r\nHost: api.test\r\napikey: KEY\r\nContent-Length: 0\r\n\r\n",
            400, "" },
        { "HTTP/0.9", "GET /v1/public/data\r\n\r\n", 400, "" },
        { "HTTP/1.2", "GET /v1/public/data HTTP/1.2\r\nHost: api.test\r\napikey: KEY\r\n\r\n", 505, "" },
        { "a method with a lie",
            "GET\tX /v1/public/data HTTP/1.1\r\nHost: api.test\r\napikey: KEY\r\n\r\n", 400, "" },
        { "an empty line too many",
            "\r\n\r\nPOST /v1/orders HTTP/1.1\r\nHost: api.test\r\napikey: KEY\r\nContent-Length: 0\r\n\r\n",
            200, "POST /v1/orders " },

        // the headers of a connection
        { "upgrade to h2c",
            Order + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" +
            "HTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 0\r\n\r\n", 200, "POST /v1/orders " },
        { "a length that Connection names",
            Order + "Connection: Content-Length\r\nContent-Length: 3\r\n\r\nabc", 200, "POST /v1/orders abc" },
        { "TE that Connection names",
            Order + "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            200, "POST /v1/orders abc" },
        { "a body on GET with a request in it",
            "GET /v1/public/data HTTP/1.1\r\nHost: api.test\r\napikey: KEY\r\nContent-Length: 56\r\n\r\n" +
            Hidden, 200, "GET /v1/public/data " + Hidden },
        { "the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "" },
    };

    [Fact]
    public async Task No_request_is_smuggled_past_the_gate_over_HTTP_1()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var seen = new ConcurrentQueue<(string Case, string Request)>();
        upstream.Answer = async context =>
        {
            var request = context.Request;
            var of = request.Headers["X-Case"].ToString();
            var begun = $"{request.Method} {request.Path}";
            seen.Enqueue((of, begun));
            using var reader = new StreamReader(request.Body, Encoding.Latin1);
            seen.Enqueue((of, $"{begun} {await reader.ReadToEndAsync()}"));
        };
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("paul", "pro");
        var cases = Corpus.Select(row => row.Data).ToArray();
        var statuses = new Dictionary<string, int>();
        foreach (var (name, request, _, _) in cases)
        {
            statuses[name] = await SendAsync(server.Proxy,
                request.Replace("KEY", $"{key}\r\nX-Case: {name}", StringComparison.Ordinal));
        }

        var failures = (from c in cases
                        let name = c.Item1
                        let got = statuses[name]
                        let all = seen.Where(s => s.Case == name).Select(s => s.Request).ToArray()
                        let one = c.Item4.Split(' ') is [var method, var target, ..] ? $"{method} {target}" : ""
                        // in just the one reading; or refused in whatever words, when perhaps the head was on its way
                        let right = c.Item3 is 200
                            ? got == 200 && all.SequenceEqual([one, c.Item4])
                            : got is 0 or (>= 400 and < 600) && all is [] or ["POST /v1/orders"]
                        where !right
                        select $"{name}: {got}, not {c.Item3}; the upstream saw '{string.Join(" | ", all)}', " +
                            $"not '{c.Item4}'").ToList();
        Assert.True(failures.Count == 0, string.Join('\n', failures));
        Assert.All(seen, s => Assert.Contains(s.Case, statuses.Keys));
        Assert.Null(server.Node.Journal.Trouble);
    }

    [Fact]
    public async Task No_request_is_smuggled_past_the_gate_over_HTTP_2()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream,
            change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
        var key = await server.SubscribeAsync("paul", "pro");
        var front = server.Proxies.Single(p => p.Scheme == "h2c");
        (string, string)[] good =
            [(":method", "POST"), (":scheme", "http"), (":path", "/v1/orders"), (":authority", "api.test"), ("apikey", key)];
        var failures = new List<string>();
        var cases = 0;
        foreach (var (name, fields, body, passes) in Http2(good))
        {
            upstream.Seen.Clear();
            await using var http2 = await RawHttp2.ConnectAsync(front);
            var own = $"{++cases}";
            var (status, _) = await http2.CallAsync([.. fields, ("x-case", own)], body);
            // what was broken off may reach the upstream behind the next one: all counts but what says that it is of another case
            var seen = upstream.Seen.Where(s => s.Headers.GetValueOrDefault("x-case", own) == own).ToArray();
            // what passes is one request, with nothing in it of what was hidden in the fields
            var right = passes
                ? (status is 0 && seen.Length == 0)
                    || (status is 200 or 0 && seen is [{ Method: "POST", Target: "/v1/orders" } only]
                        && !string.Join('|', only.Headers).Contains("hidden", StringComparison.Ordinal))
                : status is 0 or (>= 400 and < 500) && seen.Length == 0;

            // a body is forwarded as it comes: its upstream may have seen the head of what is broken off, and nothing else
            right |= name == "a length beyond the body" && status is not 200 && seen is [{ Method: "POST", Target: "/v1/orders" }];
            if (!right) failures.Add($"{name}: {status}, {string.Join(" | ", seen.Select(s => s.Method + " " + s.Target))}");
        }

        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    private static IEnumerable<(string, (string, string)[], string?, bool)> Http2((string, string)[] good)
    {
        yield return ("as it should be", good, "", true);
        yield return ("a line break in a value", [.. good, ("x-a", "b\r\nhidden: x")], "", false);
        yield return ("a bare LF in a value", [.. good, ("x-a", "b\nhidden: x")], "", false);
        yield return ("a NUL in a value", [.. good, ("x-a", "b\0c")], "", false);
        yield return ("a line break in a name", [.. good, ("x-a\r\nhidden", "b")], "", true);
        yield return ("a colon in a name", [.. good, ("x-a: hidden", "b")], "", true);
        yield return ("a space in a name", [.. good, ("x hidden", "b")], "", true);
        yield return ("a name in capitals", [.. good, ("X-A", "b")], "", false);
        yield return ("an empty name", [.. good, ("", "b")], "", false);
        yield return ("a transfer coding", [.. good, ("transfer-encoding", "chunked")], "0\r\n\r\n", true);
        yield return ("connection", [.. good, ("connection", "x-a"), ("x-a", "b")], "", false);
        yield return ("upgrade", [.. good, ("upgrade", "h2c")], "", true);
        yield return ("a length beyond the body", [.. good, ("content-length", "10")], "abc", false);
        yield return ("a length short of the body", [.. good, ("content-length", "1")], "abc", true);
        yield return ("two paths", [.. good, (":path", "/v1/enterprise/advanced")], "", false);
        yield return ("two methods", [(":method", "GET"), .. good], "", false);
        yield return ("two authorities", [(":authority", "evil.test"), .. good], "", false);
        yield return ("a pseudo-header behind a field", [.. good[..3], ("apikey", good[4].Item2), good[3]], "", false);
        yield return ("an unknown pseudo-header", [(":hidden", "x"), .. good], "", false);
        yield return ("no path", [.. good.Where(f => f.Item1 != ":path")], "", false);
        yield return ("no method", [.. good.Where(f => f.Item1 != ":method")], "", false);
        yield return ("no scheme", [.. good.Where(f => f.Item1 != ":scheme")], "", false);
        yield return ("an empty path", With(good, ":path", ""), "", false);
        yield return ("a path with a space", With(good, ":path", "/v1/orders HTTP/1.1"), "", false);
        yield return ("a path with a line break", With(good, ":path", "/v1/orders HTTP/1.1\r\nhidden: x\r\n\r\n"), "", false);
        yield return ("a path without a slash", With(good, ":path", "v1/orders"), "", false);
        yield return ("an absolute path", With(good, ":path", "http://api.test/v1/orders"), "", false);
        yield return ("a method with a line break", With(good, ":method", "POST /x HTTP/1.1\r\nhidden: x"), "", false);
        yield return ("a method with a space", With(good, ":method", "POST /x"), "", false);
        yield return ("an authority with a path", With(good, ":authority", "api.test/x"), "", false);
        yield return ("an authority with a user", With(good, ":authority", "hidden@api.test"), "", false);
        yield return ("another scheme", With(good, ":scheme", "https"), "", false);
        yield return ("a scheme with a host in it", With(good, ":scheme", "http://evil.test/?"), "", false);
        yield return ("CONNECT", [(":method", "CONNECT"), (":authority", "api.test:443"), ("apikey", good[4].Item2)], null, false);
        yield return ("another host beside :authority", [.. good, ("host", "hidden.test")], "", true);
    }

    private static (string, string)[] With((string, string)[] fields, string name, string value) =>
        [.. fields.Select(f => f.Item1 == name ? (name, value) : f)];

    /// <summary>The first status of whatever is said until the connection is closed, or nothing more comes.</summary>
    private static async Task<int> SendAsync(Uri server, string request)
    {
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(server.Host, server.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request + End));
        using var reader = new StreamReader(stream, Encoding.Latin1);
        try
        {
            var text = await reader.ReadToEndAsync(TestContext.Current.CancellationToken)
                .WaitAsync(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken);
            return text.Length >= 12 && int.TryParse(text.AsSpan(9, 3), out var status) ? status : 0;
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
