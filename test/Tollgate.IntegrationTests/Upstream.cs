using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Tollgate.IntegrationTests;

/// <summary>A real upstream in this process, on a free port, that answers 200 to everything.</summary>
internal sealed class Upstream : IAsyncDisposable
{
    private readonly WebApplication _app;
    private long _calls;

    private Upstream(WebApplication app) => _app = app;

    public long Calls => Interlocked.Read(ref _calls);

    public string Address => _app.Services.GetRequiredService<IServer>()
        .Features.Get<IServerAddressesFeature>()!.Addresses.First();

    /// <summary>What it answers; a bit of JSON unless a test says otherwise.</summary>
    public Func<HttpContext, Task> Answer { get; set; } =
        context => context.Response.WriteAsync("""{"message":"Data retrieved"}""");

    public static async Task<Upstream> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k =>
        {
            k.Limits.MaxRequestBodySize = null;
            k.Listen(IPAddress.Loopback, 0);
        });
        var app = builder.Build();
        var upstream = new Upstream(app);
        app.Run(context =>
        {
            Interlocked.Increment(ref upstream._calls);
            return upstream.Answer(context);
        });
        await app.StartAsync();
        return upstream;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
