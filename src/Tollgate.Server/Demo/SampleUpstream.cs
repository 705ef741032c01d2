using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Tollgate.Server.Demo;

/// <summary>
/// An API to put a gate in front of: the endpoints of the demo's tiers, on a free port of this machine. It answers
/// with what it was told about the caller, so that one sees what reaches an upstream.
/// </summary>
internal sealed class SampleUpstream : IAsyncDisposable
{
    private static readonly (string Path, string What)[] s_endpoints =
    [
        ("/v1/public/data", "public data"),
        ("/v1/premium/analytics", "premium analytics"),
        ("/v1/enterprise/advanced", "advanced analytics"),
        ("/api/v1/data", "data"),
        ("/api/v1/premium/analytics", "premium analytics"),
    ];

    private readonly WebApplication _app;

    private SampleUpstream(WebApplication app) => _app = app;

    public string Address => _app.Services.GetRequiredService<IServer>()
        .Features.Get<IServerAddressesFeature>()!.Addresses.First();

    public static async Task<SampleUpstream> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(System.Net.IPAddress.Loopback, 0));
        builder.Services.AddRoutingCore();
        var app = builder.Build();
        foreach (var (path, what) in s_endpoints) app.MapGet(path, (HttpRequest request) => Answer(request, what));
        await app.StartAsync();
        return new SampleUpstream(app);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static IResult Answer(HttpRequest request, string what) => Results.Json(new
    {
        what,
        consumer = request.Headers["X-Consumer-Username"].ToString(),
        plan = request.Headers["X-Consumer-Groups"].ToString(),
        request_id = request.Headers["X-Request-Id"].ToString(),
    });
}
