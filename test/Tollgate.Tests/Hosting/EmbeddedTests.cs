using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Gateway.Extensions;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Hosting;

public sealed class EmbeddedTests
{
    private const string Yaml = """
        version: 1
        currency: USD
        apis:
          quotes:
            upstream: application
            operations: { quote: "GET /v1/quotes/{symbol}", broken: GET /v1/broken, nothing: GET /v1/nothing }
        plans:
          free: { operations: [nothing], limits: [2/minute] }
          pro: { operations: ["*"], limits: [100/minute] }
        """;

    [Fact]
    public async Task An_application_gets_the_call_with_who_calls_and_without_the_key()
    {
        await using var app = await EmbeddedApp.StartAsync(Yaml);
        var key = await app.SubscribeAsync("acme", "pro");

        using var answer = await app.CallAsync("/v1/quotes/ABC", key);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var body = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal(("acme", "", "acme"),
            (body.GetProperty("consumer").GetString(), body.GetProperty("key").GetString(),
                body.GetProperty("known").GetString()));
        Assert.Equal("99", answer.Headers.GetValues("X-RateLimit-Remaining-Minute").Single());
        Assert.NotEmpty(answer.Headers.GetValues("X-Request-Id").Single());
        Assert.Equal(1, await app.UsageAsync());
    }

    [Theory]
    [InlineData("/v1/quotes/ABC", null, 401)]
    [InlineData("/v1/quotes/ABC", "free", 403)]
    [InlineData("/V1/Quotes/ABC", "pro", 404)]
    [InlineData("/v1/quotes/ABC/", "pro", 404)]
    [InlineData("/v1/quotes%2FABC", "pro", 400)]
    [InlineData("/elsewhere", "pro", 404)]
    public async Task What_the_gate_refuses_reaches_no_endpoint(string path, string? plan, int status)
    {
        await using var app = await EmbeddedApp.StartAsync(Yaml);
        var key = plan is null ? null : await app.SubscribeAsync("acme", plan);

        using var answer = await app.CallAsync(path, key);

        Assert.Equal((status, 0), ((int)answer.StatusCode, app.Reached.Count));
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
        Assert.Equal(0, await app.UsageAsync());
    }

    [Fact]
    public async Task A_limit_admits_what_it_says_and_an_empty_answer_is_billed_like_any()
    {
        await using var app = await EmbeddedApp.StartAsync(Yaml);
        var key = await app.SubscribeAsync("acme", "free");

        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => app.CallAsync("/v1/nothing", key)));

        Assert.Equal(2, answers.Count(a => a.StatusCode == HttpStatusCode.NoContent));
        Assert.Equal(8, answers.Count(a => a.StatusCode == HttpStatusCode.TooManyRequests));
        Assert.Equal(2, await app.UsageAsync());
    }

    [Fact]
    public async Task An_endpoint_that_throws_is_not_billed()
    {
        await using var app = await EmbeddedApp.StartAsync(Yaml);
        var key = await app.SubscribeAsync("acme", "pro");

        using var answer = await app.CallAsync("/v1/broken", key);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Equal(0, await app.UsageAsync());
    }

    [Fact]
    public async Task A_path_that_passes_through_is_not_gated_and_opens_nothing_else()
    {
        await using var app = await EmbeddedApp.StartAsync(Yaml, options => options.PassThrough.Add("/health"));

        using var open = await app.CallAsync("/health", null);
        using var beside = await app.CallAsync("/healthy", null);
        using var through = await app.CallAsync("/health/../v1/quotes/ABC", null);

        Assert.Equal((200, 404, 401), ((int)open.StatusCode, (int)beside.StatusCode, (int)through.StatusCode));
        Assert.Equal(["GET /health"], app.Reached);
    }

    [Theory]
    [InlineData("/V1")]
    [InlineData("/v1/quotes/open")]
    [InlineData("/")]
    [InlineData("health")]
    public async Task A_pass_through_that_an_operation_could_be_reached_by_stops_the_start(string prefix)
    {
        var e = await Assert.ThrowsAsync<StartupException>(
            () => EmbeddedApp.StartAsync(Yaml, options => options.PassThrough.Add(prefix)));

        Assert.Contains($"'{prefix}'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_extension_may_answer_which_is_not_billed_and_change_the_headers_of_any_answer()
    {
        await using var app = await EmbeddedApp.StartAsync(Yaml, null, new Teapot());
        var key = await app.SubscribeAsync("acme", "pro");

        using var answered = await app.CallAsync("/v1/quotes/TEA", key);
        using var passed = await app.CallAsync("/v1/quotes/ABC", key);
        using var refused = await app.CallAsync("/v1/quotes/ABC", "tg_test_wrong");

        Assert.Equal((418, 200, 401), ((int)answered.StatusCode, (int)passed.StatusCode, (int)refused.StatusCode));
        Assert.Equal("short and stout", await answered.Content.ReadAsStringAsync());
        Assert.Equal("pro", passed.Headers.GetValues("X-Plan").Single());
        Assert.Equal("pro", answered.Headers.GetValues("X-Plan").Single());
        Assert.False(refused.Headers.Contains("X-Plan"));
        Assert.Equal("98", passed.Headers.GetValues("X-RateLimit-Remaining-Minute").Single());
        Assert.Equal(["GET /v1/quotes/ABC"], app.Reached);
        Assert.Equal(1, await app.UsageAsync());
    }

    [Theory]
    [InlineData("THROWS")]
    [InlineData("HANGS")]
    [InlineData("STATUS")]
    public async Task An_extension_that_fails_or_hangs_fails_the_call_unbilled(string symbol)
    {
        await using var app = await EmbeddedApp.StartAsync(
            Yaml, options => options.ExtensionTimeout = TimeSpan.FromMilliseconds(50), new Teapot());
        var key = await app.SubscribeAsync("acme", "pro");

        using var answer = await app.CallAsync("/v1/quotes/" + symbol, key);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        var problem = await answer.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal("extension_failed", problem.GetProperty("code").GetString());
        Assert.Empty(app.Reached);
        Assert.Equal(0, await app.UsageAsync());
    }

    [Fact]
    public async Task The_gate_and_the_routing_of_the_application_read_one_path()
    {
        await using var app = await EmbeddedApp.StartAsync(Yaml);
        var key = await app.SubscribeAsync("acme", "free");

        // merged slashes first or dot segments first: two readers of this path could see two operations
        using var answer = await RawAsync(app, "/v1/nothing//../quotes/ABC", key);
        using var other = await RawAsync(app, "/v1/quotes//../nothing", key);

        Assert.All(app.Reached, reached => Assert.Equal("GET /v1/nothing", reached));
        Assert.Equal(app.Reached.Count, await app.UsageAsync());
    }

    [Fact]
    public async Task A_server_refuses_an_api_that_only_an_application_could_serve()
    {
        var e = await Assert.ThrowsAsync<StartupException>(() => TestServer.StartAsync(Yaml));

        Assert.Contains("quotes", e.Message, StringComparison.Ordinal);
    }

    private static Task<HttpResponseMessage> RawAsync(EmbeddedApp app, string target, string key)
    {
        var uri = new Uri($"{app.Callers.BaseAddress!.GetLeftPart(UriPartial.Authority)}{target}",
            new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        var request = new HttpRequestMessage(HttpMethod.Get, uri);
        request.Headers.Add("apikey", key);
        return app.Callers.SendAsync(request);
    }

    private sealed class Teapot : IGateExtension
    {
        public async ValueTask<ExtensionAnswer?> OnCallAsync(GatedCall call, CancellationToken cancel)
        {
            switch (call.Context.Request.RouteValues["symbol"] ?? call.Context.Request.Path.Value!.Split('/')[^1])
            {
                case "TEA":
                    return new ExtensionAnswer(418, "short and stout");
                case "THROWS":
                    throw new InvalidOperationException("an extension's own trouble");
                case "STATUS":
                    return new ExtensionAnswer(99);
                case "HANGS":
                    await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel);
                    return null;
                default:
                    return null;
            }
        }

        public void OnAnswer(GatedCall call, HttpResponse answer)
        {
            answer.Headers["X-Plan"] = call.Plan;
            if (call.Operation == "nothing") throw new InvalidOperationException("an extension's own trouble");
        }
    }
}
