using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Tollgate.Gateway.Extensions;

namespace Tollgate;

/// <summary>
/// The gate and the meter in an ASP.NET Core application of somebody's own, without a proxy: the same decisions, ledger
/// and admin API as the server's.
/// <code>
/// builder.AddTollgate(options => options.ConfigFile = "tollgate.yaml");
/// var app = builder.Build();
/// app.UseTollgate();
/// app.MapGet("/v1/quotes/{symbol}", (string symbol) => …);
/// </code>
/// </summary>
public static class TollgateHosting
{
    /// <summary>Opens a node with the application, and serves its admin API on a port of its own.</summary>
    /// <param name="configure">Checked when the application starts: a bad value stops it and names itself.</param>
    public static IHostApplicationBuilder AddTollgate(
        this IHostApplicationBuilder builder, Action<EmbeddedOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        TollgateServer.RequireStrictLineEnds();
        var options = new EmbeddedOptions();
        configure?.Invoke(options);
        builder.Services.AddHttpForwarder();
        builder.Services.AddSingleton(options);
        builder.Services.AddSingleton<EmbeddedNode>();
        builder.Services.AddHostedService(services => services.GetRequiredService<EmbeddedNode>());
        return builder;
    }

    /// <summary>
    /// Everything that comes after this is behind the gate: what no operation of the configuration matches is refused
    /// (404), except below <see cref="EmbeddedOptions.PassThrough"/>. Routing is part of it; an exception handler goes before
    /// it.
    /// </summary>
    public static IApplicationBuilder UseTollgate(this IApplicationBuilder app)
    {
        ArgumentNullException.ThrowIfNull(app);
        var node = app.ApplicationServices.GetService<EmbeddedNode>()
            ?? throw new InvalidOperationException("Call builder.AddTollgate() before app.UseTollgate().");
        app.Use(next => node.Gate(next, app.ApplicationServices.GetServices<IGateExtension>()));

        // from the canonical path, not from the one that came: an application without a word on routing has it at the very
        // beginning, and would choose an endpoint by another reading than the gate's
        return app.UseRouting();
    }
}

/// <summary>How Tollgate runs inside an application.</summary>
public sealed class EmbeddedOptions
{
    /// <summary>The folder of the database, the journal and the install key; one process's alone.</summary>
    public string Data { get; set; } = "data";

    /// <summary>The configuration file. An API whose <c>upstream</c> is <c>application</c> is served by the application
    /// itself; others are forwarded.</summary>
    public string ConfigFile { get; set; } = "tollgate.yaml";

    /// <summary>Where the admin API listens; port 0 picks a free one.</summary>
    public Uri Admin { get; set; } = new("http://127.0.0.1:8001");

    /// <summary>Asked of every admin request when set; required when <see cref="Admin"/> is not on loopback.</summary>
    public string? AdminToken { get; set; }

    /// <summary>
    /// Paths that are not gated, with all below them: <c>/health</c>. No operation may lie on, above or below them in any
    /// letter case, since the application's routing does not tell letters apart.
    /// </summary>
    public IList<string> PassThrough { get; } = [];

    /// <summary>How long one extension may take for one call; more than zero, at most a minute.</summary>
    public TimeSpan ExtensionTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>When set, business time starts here and stands still until it is advanced; for tests.</summary>
    public DateTimeOffset? TestClock { get; set; }
}
