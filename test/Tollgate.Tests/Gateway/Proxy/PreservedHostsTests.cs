using System.Net;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Gateway.Forwarding;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>Callers who invent hosts, where the upstream gets them: a bounded number of connections, and every call answered.
/// </summary>
public sealed class PreservedHostsTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly TestAuthority _authority = new();

    public void Dispose()
    {
        _folder.Dispose();
        _authority.Dispose();
    }

    [Fact]
    public void Of_10_000_invented_hosts_a_few_have_connections_of_their_own_until_they_are_not_called_any_more()
    {
        var machine = new FakeTimeProvider();
        var hosts = new PreservedHosts(machine);
        Assert.Equal(PreservedHosts.Most, Enumerable.Range(0, 10_000).Count(i => hosts.MayPool($"h{i}.test", ["named.test"])));
        Assert.Equal(PreservedHosts.Most, hosts.Count);
        Assert.True(hosts.MayPool("named.test", ["named.test"]));
        Assert.False(hosts.MayPool("Named.test", ["named.test"]));
        Assert.True(hosts.MayPool("h0.test", []));

        machine.Advance(PreservedHosts.Kept - TimeSpan.FromSeconds(1));
        Assert.True(hosts.MayPool("h1.test", []));
        Assert.False(hosts.MayPool("h9999.test", []));
        machine.Advance(TimeSpan.FromSeconds(1));
        // all but the one that was called meanwhile have made room
        Assert.Equal(PreservedHosts.Most - 1, Enumerable.Range(5_000, 2_000).Count(i => hosts.MayPool($"h{i}.test", [])));
        Assert.True(hosts.MayPool("h1.test", []));
        Assert.Equal(PreservedHosts.Most, hosts.Count);
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("http2")]
    public async Task Connections_to_an_upstream_do_not_grow_with_the_hosts_that_callers_invent(string protocol)
    {
        const int calls = 400;
        var open = 0;
        var most = 0;
        await using var upstream = await TestUpstream.StartAsync(HttpProtocols.Http1AndHttp2, at => at
            .UseHttps(_authority.Sign("127.0.0.1"))
            .Use(next => async connection =>
            {
                InterlockedMost(ref most, Interlocked.Increment(ref open));
                try { await next(connection); }
                finally { Interlocked.Decrement(ref open); }
            }));
        await File.WriteAllTextAsync(Path.Combine(_folder.Path, "ca.pem"), _authority.Pem, TestContext.Current.CancellationToken);
        await using var server = await ProxyHost.StartAsync(upstream,
            $"preserve_host: true\nprotocol: {protocol}\ntls: {{ ca_file: {_folder.Path}/ca.pem }}");
        var key = await server.SubscribeAsync("paul", "pro");
        for (var i = 0; i < calls; i++)
        {
            using var answer = await server.SendAsync(server.Request("/v1/data", key, host: $"h{i}.test"));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Equal(calls, upstream.Seen.Select(s => s.Headers["Host"]).Distinct().Count());
        // the last few may not have heard yet that they are over
        Assert.InRange(most, PreservedHosts.Most, PreservedHosts.Most + 20);
        for (var i = 0; i < 500 && Volatile.Read(ref open) > PreservedHosts.Most; i++)
            await Task.Delay(10, TestContext.Current.CancellationToken);
        Assert.Equal(PreservedHosts.Most, Volatile.Read(ref open));
        Assert.Equal(calls, await server.UsageAsync());

        static void InterlockedMost(ref int most, int now)
        {
            for (var seen = Volatile.Read(ref most); now > seen; seen = Volatile.Read(ref most))
                Interlocked.CompareExchange(ref most, now, seen);
        }
    }
}
