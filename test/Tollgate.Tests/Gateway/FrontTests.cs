using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>The front: TLS, HTTP/2 and HTTP/1.1, and certificates that change while it runs.</summary>
public sealed class FrontTests
{
    [Fact]
    public async Task Over_TLS_a_caller_speaks_HTTP_2_or_HTTP_1_as_it_likes_and_both_are_billed()
    {
        using var folder = new TempFolder();
        TestCertificate.Write(Path.Combine(folder.Path, "a.pem"), "api.test");
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream, Path.Combine(folder.Path, "a.pem"));
        var key = await server.SubscribeAsync("fred", "free");
        foreach (var version in (Version[])[HttpVersion.Version20, HttpVersion.Version11])
        {
            var (answer, _) = await CallAsync(server.Proxies[^1], "api.test", version, key);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(version, answer.Version);
        }

        Assert.Equal(2, upstream.Seen.Count);
        Assert.All(upstream.Seen, seen => Assert.Equal("https", seen.Headers["X-Forwarded-Proto"]));
        Assert.Equal(2, await server.UsageAsync());
    }

    [Fact]
    public async Task The_certificate_follows_the_name_that_is_asked_for_and_the_file_when_it_changes()
    {
        using var folder = new TempFolder();
        var (first, second) = (Path.Combine(folder.Path, "1.pem"), Path.Combine(folder.Path, "2.pem"));
        TestCertificate.Write(first, "one.test");
        TestCertificate.Write(second, "two.test", "*.wild.test");
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream, folder.Path);
        var key = await server.SubscribeAsync("fred", "free");
        var front = server.Proxies[^1];
        Assert.Equal("CN=one.test", await SubjectAsync("one.test"));
        Assert.Equal("CN=two.test", await SubjectAsync("two.test"));
        Assert.Equal("CN=two.test", await SubjectAsync("a.wild.test"));
        Assert.Equal("CN=one.test", await SubjectAsync("a.b.wild.test"));
        Assert.Equal("CN=one.test", await SubjectAsync("other.test"));

        TestCertificate.Write(first, "new.test");
        await UntilAsync(async () => await SubjectAsync("new.test") == "CN=new.test");
        await File.WriteAllTextAsync(first, "no certificate");
        await Task.Delay(TimeSpan.FromSeconds(1.1), TestContext.Current.CancellationToken);
        Assert.Equal("CN=new.test", await SubjectAsync("new.test"));

        async Task<string> SubjectAsync(string name) =>
            (await CallAsync(front, name, HttpVersion.Version20, key)).Subject;
    }

    [Theory]
    [InlineData("", "must name a certificate")]
    [InlineData("nowhere.pem", "nowhere.pem")]
    [InlineData("broken.pem", "no private key")]
    public async Task A_front_without_a_certificate_that_can_be_used_does_not_start(string file, string said)
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "broken.pem"), "nothing", TestContext.Current.CancellationToken);
        var fault = await Assert.ThrowsAsync<StartupException>(() => TestServer.StartAsync(change: o => o with
        {
            MoreProxies = [new Uri("https://127.0.0.1:0")],
            Tls = file.Length == 0 ? [] : [Path.Combine(folder.Path, file)],
        }));
        Assert.Contains(said, fault.Message, StringComparison.Ordinal);
    }

    private static Task<TestServer> StartAsync(TestUpstream upstream, string tls) => TestServer.StartAsync(
        Yaml.Tiers, upstream, change: o => o with { MoreProxies = [new Uri("https://127.0.0.1:0")], Tls = [tls] });

    private static async Task<(HttpResponseMessage Answer, string Subject)> CallAsync(
        Uri front, string host, Version version, string key)
    {
        var subject = "";
        using var client = new HttpClient(new SocketsHttpHandler
        {
            SslOptions = new SslClientAuthenticationOptions
            {
                TargetHost = host,
                RemoteCertificateValidationCallback = (_, certificate, _, _) =>
                {
                    subject = ((X509Certificate2)certificate!).Subject;
                    return subject.Length > 0;
                },
            },
        });
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(front, "/v1/public/data"))
        {
            Version = version, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Host = host;
        request.Headers.Add("apikey", key);
        var answer = await client.SendAsync(request);
        return (answer, subject);
    }

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        for (var i = 0; !await holds(); i++)
        {
            Assert.True(i < 100, "It never came to hold.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TestContext.Current.CancellationToken);
        }
    }
}
