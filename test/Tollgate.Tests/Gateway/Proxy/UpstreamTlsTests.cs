using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>Upstreams behind TLS: whom the gate takes them for, and who it says that it is.</summary>
public sealed class UpstreamTlsTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly TestAuthority _authority = new();

    [Theory]
    [InlineData("127.0.0.1", 30, "ca_file: CA", null)]
    [InlineData("127.0.0.1", 30, "", "is of no trusted authority")]
    [InlineData("127.0.0.1", 30, "ca_file: OTHER", "is of no trusted authority")]
    [InlineData("127.0.0.1", -1, "ca_file: CA", "has expired")]
    [InlineData("api.test", 30, "ca_file: CA", "is for another name")]
    [InlineData("api.test", 30, "ca_file: CA, server_name: api.test", null)]
    [InlineData("127.0.0.1", 30, "ca_file: CA, server_name: api.test", "is for another name")]
    [InlineData("api.test", -1, "verify: false", null)]
    public async Task A_certificate_that_is_not_good_is_502_that_says_why_and_costs_nothing(
        string name, int days, string tls, string? fault)
    {
        await using var upstream = await SecureAsync(_authority.Sign(name, days));
        await using var server = await ProxyHost.StartAsync(upstream, tls.Length == 0 ? "retries: 0" : $"tls: {{ {Placed(tls)} }}");
        var key = await server.SubscribeAsync("paul", "pro");
        using var answer = await server.CallAsync("/v1/data", key);
        Assert.Equal(fault is null ? 200 : 502, (int)answer.StatusCode);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        if (fault is not null)
        {
            Assert.Contains("upstream_unreachable", text, StringComparison.Ordinal);
            Assert.Contains(fault, text, StringComparison.Ordinal);
            Assert.DoesNotContain(_folder.Path, text, StringComparison.Ordinal);
        }

        Assert.Equal(fault is null ? 1 : 0, upstream.Seen.Count);
        await server.NothingIsOpenAsync();
        Assert.Equal(fault is null ? 1 : 0, await server.UsageAsync());
    }

    [Theory]
    [InlineData("http1", HttpProtocols.Http1AndHttp2, "HTTP/1.1")]
    [InlineData("http2", HttpProtocols.Http1AndHttp2, "HTTP/2")]
    [InlineData("auto", HttpProtocols.Http1AndHttp2, "HTTP/2")]
    [InlineData("auto", HttpProtocols.Http1, "HTTP/1.1")]
    [InlineData("http2", HttpProtocols.Http1, null)]
    public async Task What_is_spoken_is_agreed_on_by_ALPN(string protocol, HttpProtocols spoken, string? version)
    {
        await using var upstream = await SecureAsync(_authority.Sign("127.0.0.1"), spoken);
        upstream.Answer = context => context.Response.WriteAsync(context.Request.Protocol);
        await using var server = await ProxyHost.StartAsync(upstream, Placed($"protocol: {protocol}\ntls: {{ ca_file: CA }}"));
        var key = await server.SubscribeAsync("paul", "pro");
        for (var i = 0; i < 3; i++)
        {
            using var answer = await server.CallAsync("/v1/data", key);
            Assert.Equal(version is null ? 502 : 200, (int)answer.StatusCode);
            if (version is not null)
                Assert.Equal(version, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
    }

    [Fact]
    public async Task A_client_certificate_is_shown_and_a_renewed_one_by_the_next_connection()
    {
        string? shown = null;
        using var other = new TestAuthority("Other");
        await using var upstream = await SecureAsync(_authority.Sign("127.0.0.1"), listen: https =>
        {
            https.ClientCertificateMode = ClientCertificateMode.RequireCertificate;
            https.ClientCertificateValidation = (certificate, _, _) =>
            {
                shown = certificate.Subject;
                return certificate.Issuer == "CN=Test Authority";
            };
        });
        upstream.Answer = context =>
        {
            context.Response.Headers.Connection = "close";
            return Task.CompletedTask;
        };
        var file = Path.Combine(_folder.Path, "client.pem");
        await File.WriteAllTextAsync(file, TestAuthority.PemOf(_authority.Sign("gate-1")), TestContext.Current.CancellationToken);
        await using var server = await ProxyHost.StartAsync(upstream, Placed($"tls: {{ ca_file: CA, certificate_file: {file} }}"));
        var key = await server.SubscribeAsync("paul", "pro");
        Assert.Equal((200, "CN=gate-1"), (await StatusAsync(server, key), shown));
        await File.WriteAllTextAsync(file, TestAuthority.PemOf(_authority.Sign("gate-2")), TestContext.Current.CancellationToken);
        Assert.Equal((200, "CN=gate-2"), (await StatusAsync(server, key), shown));
        await File.WriteAllTextAsync(file, "half of a", TestContext.Current.CancellationToken);
        Assert.Equal((200, "CN=gate-2"), (await StatusAsync(server, key), shown));
        await File.WriteAllTextAsync(file, TestAuthority.PemOf(other.Sign("gate-3")), TestContext.Current.CancellationToken);
        Assert.Equal((502, "CN=gate-3"), (await StatusAsync(server, key), shown));
        Assert.Equal(3, await server.UsageAsync());

        await using var without = await ProxyHost.StartAsync(upstream, Placed("tls: { ca_file: CA }"));
        Assert.Equal(502, await StatusAsync(without, await without.SubscribeAsync("paul", "pro")));
    }

    [Fact]
    public async Task The_host_that_a_caller_names_decides_nothing_about_the_certificate()
    {
        await using var upstream = await SecureAsync(_authority.Sign("127.0.0.1"));
        await using var server = await ProxyHost.StartAsync(upstream, Placed("preserve_host: true\ntls: { ca_file: CA }"));
        var key = await server.SubscribeAsync("paul", "pro");
        using var answer = await server.SendAsync(server.Request("/v1/data", key, host: "evil.test"));
        Assert.Equal(200, (int)answer.StatusCode);
        Assert.Equal("evil.test", upstream.Seen.Single().Headers["Host"]);
    }

    [Fact]
    public async Task Checks_of_health_are_made_by_the_same_trust()
    {
        await using var good = await SecureAsync(_authority.Sign("127.0.0.1"));
        await using var bad = await SecureAsync(_authority.Sign("other.test"));
        await using var server = await ProxyHost.StartAsync(null, Placed($$"""
            upstream: [{ url: {{good.Address}} }, { url: {{bad.Address}} }]
            health: { path: /healthz, interval: 100ms, timeout: 2s, healthy: 1, unhealthy: 1 }
            tls: { ca_file: CA }
            """));
        var key = await server.SubscribeAsync("paul", "pro");
        for (var i = 0; i < 200; i++)
        {
            int[] both = [await StatusAsync(server, key), await StatusAsync(server, key)];
            if (good.Seen.Any(s => s.Target == "/healthz") && both is [200, 200]) break;
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        for (var i = 0; i < 4; i++) Assert.Equal(200, await StatusAsync(server, key));
        Assert.Empty(bad.Seen);
    }

    [Fact]
    public async Task A_file_whose_certificates_cannot_be_read_is_refused_and_what_was_in_force_stays()
    {
        await using var upstream = await SecureAsync(_authority.Sign("127.0.0.1"));
        await using var server = await ProxyHost.StartAsync(upstream, Placed("tls: { ca_file: CA }"));
        var key = await server.SubscribeAsync("paul", "pro");
        var file = await server.Admin.GetStringAsync("/v1/config/export", TestContext.Current.CancellationToken);
        using var content = new StringContent(file.Replace("ca.pem", "gone.pem", StringComparison.Ordinal));
        content.Headers.ContentType = new("application/yaml");
        using var refused = await server.Admin.PostAsync("/v1/config/apply", content, TestContext.Current.CancellationToken);
        Assert.False(refused.IsSuccessStatusCode);
        Assert.Contains("certificates_unavailable",
            await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal(200, await StatusAsync(server, key));
    }

    [Theory]
    [InlineData("tls: { ca_file: /dev/zero }")]
    [InlineData("tls: { ca_file: CA, certificate_file: /dev/zero }")]
    [InlineData("jwt: { issuer: i, audience: a, jwks_file: /dev/zero }")]
    public async Task A_file_without_an_end_is_refused(string setting)
    {
        await using var server = await TestServer.StartAsync();
        using var content = new StringContent($$"""
            version: 1
            currency: USD
            apis:
              a:
                upstream: https://127.0.0.1:1
                {{Placed(setting)}}
                operations: { x: GET /x }
            """);
        content.Headers.ContentType = new("application/yaml");
        using var refused = await server.Admin.PostAsync("/v1/config/apply", content, TestContext.Current.CancellationToken);
        Assert.Contains("is no regular file",
            await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Services_of_Kongs_calls_verify_by_the_authorities_that_they_name()
    {
        await using var upstream = await SecureAsync(_authority.Sign("127.0.0.1"));
        await using var server = await TestServer.StartAsync();
        var made = await server.PostAsync("/ca_certificates", new { cert = _authority.Pem });
        var id = made.GetProperty("id").GetString()!;
        Assert.Equal(409, await PostAsync(server, "/ca_certificates", new { cert = _authority.Pem }));
        Assert.Equal(400, await PostAsync(server, "/ca_certificates", new { cert = _authority.Sign("x.test").ExportCertificatePem() }));
        Assert.Equal(400, await PostAsync(server, "/ca_certificates", new { cert = TestAuthority.PemOf(_authority.Sign("x.test")) }));
        Assert.Equal(400, await PostAsync(server, "/services", new { url = "http://x.test", tls_verify = true }));
        Assert.Equal(400, await PostAsync(server, "/services", new { url = "https://x.test", ca_certificates = new[] { Guid.Empty } }));
        Assert.Equal(400, await PostAsync(server, "/services", new { url = "https://x.test", client_certificate = new { id } }));
        string[] trusted = [id];
        await server.PostAsync("/services", new { name = "named", url = upstream.Address, tls_verify = true, ca_certificates = trusted });
        await server.PostAsync("/services", new { name = "any", url = upstream.Address, tls_verify = false });
        await server.PostAsync("/services", new { name = "usual", url = upstream.Address });
        foreach (var (name, status) in new[] { ("named", 200), ("any", 200), ("usual", 502) })
        {
            await server.PostAsync($"/services/{name}/routes", new { paths = new[] { "/" + name } });
            using var answer = await server.CallAsync("/" + name, null);
            Assert.Equal((name, status), (name, (int)answer.StatusCode));
        }

        using var held = await server.Admin.DeleteAsync($"/ca_certificates/{id}", TestContext.Current.CancellationToken);
        Assert.Equal(400, (int)held.StatusCode);
        Assert.Equal(id, (await server.GetAsync("/services/named")).GetProperty("ca_certificates")[0].GetString());
    }

    [Fact]
    public async Task An_address_that_does_not_answer_is_504_after_the_time_to_connect_and_costs_nothing()
    {
        // a queue of one that nobody takes from: once it is full, the system answers no further connection
        using var deaf = new Socket(SocketType.Stream, ProtocolType.Tcp);
        deaf.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        deaf.Listen(0);
        var fill = new List<Socket>();
        for (Task last = Task.CompletedTask; last.IsCompleted && fill.Count < 20;)
        {
            fill.Add(new Socket(SocketType.Stream, ProtocolType.Tcp));
            last = fill[^1].ConnectAsync(deaf.LocalEndPoint!);
            await Task.WhenAny(last, Task.Delay(300, TestContext.Current.CancellationToken));
        }

        await using var server = await ProxyHost.StartAsync(null, $$"""
            upstream: "http://{{deaf.LocalEndPoint}}"
            retries: 1
            timeouts: { connect: 250ms }
            """);
        var key = await server.SubscribeAsync("paul", "pro");
        using var answer = await server.CallAsync("/v1/data", key);
        Assert.Equal(504, (int)answer.StatusCode);
        Assert.Contains("upstream_timeout",
            await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await server.NothingIsOpenAsync();
        Assert.Equal(0, await server.UsageAsync());
        foreach (var socket in fill) socket.Dispose();
    }

    public void Dispose()
    {
        _folder.Dispose();
        _authority.Dispose();
    }

    private static Task<TestUpstream> SecureAsync(
        X509Certificate2 certificate, HttpProtocols protocols = HttpProtocols.Http1,
        Action<HttpsConnectionAdapterOptions>? listen = null) =>
        TestUpstream.StartAsync(protocols, at => at.UseHttps(https =>
        {
            https.ServerCertificate = certificate;
            listen?.Invoke(https);
        }));

    /// <summary>CA and OTHER stand for files of authorities.</summary>
    private string Placed(string settings)
    {
        var (own, other) = (Path.Combine(_folder.Path, "ca.pem"), Path.Combine(_folder.Path, "other.pem"));
        using var stranger = new TestAuthority("Stranger");
        File.WriteAllText(own, _authority.Pem);
        File.WriteAllText(other, stranger.Pem);
        return settings.Replace("file: CA", "file: " + own, StringComparison.Ordinal)
            .Replace("file: OTHER", "file: " + other, StringComparison.Ordinal);
    }

    private static async Task<int> StatusAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync("/v1/data", key);
        return (int)answer.StatusCode;
    }

    private static async Task<int> PostAsync(TestServer server, string path, object body)
    {
        using var answer = await server.Admin.PostAsJsonAsync(path, body);
        return (int)answer.StatusCode;
    }
}
