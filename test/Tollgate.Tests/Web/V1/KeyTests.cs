using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Tollgate.Config;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>The life of a key.</summary>
public sealed class KeyTests
{
    private const string Path = "/v1/public/data";

    [Fact]
    public async Task A_rotated_key_works_beside_the_new_one_until_the_overlap_ends()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var old = await server.SubscribeAsync("ann", "free");
        var rotated = await server.PostAsync($"{await KeyPathAsync(server)}/rotate", new { overlap = "PT1H" });
        var fresh = rotated.GetProperty("key").GetString()!;
        Assert.Equal("2026-01-10T13:00:00Z", rotated.GetProperty("rotated").GetProperty("expires_at").GetString());
        Assert.NotEqual(old, fresh);
        await server.AdvanceAsync("PT59M59S");
        Assert.Equal((200, 200), (await StatusAsync(server, old), await StatusAsync(server, fresh)));
        await server.AdvanceAsync("PT1S");
        Assert.Equal((401, 200), (await StatusAsync(server, old), await StatusAsync(server, fresh)));
        using var answer = await server.CallAsync(Path, old);
        Assert.Equal("key_expired", (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("code").GetString());
    }

    [Fact]
    public async Task Without_an_overlap_the_old_key_ends_at_once_and_an_earlier_end_stays()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var old = await server.SubscribeAsync("ann", "free");
        var path = await KeyPathAsync(server);
        await server.PostAsync($"{path}/rotate", new { overlap = "PT0S" });
        Assert.Equal(401, await StatusAsync(server, old));
        using var again = await server.Admin.PostAsJsonAsync($"{path}/rotate", new { });
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
        var made = await server.PostAsync("/v1/consumers/ann/keys", new { expires_at = "2026-01-10T12:30:00Z" });
        var rotated = await server.PostAsync(
            $"/v1/consumers/ann/keys/{made.GetProperty("id").GetString()}/rotate", new { overlap = "P1D" });
        Assert.Equal("2026-01-10T12:30:00Z", rotated.GetProperty("rotated").GetProperty("expires_at").GetString());
    }

    [Theory]
    [InlineData("\"P91D\"")]
    [InlineData("\"P1M\"")]
    [InlineData("\"-PT1H\"")]
    [InlineData("\"soon\"")]
    [InlineData("3600")]
    public async Task An_overlap_that_cannot_be_is_refused_and_nothing_is_made(string overlap)
    {
        await using var server = await TestServer.StartAsync();
        await server.SubscribeAsync("ann", null);
        using var body = new StringContent($$"""{"overlap": {{overlap}}, "x": 1}""", Encoding.UTF8, "application/json");
        using var answer = await server.Admin.PostAsync($"{await KeyPathAsync(server)}/rotate", body);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("overlap", text, StringComparison.Ordinal);
        Assert.Contains("unknown_field", text, StringComparison.Ordinal);
        Assert.Equal(1, (await server.GetAsync("/v1/consumers/ann/keys")).GetProperty("data").GetArrayLength());
    }

    [Fact]
    public void A_mistyped_key_is_known_as_one_by_its_checksum()
    {
        for (var round = 0; round < 200; round++)
        {
            var key = ApiKeys.Generate(test: round % 2 == 0);
            Assert.True(ApiKeys.IsWellFormed(key));
            Assert.False(ApiKeys.IsMalformed(key));
            var at = 8 + round % 39;
            var wrong = key[..at] + (key[at] == 'a' ? 'b' : 'a') + key[(at + 1)..];
            Assert.True(ApiKeys.IsMalformed(wrong), wrong);
            Assert.True(ApiKeys.IsMalformed(key.AsSpan(0, key.Length - 1)));
            Assert.True(ApiKeys.IsMalformed(key + "x"));
        }

        Assert.False(ApiKeys.IsMalformed("a-key-of-another-gateway"));
    }

    [Fact]
    public async Task A_key_that_only_looks_like_ours_cannot_be_brought_along()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/v1/consumers", new { username = "ann" });
        foreach (var path in (string[])["/v1/consumers/ann/keys", "/consumers/ann/key-auth"])
        {
            using var refused = await server.Admin.PostAsJsonAsync(path, new { key = "tg_live_made-up" });
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        }

        var moved = ApiKeys.Generate();
        Assert.Equal(moved, (await server.PostAsync("/v1/consumers/ann/keys", new { key = moved })).GetProperty("key").GetString());
    }

    /// <summary>Database, journal, log: no key is in any of them.</summary>
    [Fact]
    public async Task No_key_is_in_a_file_of_the_data_folder_or_in_the_log()
    {
        using var folder = new TempFolder();
        await using var upstream = await TestUpstream.StartAsync();
        var log = new StringBuilder();
        string[] secrets;
        var options = new TollgateOptions
        {
            Data = System.IO.Path.Combine(folder.Path, "data"),
            Proxy = new Uri("http://127.0.0.1:0"),
            Admin = new Uri("http://127.0.0.1:0"),
            AdminToken = "the-root-token-of-this-test",
        };
        await using (var server = await TollgateServer.StartAsync(
            options, l => l.SetMinimumLevel(LogLevel.Trace).AddProvider(new Pages(log))))
        {
            using var admin = new HttpClient { BaseAddress = server.AdminAddress };
            admin.DefaultRequestHeaders.Add("Authorization", "Bearer " + options.AdminToken);
            using (await admin.PostAsJsonAsync("/v1/consumers", new { username = "ann" })) { }
            var key = await TextAsync(admin, "/v1/consumers/ann/keys", new { }, "key");
            using (await admin.PostAsJsonAsync("/consumers/ann/key-auth", new { key = "brought-from-elsewhere" })) { }
            var token = await TextAsync(admin, "/v1/admin_tokens", new { name = "ci", scopes = new[] { "read" } }, "token");
            using var caller = new HttpClient { BaseAddress = server.ProxyAddress };
            caller.DefaultRequestHeaders.Add("apikey", key);
            using (await caller.GetAsync("/nowhere")) { }
            secrets = [key[8..40], "brought-from-elsewhere", token[9..41], options.AdminToken];
        }

        foreach (var secret in secrets)
        {
            Assert.DoesNotContain(secret, log.ToString(), StringComparison.Ordinal);
            foreach (var file in Directory.GetFiles(folder.Path, "*", SearchOption.AllDirectories))
                Assert.DoesNotContain(secret, Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file)),
                    StringComparison.Ordinal);
        }
    }

    private static async Task<string> TextAsync(HttpClient admin, string path, object body, string field)
    {
        using var answer = await admin.PostAsJsonAsync(path, body);
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty(field).GetString()!;
    }

    private static async Task<string> KeyPathAsync(TestServer server) => "/v1/consumers/ann/keys/" +
        (await server.GetAsync("/v1/consumers/ann/keys")).GetProperty("data")[0].GetProperty("id").GetString();

    private static async Task<int> StatusAsync(TestServer server, string key)
    {
        using var answer = await server.CallAsync(Path, key);
        return (int)answer.StatusCode;
    }

    /// <summary>Everything that is logged, at every level.</summary>
    private sealed class Pages(StringBuilder text) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            lock (text) text.Append(formatter(state, exception)).AppendLine(exception?.ToString());
        }

        public void Dispose() { }
    }
}
