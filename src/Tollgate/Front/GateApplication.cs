using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Tollgate.Front;

/// <summary>
/// What Kestrel runs for each request of the proxy port: the gate, and nothing between. The host of ASP.NET Core would
/// make a span, a logging scope and events around each request, whether or not anybody listens (decision 0082).
/// </summary>
/// <param name="gate">Where every request goes.</param>
/// <param name="scopes">For whatever asks a request for services.</param>
internal sealed class GateApplication(RequestDelegate gate, IServiceScopeFactory scopes) : IHttpApplication<DefaultHttpContext>
{
    /// <summary>One context for each connection, or stream of HTTP/2, that keeps it from request to request.</summary>
    public DefaultHttpContext CreateContext(IFeatureCollection contextFeatures)
    {
        if (contextFeatures is not IHostContextContainer<DefaultHttpContext> connection) return New(contextFeatures);
        if (connection.HostContext is not { } context) return connection.HostContext = New(contextFeatures);
        context.Initialize(contextFeatures);
        return context;
    }

    public Task ProcessRequestAsync(DefaultHttpContext context) => gate(context);

    public void DisposeContext(DefaultHttpContext context, Exception? exception) => context.Uninitialize();

    private DefaultHttpContext New(IFeatureCollection features) => new(features) { ServiceScopeFactory = scopes };
}
