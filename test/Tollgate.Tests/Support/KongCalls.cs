using System.Text.Json.Nodes;
using Tollgate.Tests.Gateway.Proxy;

namespace Tollgate.Tests.Support;

/// <summary>What Kong's users send to the admin port, as forms.</summary>
internal static class KongCalls
{
    public static async Task<JsonNode> FormAsync(
        this TestServer server, string path, int status, params (string Name, string Value)[] fields)
    {
        using var form = new FormUrlEncodedContent(fields.Select(f => KeyValuePair.Create(f.Name, f.Value)));
        using var answer = await server.Admin.PostAsync(path, form, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True((int)answer.StatusCode == status, $"POST {path}: {(int)answer.StatusCode} {text}");
        return JsonNode.Parse(text)!;
    }

    /// <summary>Sends a form with another method, and expects a 200.</summary>
    public static async Task<JsonNode> ChangeAsync(
        this TestServer server, string method, string path, params (string Name, string Value)[] fields)
    {
        using var form = new FormUrlEncodedContent(fields.Select(f => KeyValuePair.Create(f.Name, f.Value)));
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = form };
        using var answer = await server.Admin.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True((int)answer.StatusCode == 200, $"{method} {path}: {(int)answer.StatusCode} {text}");
        return JsonNode.Parse(text)!;
    }

    /// <summary>A consumer with a key of this text.</summary>
    public static async Task ConsumerAsync(this TestServer server, string name, string key)
    {
        await server.FormAsync("/consumers", 201, ("username", name));
        await server.FormAsync($"/consumers/{name}/key-auth", 201, ("key", key));
    }

    public static async Task<int> StatusAsync(
        this TestServer server, string path, string? key, HttpMethod? method = null, string? host = null,
        params (string Name, string Value)[] headers)
    {
        using var answer = await server.SendAsync(server.Request(path, key, method, host, headers));
        return (int)answer.StatusCode;
    }
}
