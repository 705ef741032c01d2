using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>
/// The corpus of hostile spellings over real connections: what the gate decided by is what the upstream received, or
/// nothing was forwarded. A premium path stands beside a catch-all, which is where other gateways let it through (B14).
/// </summary>
public sealed partial class HostilePathForwardingTests
{
    private const string Premium = "/v1/premium/analytics";
    private const int Depth = 10;

    [Theory]
    [InlineData("file", "http")]
    [InlineData("file", "h2c")]
    [InlineData("kong", "http")]
    [InlineData("kong", "h2c")]
    public async Task No_spelling_of_a_path_reaches_the_upstream_in_another_reading(string setUp, string protocol)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(setUp == "file" ? File() : null, upstream,
            change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
        var key = setUp == "file" ? await server.SubscribeAsync("fred", "free") : await KongAsync(server, upstream);
        await using var caller = new Caller(server.Proxies.Single(p => p.Scheme == protocol), key);
        var failures = new List<string>();
        var rows = Rows().ToList();
        foreach (var (raw, canonical, host) in rows)
        {
            upstream.Seen.Clear();
            var status = await caller.CallAsync(raw, host);
            if (Fault(raw, canonical, status, upstream, protocol) is { } fault)
                failures.Add($"{raw} (host {host}) is {canonical}, but: {fault}");
        }

        Assert.True(rows.Count >= 600, $"{rows.Count} rows");
        Assert.True(failures.Count == 0, string.Join('\n', failures.Take(40)));
        Assert.Null(server.Node.Journal.Trouble);
    }

    [Theory]
    [InlineData("http")]
    [InlineData("h2c")]
    public async Task No_spelling_of_a_premium_path_passes_for_a_caller_without_it(string protocol)
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File(), upstream,
            change: o => o with { MoreProxies = [new Uri("h2c://127.0.0.1:0")] });
        var key = await server.SubscribeAsync("fred", "free");
        await using var caller = new Caller(server.Proxies.Single(p => p.Scheme == protocol), key);
        string[] spellings =
        [
            Premium, "//v1/premium/analytics", "/./v1/premium/analytics", "/a/../v1/premium/analytics",
            "/a/%2e%2e/v1/premium/analytics", "/v1/%70remium/analytics", "/v1/premium/%61nalytics",
            "/v1/premium/./analytics", "/v1//premium///analytics", "/v1/premium/x/../analytics?y=1",
        ];
        foreach (var spelling in spellings)
            Assert.True(await caller.CallAsync(spelling, "api.test") == 403, spelling);
        string[] others =
        [
            "/v1/premium%2Fanalytics", "/v1/premium%252Fanalytics", "/v1/premium/analytics;x", "/v1/premium/..;/analytics",
            "/v1/premium\\analytics", "/v1/premium%5Canalytics", "/v1/premium/analytics%00", "/v1/premium%2fanalytics",
        ];
        foreach (var spelling in others)
            Assert.True(await caller.CallAsync(spelling, "api.test") is 400 or 0, spelling);
        Assert.Empty(upstream.Seen);

        // other paths, and to the upstream too, which gets them as they are: letter case and slashes at the end count
        foreach (var other in (string[])["/V1/premium/analytics", "/v1/premium/analytics/", "/v1/premium/analytics."])
        {
            Assert.Equal(200, await caller.CallAsync(other, "api.test"));
            Assert.True(upstream.Seen.TryDequeue(out var seen));
            Assert.Equal(other, seen.Target);
        }
    }

    private static string? Fault(string raw, string canonical, int status, TestUpstream upstream, string protocol)
    {
        var seen = upstream.Seen.Select(s => s.Target).ToArray();
        if (canonical == "refused") return status is 400 or 405 or 0 && seen.Length == 0 ? null : Got();
        var path = canonical.Split('?')[0];
        if (path == Premium) return status is 403 or 400 or 0 && seen.Length == 0 ? null : Got();
        // what the framing itself cannot carry is refused before there is a request; a blank ends a target
        if (!raw.All(c => c is > ' ' and < '\x7F') || raw[0] != '/')
        {
            if (status is 400 or 0 && seen.Length == 0) return null;
            if (raw[^1] == ' ' && protocol == "http") canonical = raw.TrimEnd();
        }

        if (path.Count('/') > Depth && status == 404 && seen.Length == 0) return null;
        return status == 200 && seen is [var only] && only == canonical ? null : Got();

        string Got() => $"status {status}, the upstream saw [{string.Join(", ", seen)}]";
    }

    private static IEnumerable<(string Raw, string Canonical, string Host)> Rows() =>
        from line in System.IO.File.ReadAllLines(
            Path.Combine(AppContext.BaseDirectory, "Gateway", "hostile-paths.txt"))
        where line.Length > 0 && !line.StartsWith("# ", StringComparison.Ordinal)
        let row = line.Split('\t')
        let raw = Raw(row[0])
        let host = row.Length < 3 ? "api.test" : row[2] == "-" ? "" : Raw(row[2])
        // beyond Latin-1 there are no bytes for it
        where raw.Length > 0 && (raw + host).All(c => c <= '\xFF') && !raw.AsSpan().ContainsAny('\r', '\n')
        select (raw, row[1], host);

    private static string Raw(string written) => CodePoint().Replace(written, match =>
        match.Groups[1].Length == 0 ? "" : char.ConvertFromUtf32(Convert.ToInt32(match.Groups[1].Value, 16) is var c
            && c is >= 0xD800 and < 0xE000 ? 0xFFFF : c));

    private static string File()
    {
        var templates = Enumerable.Range(1, Depth).Select(depth =>
            string.Concat(Enumerable.Range(0, depth).Select(i => $"/{{p{i}}}")));
        string[] all = ["/", .. templates.SelectMany(t => (string[])[t, t + "/"])];
        var operations = all.Select((t, i) => $"      any-{i}: \"{t}\"\n");
        return $"""
            version: 1
            currency: USD
            apis:
              wide:
                upstream: UPSTREAM
                operations:
                  premium: GET {Premium}
            {string.Concat(operations)}
            plans:
              free:
                operations: [{string.Join(", ", all.Select((_, i) => $"any-{i}"))}]
            """;
    }

    private static async Task<string> KongAsync(TestServer server, TestUpstream upstream)
    {
        await FormAsync("/services", $"name=all&url={upstream.Address}");
        await FormAsync("/services/all/routes", "name=all&paths[]=/&strip_path=false");
        await FormAsync("/services/all/plugins", "name=key-auth");
        await FormAsync("/services", $"name=premium&url={upstream.Address}");
        await FormAsync("/services/premium/routes", $"name=premium&paths[]={Premium}&strip_path=false");
        await FormAsync("/services/premium/plugins", "name=key-auth");
        await FormAsync("/consumer_groups", "name=pro");
        await FormAsync("/services/premium/plugins",
            $"name=endpoint_gating&config.endpoint_map.pro[]={Premium}");
        await FormAsync("/consumer_groups", "name=free");
        await FormAsync("/consumers", "username=fred");
        await FormAsync("/consumers/fred/consumer_groups", "group=free");
        await FormAsync("/consumers/fred/key-auth", "key=freds-key");
        return "freds-key";

        async Task FormAsync(string path, string form)
        {
            using var content = new StringContent(form, Encoding.ASCII, "application/x-www-form-urlencoded");
            using var answer = await server.Admin.PostAsync(path, content);
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }
    }

    [GeneratedRegex("«([0-9A-F]*)»")]
    private static partial Regex CodePoint();

    /// <summary>Calls one after the other on a connection that is kept while it lasts.</summary>
    private sealed class Caller(Uri server, string key) : IAsyncDisposable
    {
        private TcpClient? _client;
        private RawHttp2? _http2;

        public async Task<int> CallAsync(string target, string host)
        {
            if (server.Scheme == "h2c")
            {
                if (_http2 is { Usable: false }) await _http2.DisposeAsync();
                if (_http2 is null or { Usable: false }) _http2 = await RawHttp2.ConnectAsync(server);
                return (await _http2.CallAsync(
                [
                    (":method", "GET"), (":scheme", "http"), (":path", target), (":authority", host), ("apikey", key),
                ])).Status;
            }

            if (_client is null)
            {
                _client = new TcpClient { NoDelay = true };
                await _client.ConnectAsync(server.Host, server.Port);
            }

            return await OverOneAsync(target, host);
        }

        public async ValueTask DisposeAsync()
        {
            _client?.Dispose();
            if (_http2 is not null) await _http2.DisposeAsync();
        }

        private async Task<int> OverOneAsync(string target, string host)
        {
            var stream = _client!.GetStream();
            var hostLine = host.Length == 0 ? "" : $"Host: {host}\r\n";
            await stream.WriteAsync(Encoding.Latin1.GetBytes(
                $"GET {target} HTTP/1.1\r\n{hostLine}apikey: {key}\r\n\r\n"));
            var text = "";
            var buffer = new byte[16_384];
            while (!Whole(text))
            {
                var read = await stream.ReadAsync(buffer);
                if (read == 0) break;
                text += Encoding.Latin1.GetString(buffer, 0, read);
            }

            if (!Whole(text) || text.Contains("Connection: close", StringComparison.Ordinal))
            {
                _client.Dispose();
                _client = null;
            }

            return text.Length < 12 ? 0 : int.Parse(text.AsSpan(9, 3));
        }

        private static bool Whole(string text)
        {
            var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
            if (end < 0) return false;
            if (text.Contains("chunked", StringComparison.Ordinal)) return text.EndsWith("0\r\n\r\n", StringComparison.Ordinal);
            var at = text.IndexOf("Content-Length: ", StringComparison.Ordinal);
            if (at < 0) return true;
            var digits = text.AsSpan(at + 16);
            return text.Length >= end + 4 + int.Parse(digits[..digits.IndexOf('\r')]);
        }
    }
}
