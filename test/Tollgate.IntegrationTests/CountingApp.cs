using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Tollgate.IntegrationTests;

/// <summary>An instrumented application.</summary>
internal sealed class CountingApp : IAsyncDisposable
{
    private readonly ConcurrentDictionary<(string Consumer, string Endpoint), long> _counts = new(), _others = new();
    private readonly WebApplication _app;

    private CountingApp(WebApplication app) => _app = app;

    public bool IsSilent { get; set; }

    /// <summary>When its process started, as it tells, seconds since 1970; null: it does not.</summary>
    public double? Start { get; set; }

    /// <summary>Every second scrape is answered by another process.</summary>
    public bool HasTwin { get; set; }

    private int _scrapes;

    public string Address => _app.Services.GetRequiredService<IServer>()
        .Features.Get<IServerAddressesFeature>()!.Addresses.First();

    public static async Task<CountingApp> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var web = builder.Build();
        var app = new CountingApp(web);
        web.Run(app.AnswerAsync);
        await web.StartAsync();
        return app;
    }

    public long Count(string consumer, string endpoint, long calls)
    {
        _counts.AddOrUpdate((consumer, endpoint), calls, (_, n) => n + calls);
        return calls;
    }

    /// <summary>Calls that the other process answered.</summary>
    public void CountAtTwin(string consumer, string endpoint, long calls) =>
        _others.AddOrUpdate((consumer, endpoint), calls, (_, n) => n + calls);

    public void Restart()
    {
        _counts.Clear();
        if (Start is not null) Start = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() / 1_000d;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private Task AnswerAsync(HttpContext context)
    {
        if (IsSilent)
        {
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        }

        context.Response.ContentType = "text/plain; version=0.0.4";
        var counts = HasTwin && Interlocked.Increment(ref _scrapes) % 2 == 0 ? _others : _counts;
        var start = Start is { } at ? string.Create(CultureInfo.InvariantCulture, $"process_start_time_seconds {at:F3}\n") : "";
        return context.Response.WriteAsync(start + "# TYPE api_requests_total counter\n" + string.Concat(counts.Select(c =>
            $"api_requests_total{{consumer_id=\"{c.Key.Consumer}\",endpoint=\"{c.Key.Endpoint}\",method=\"GET\"}} {c.Value}\n")));
    }
}
