using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Tollgate.Gateway.Extensions;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Hosting;

/// <summary>An ASP.NET Core application of somebody's own with the gate in its pipeline, on real ports.</summary>
internal sealed class EmbeddedApp : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private WebApplication? _app;
    private HttpClient? _admin;

    /// <summary>Requests that reached an endpoint, as "GET /path".</summary>
    public List<string> Reached { get; } = [];

    public HttpClient Callers { get; } = new(new SocketsHttpHandler { UseCookies = false });

    public static async Task<EmbeddedApp> StartAsync(
        string yaml, Action<EmbeddedOptions>? more = null, params IGateExtension[] extensions)
    {
        var app = new EmbeddedApp();
        try
        {
            await app.RunAsync(yaml, more, extensions);
            return app;
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    public async Task<string> SubscribeAsync(string name, string plan)
    {
        await PostAsync("/v1/customers", new { name });
        await PostAsync("/v1/consumers", new { username = name, customer = name });
        await PostAsync("/v1/subscriptions", new { customer = name, plan });
        return (await PostAsync($"/v1/consumers/{name}/keys", new { })).GetProperty("key").GetString()!;
    }

    public Task<HttpResponseMessage> CallAsync(string path, string? key)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (key is not null) request.Headers.Add("apikey", key);
        return Callers.SendAsync(request);
    }

    public async Task<decimal> UsageAsync()
    {
        var usage = await _admin!.GetFromJsonAsync<JsonElement>("/v1/usage");
        return usage.GetProperty("data").EnumerateArray().Sum(row => decimal.Parse(row.GetProperty("value").ToString()));
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null) await _app.DisposeAsync();
        _admin?.Dispose();
        Callers.Dispose();
        _folder.Dispose();
    }

    private async Task RunAsync(string yaml, Action<EmbeddedOptions>? more, IGateExtension[] extensions)
    {
        var file = Path.Combine(_folder.Path, "tollgate.yaml");
        await File.WriteAllTextAsync(file, yaml);
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.AddTollgate(options =>
        {
            options.Data = Path.Combine(_folder.Path, "data");
            options.ConfigFile = file;
            options.Admin = new Uri("http://127.0.0.1:0");
            options.TestClock = TestServer.Start;
            more?.Invoke(options);
        });
        foreach (var extension in extensions) builder.Services.AddSingleton(extension);
        _app = builder.Build();
        _app.UseTollgate();
        _app.Use((context, next) =>
        {
            lock (Reached) Reached.Add($"{context.Request.Method} {context.Request.Path}");
            return next(context);
        });
        _app.MapGet("/health", () => "ok");
        _app.MapGet("/v1/quotes/{symbol}", (string symbol, HttpContext context) => Results.Json(new
        {
            symbol,
            consumer = context.Request.Headers["X-Consumer-Username"].ToString(),
            key = context.Request.Headers["apikey"].ToString(),
            known = GatedCall.Of(context)?.Consumer,
        }));
        _app.MapGet("/v1/broken", IResult () => throw new InvalidOperationException("an endpoint's own trouble"));
        _app.MapGet("/v1/nothing", () => Results.NoContent());
        await _app.StartAsync();
        Callers.BaseAddress = new Uri(_app.Urls.First());
        _admin = new HttpClient { BaseAddress = _app.Services.GetRequiredService<EmbeddedNode>().AdminAddress };
    }

    private async Task<JsonElement> PostAsync(string path, object body)
    {
        using var answer = await _admin!.PostAsJsonAsync(path, body);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        return await answer.Content.ReadFromJsonAsync<JsonElement>();
    }
}
