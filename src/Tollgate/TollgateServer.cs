using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Front;
using Tollgate.Gateway;
using Tollgate.Web;
using Tollgate.Web.Admin;
using Yarp.ReverseProxy.Forwarder;

namespace Tollgate;

/// <summary>
/// A node behind its two ports. They are two Kestrels: before the gate there is nothing else, and the limits of its port
/// are those of a proxy.
/// </summary>
public sealed class TollgateServer : IAsyncDisposable
{
    // RFC 9112 lets a server take a bare LF as the end of a line; a proxy before us that does not could be made to see
    // other requests than we do
    private const string StrictLineEnds = "Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators";

    private readonly ILoggerFactory _logs;
    private readonly ProxyPort _proxy;
    private readonly WebApplication _admin;

    private TollgateServer(ILoggerFactory logs, TollgateNode node, ProxyPort proxy, WebApplication admin) =>
        (_logs, Node, _proxy, _admin) = (logs, node, proxy, admin);

    public TollgateNode Node { get; }

    /// <summary>Where the ports really are, also when 0 was asked for.</summary>
    public Uri ProxyAddress => ProxyAddresses[0];

    /// <summary>All of them, in the order in which they were asked for; h2c says so.</summary>
    public IReadOnlyList<Uri> ProxyAddresses => [.. _proxy.Addresses.Zip(
        Node.Options.Proxies, (at, asked) => new UriBuilder(asked) { Port = at.Port }.Uri)];

    public Uri AdminAddress => AddressOf(_admin);

    /// <summary>What the admin port serves.</summary>
    public IReadOnlyList<Endpoint> AdminRoutes => _admin.Services.GetRequiredService<EndpointDataSource>().Endpoints;

    /// <summary>Checks that the ports are free, opens the node, then listens: first for callers, then for probes.
    /// </summary>
    /// <exception cref="StartupException">What is wrong; nothing is left running.</exception>
    /// <param name="options">How it is started.</param>
    /// <param name="logs">Where an operator hears of it.</param>
    /// <param name="machine">Machine time; the system's when null.</param>
    public static async Task<TollgateServer> StartAsync(
        TollgateOptions options, Action<ILoggingBuilder> logs, TimeProvider? machine = null)
    {
        Check(options);
        RequireStrictLineEnds();
        // as long as the node, which says what happens on it until it is closed
        var factory = LoggerFactory.Create(logs);
        TollgateNode? node = null;
        ProxyPort? proxy = null;
        WebApplication? admin = null;
        try
        {
            node = await TollgateNode.OpenAsync(options, factory.CreateLogger("Tollgate"), machine, WithoutUpstream);
            RequireUpstreams(node);
            var certificates = options.Proxies.Any(p => p.Scheme == Uri.UriSchemeHttps)
                ? Certificates.Open(options.Tls, node.Clocks.Machine, factory.CreateLogger("Tollgate.Front")) : null;
            proxy = BuildProxy(node, logs, certificates);
            admin = BuildAdmin(node, logs);
            await ListenAsync(proxy.StartAsync, "--proxy", options.Proxy);
            await ListenAsync(() => admin.StartAsync(), "--admin", options.Admin);
            return new TollgateServer(factory, node, proxy, admin);
        }
        catch
        {
            if (proxy is not null) await proxy.DisposeAsync();
            if (admin is not null) await admin.DisposeAsync();
            if (node is not null) await node.DisposeAsync();
            factory.Dispose();
            throw;
        }
    }

    /// <summary>Before a stop: says that it is not ready, and waits until whoever balances has seen it.</summary>
    /// <param name="atOnce">Ends the waiting.</param>
    public async Task LeaveAsync(Task atOnce)
    {
        Node.IsLeaving = true;
        await Task.WhenAny(Task.Delay(Node.Options.LeaveDelay, Node.Clocks.Machine), atOnce);
    }

    /// <summary>Lets calls under way end, at most for <see cref="TollgateOptions.StopTimeout"/>; then drains and
    /// closes.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await Task.WhenAll(_proxy.StopAsync(), _admin.StopAsync());
        }
        finally
        {
            await _proxy.DisposeAsync();
            await _admin.DisposeAsync();
            await Node.DisposeAsync();
            _logs.Dispose();
        }
    }

    /// <summary>Before the first Kestrel of the process: the switch is read once.</summary>
    internal static void RequireStrictLineEnds() => AppContext.SetSwitch(StrictLineEnds, true);

    private static void Check(TollgateOptions options)
    {
        CheckAdmin(options);
        if (options.Tls.Count == 0 && options.Proxies.Any(p => p.Scheme == Uri.UriSchemeHttps))
            throw new StartupException("--proxy with https must name a certificate: --tls cert.pem.");
        foreach (var proxy in options.Proxies) Listener.RequireFree("--proxy", proxy);
        var ports = options.Proxies.Append(options.Admin).Select(a => a.Port).Where(p => p != 0).ToArray();
        if (ports.GroupBy(p => p).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new StartupException($"Two of --proxy and --admin both ask for port {twice.Key}.");
    }

    internal static void CheckAdmin(TollgateOptions options)
    {
        if (options.AdminToken is null && !AdminGuard.IsLoopback(options.Admin.Host))
            throw new StartupException($"--admin {options.Admin} is not on loopback: set TOLLGATE_ADMIN_TOKEN, or " +
                "listen on 127.0.0.1.");
        Listener.RequireFree("--admin", options.Admin);
    }

    /// <summary>There is no application around a server that could serve them.</summary>
    private static void RequireUpstreams(TollgateNode node)
    {
        var without = node.Publisher.Current.Apis.Where(a => a.IsApplication).Select(a => a.Name).ToArray();
        if (without.Length > 0) throw new StartupException(NoApplication(string.Join(", ", without)));
    }

    private static IEnumerable<Problem> WithoutUpstream(ConfigFile file) =>
        from api in file.Apis
        where api.Upstream == PublishedApi.Application
        select new Problem("bad_value", NoApplication(api.Name), $"apis.{api.Name}.upstream");

    private static string NoApplication(string apis) =>
        $"'upstream: application' of {apis} is for an ASP.NET Core application that embeds Tollgate (docs/dotnet.md); " +
        "here it must be a URL, as http://127.0.0.1:5000.";

    private static ProxyPort BuildProxy(
        TollgateNode node, Action<ILoggingBuilder> logs, Certificates? certificates)
    {
        var builder = NewBuilder(node.Options, logs, kestrel =>
        {
            // bodies are streamed, never held
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Limits.MaxRequestLineSize = node.Options.MaxTargetBytes;
            kestrel.Limits.MaxRequestHeadersTotalSize = node.Options.MaxHeaderBytes;

            // a caller who dribbles its headers holds a connection for this long and no longer
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(15);

            // who ends TLS in front says https over a connection without
            kestrel.AllowAlternateSchemes = node.Options.TrustedProxies.Count > 0;
            foreach (var address in node.Options.Proxies) Listener.Listen(kestrel, address, certificates);
        });
        builder.Services.AddHttpForwarder();
        builder.Services.AddSingleton(services => new GateHandler(node.Table, node.Keys, node.Journal,
            node.GateMetrics, node.Clocks, services.GetRequiredService<IHttpForwarder>()));
        var app = builder.Build();
        var gate = TrustedProxies.Before(app.Services.GetRequiredService<GateHandler>().HandleAsync, node.Options.TrustedProxies,
            app.Services.GetRequiredService<ILoggerFactory>());
        return new ProxyPort(app, gate, node.Options.StopTimeout);
    }

    internal static WebApplication BuildAdmin(TollgateNode node, Action<ILoggingBuilder> logs)
    {
        var builder = NewBuilder(node.Options, logs, kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = 4 << 20;
            Listener.Listen(kestrel, node.Options.Admin, null);
        });
        builder.Services.AddRoutingCore();
        AdminSetup.AddServices(builder.Services, node);
        var app = builder.Build();
        var guard = new AdminGuard(node.Options.AdminToken, node.AdminTokens);
        var changes = app.Services.GetRequiredService<AdminChanges>();
        var faults = new AdminFaults(app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Tollgate.Admin"));
        app.Use((context, next) => node.AdminThreads.RunAsync(() => next(context)));
        app.Use((context, next) => faults.InvokeAsync(context, next));
        app.Use((context, next) => guard.InvokeAsync(context, next));
        app.Use((context, next) => changes.InvokeAsync(context, next));
        AdminSetup.Map(app, node);
        return app;
    }

    private static WebApplicationBuilder NewBuilder(
        TollgateOptions options, Action<ILoggingBuilder> logs, Action<KestrelServerOptions> configure)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;

            // headers are bytes to a proxy: what came in goes out
            kestrel.RequestHeaderEncodingSelector = _ => Encoding.Latin1;
            kestrel.ResponseHeaderEncodingSelector = _ => Encoding.Latin1;
            configure(kestrel);
        });
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.StopTimeout);
        builder.Services.AddLogging(logging =>
        {
            logs(logging);
            // an upstream that is away is told to its caller and to the metrics; what Kestrel finds in a hostile
            // request is no event for an operator
            logging.AddFilter("Microsoft", LogLevel.Error).AddFilter("Yarp", LogLevel.None);
        });
        return builder;
    }

    internal static async Task ListenAsync(Func<Task> start, string option, Uri address)
    {
        try
        {
            await start();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new StartupException($"{option} {address.GetLeftPart(UriPartial.Authority)} cannot be listened on: " +
                e.Message, e);
        }
    }

    internal static Uri AddressOf(WebApplication app) => new(app.Services.GetRequiredService<IServer>()
        .Features.Get<IServerAddressesFeature>()!.Addresses.First());
}
