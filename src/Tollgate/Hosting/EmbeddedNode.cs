using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Tollgate.Gateway;
using Tollgate.Gateway.Extensions;
using Yarp.ReverseProxy.Forwarder;

[assembly: System.Runtime.CompilerServices.InternalsVisibleTo("Tollgate.Tests")]

namespace Tollgate;

/// <summary>A node that lives as long as the application around it. It is open before the application's own server
/// takes the first request, and closed after the last.</summary>
internal sealed class EmbeddedNode(EmbeddedOptions options, IHttpForwarder forwarder, ILoggerFactory logs)
    : IHostedService, IAsyncDisposable
{
    private readonly List<GateHandler> _gates = [];
    private readonly ILogger _log = logs.CreateLogger("Tollgate");
    private TollgateNode? _node;
    private WebApplication? _admin;

    public TollgateNode Node => _node ?? throw new InvalidOperationException("Tollgate has not started yet.");

    /// <summary>Where the admin API really is, also when port 0 was asked for.</summary>
    public Uri AdminAddress => TollgateServer.AddressOf(_admin
        ?? throw new InvalidOperationException("Tollgate has not started yet."));

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var settings = new TollgateOptions
        {
            Data = options.Data,
            ConfigFile = options.ConfigFile,
            Admin = options.Admin,
            AdminToken = options.AdminToken,
            TestClock = options.TestClock,
        };
        TollgateServer.CheckAdmin(settings);
        _node = await TollgateNode.OpenAsync(settings, _log);
        PassThrough.Check(options.PassThrough, _node.Publisher.Current);
        _admin = TollgateServer.BuildAdmin(_node, logging => logging.AddProvider(new LogsOf(logs)));
        await TollgateServer.ListenAsync(() => _admin.StartAsync(cancellationToken), "Admin", options.Admin);
        _log.LogInformation("Tollgate: admin {Admin}, data {Data}", AdminAddress, options.Data);
    }

    /// <summary>The gate as a step of the application's pipeline.</summary>
    public RequestDelegate Gate(RequestDelegate next, IEnumerable<IGateExtension> extensions)
    {
        // a pipeline is built before the node is open
        var handler = new Lazy<GateHandler>(() =>
        {
            var gate = new GateHandler(
                Node.Table, Node.Keys, Node.Journal, Node.GateMetrics, Node.Clocks, forwarder)
            {
                Application = next,
                Extensions = new GateExtensions(extensions, options.ExtensionTimeout, Node.Clocks.Machine,
                    logs.CreateLogger("Tollgate.Extensions")),
            };
            lock (_gates) _gates.Add(gate);
            return gate;
        });
        var open = new Lazy<PassThrough>(() => new PassThrough(options.PassThrough, Node.Publisher));
        return context =>
        {
            context.SetEndpoint(null); // chosen by whatever reading of the path: not before the gate's
            return open.Value.TryOpen(context) ? next(context) : handler.Value.HandleAsync(context);
        };
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_admin is not null) await _admin.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_admin is not null) await _admin.DisposeAsync();
        if (_node is not null) await _node.DisposeAsync();
        foreach (var gate in _gates) gate.Dispose();
        _gates.Clear();
        (_admin, _node) = (null, null);
    }

    /// <summary>The admin's logs go where the application's go.</summary>
    private sealed class LogsOf(ILoggerFactory logs) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => logs.CreateLogger(categoryName);

        public void Dispose()
        {
        }
    }
}
