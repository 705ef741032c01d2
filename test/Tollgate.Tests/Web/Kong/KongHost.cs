using System.Data.Common;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Billing;
using Tollgate.Config;
using Tollgate.Storage;
using Tollgate.Web;
using Tollgate.Web.Kong;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>The Kong-shaped API on a real port, over a real store in a folder of its own.</summary>
public sealed class KongHost : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tollgate-kong-").FullName;
    private WebApplication _app = null!;

    public FakeTimeProvider Clock { get; } = new(new DateTimeOffset(2026, 1, 10, 12, 0, 0, TimeSpan.Zero))
    {
        AutoAdvanceAmount = TimeSpan.FromMilliseconds(1), // so that everything has an age of its own
    };

    public HttpClient Client { get; private set; } = null!;

    /// <summary>What was announced, in order.</summary>
    public List<Change> Changes { get; } = [];

    public Published Published => Get<Publisher>().Current;

    public static async Task<KongHost> StartAsync()
    {
        var host = new KongHost();
        await host.OpenAsync();
        return host;
    }

    public T Get<T>() where T : notnull => _app.Services.GetRequiredService<T>();

    public Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read) =>
        Get<Database>().ReadAsync(read, TestContext.Current.CancellationToken);

    public Task WriteAsync(Func<DbConnection, Task> write) =>
        Get<Database>().WriteAsync(write, TestContext.Current.CancellationToken);

    public async Task RestartAsync()
    {
        await CloseAsync();
        await OpenAsync();
    }

    /// <summary>As <c>curl -d</c> would send it, each field already encoded.</summary>
    public Task<KongReply> PostAsync(string path, params string[] fields) => SendAsync(HttpMethod.Post, path,
        new StringContent(string.Join('&', fields), Encoding.UTF8, "application/x-www-form-urlencoded"));

    public Task<KongReply> PatchAsync(string path, params string[] fields) => SendAsync(HttpMethod.Patch, path,
        new StringContent(string.Join('&', fields), Encoding.UTF8, "application/x-www-form-urlencoded"));

    public Task<KongReply> PutAsync(string path, params string[] fields) => SendAsync(HttpMethod.Put, path,
        new StringContent(string.Join('&', fields), Encoding.UTF8, "application/x-www-form-urlencoded"));

    public Task<KongReply> PutJsonAsync(string path, string json) =>
        SendAsync(HttpMethod.Put, path, new StringContent(json, Encoding.UTF8, "application/json"));

    public Task<KongReply> PatchJsonAsync(string path, string json) =>
        SendAsync(HttpMethod.Patch, path, new StringContent(json, Encoding.UTF8, "application/json"));

    public Task<KongReply> PostJsonAsync(string path, string json) =>
        SendAsync(HttpMethod.Post, path, new StringContent(json, Encoding.UTF8, "application/json"));

    public Task<KongReply> GetAsync(string path) => SendAsync(HttpMethod.Get, path);

    public Task<KongReply> DeleteAsync(string path) => SendAsync(HttpMethod.Delete, path);

    public async Task<KongReply> SendAsync(HttpMethod method, string path, HttpContent? content = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        using var response = await Client.SendAsync(request);
        var body = await response.Content.ReadAsStringAsync();
        return new KongReply(response.StatusCode, body);
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task OpenAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<TimeProvider>(Clock)
            .AddSingleton(_ => TestDatabase.Open(_folder))
            .AddSingleton(ApiKeys.Open(Path.Combine(_folder, "install.key")))
            .AddSingleton(new SystemCurrency())
            .AddSingleton<ConfigStore>().AddSingleton<ConsumerStore>()
            .AddSingleton<CustomerStore>().AddSingleton<SubscriptionStore>()
            .AddSingleton<ChangeFeed>().AddSingleton<Publisher>();
        _app = builder.Build();
        KongApi.Map(_app);
        Get<ChangeFeed>().Listen(change => { Changes.Add(change); return Task.CompletedTask; });
        await Get<Publisher>().RepublishAsync();
        await _app.StartAsync();
        Client = new HttpClient { BaseAddress = new Uri(_app.Urls.First()) };
    }

    private async Task CloseAsync()
    {
        Client.Dispose();
        await _app.DisposeAsync();
    }
}

public sealed record KongReply(HttpStatusCode Status, string Text)
{
    public int Code => (int)Status;

    public JsonNode Body => JsonNode.Parse(Text)!;

    public string Id => Body["id"]!.GetValue<string>();

    public string Message => Body["message"]!.GetValue<string>();

    /// <summary>What is wrong with one field, as <c>config.minute</c>.</summary>
    public string? Fault(string path)
    {
        var node = Body["fields"];
        foreach (var name in path.Split('.')) node = node?[name];
        return node is JsonArray list ? list.ToJsonString() : node?.GetValue<string>();
    }

    public KongReply Expect(int code)
    {
        Assert.True(Code == code, $"{Code} instead of {code}: {(Text.Length > 2000 ? Text[..2000] : Text)}");
        return this;
    }

    /// <summary>Over several lines, with what differs from run to run masked.</summary>
    public string Masked()
    {
        var text = JsonSerializer.Serialize(Body, Indented);
        text = Regex.Replace(text,
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>");
        text = Regex.Replace(text, "_at\": [0-9]{10}", "_at\": <seconds>");
        text = text.Replace("\"database\": \"postgres\"", "\"database\": \"sqlite\"", StringComparison.Ordinal);
        return $"{Code}\n{text}\n";
    }

    private static JsonSerializerOptions Indented { get; } = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };
}
