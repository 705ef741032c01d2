using System.Net;
using System.Net.Sockets;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Proxy;

/// <summary>A server with one API, whose settings a test writes.</summary>
internal static class ProxyHost
{
    /// <param name="upstream">What stands behind it.</param>
    /// <param name="settings">Lines of the API beside its upstream and operations.</param>
    /// <param name="operations">Lines of the operations.</param>
    /// <param name="change">Of the options.</param>
    public static Task<TestServer> StartAsync(
        TestUpstream? upstream, string settings, string operations = "get: GET /v1/data", string? limits = null,
        Func<TollgateOptions, TollgateOptions>? change = null) => TestServer.StartAsync($"""
        version: 1
        currency: USD
        apis:
          sample:
            {(settings.Contains("upstream:", StringComparison.Ordinal) ? "" : "upstream: UPSTREAM")}
            {Indent(settings, 4)}
            operations:
              {Indent(operations, 6)}
        plans:
          pro:
            operations: ["*"]
            limits: [{limits ?? "1000/minute"}]
        """, upstream, change: change);

    private static string Indent(string lines, int by) => string.Join('\n' + new string(' ', by), lines.Split('\n'));

    /// <summary>Every call that was let in has been settled.</summary>
    public static async Task NothingIsOpenAsync(this TestServer server)
    {
        for (var i = 0; i < 200 && server.Node.Journal.InFlight > 0; i++) await Task.Delay(10, TestContext.Current.CancellationToken);
        Assert.Equal(0, server.Node.Journal.InFlight);
        Assert.Null(server.Node.Journal.Trouble);
    }

    public static HttpRequestMessage Request(
        this TestServer server, string path, string? key, HttpMethod? method = null, string? host = null,
        params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(method ?? HttpMethod.Get, new Uri(server.Proxy, path));
        if (key is not null) request.Headers.Add("apikey", key);
        if (host is not null) request.Headers.Host = host;
        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return request;
    }

    /// <summary>One that calls from an address of this machine, of which all of 127.0.0.0/8 are.</summary>
    public static HttpClient ClientAt(string address) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (context, cancel) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
            await socket.ConnectAsync(context.DnsEndPoint, cancel);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });

    public static string? Header(this HttpResponseMessage answer, string name) =>
        answer.Headers.TryGetValues(name, out var values) ? string.Join(", ", values) : null;
}
