using System.Net;
using Microsoft.Extensions.Logging;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web;

/// <summary>Who may use the admin port.</summary>
public sealed class AdminGuardTests
{
    [Theory]
    [InlineData("localhost", null, null, 200)]
    [InlineData("127.0.0.1:8001", null, null, 200)]
    [InlineData("[::1]:8001", null, null, 200)]
    [InlineData("evil.example", null, null, 403)]
    [InlineData("127.0.0.1.evil.example", null, null, 403)]
    [InlineData("localhost", "http://evil.example", null, 403)]
    [InlineData("localhost", "null", null, 403)]
    [InlineData("localhost", null, "cross-site", 403)]
    [InlineData("localhost", null, "same-site", 403)]
    [InlineData("localhost:8001", "http://localhost:8001", "same-origin", 200)]
    [InlineData("localhost", "http://localhost", null, 200)]
    [InlineData("localhost:80", "http://localhost", null, 200)]
    [InlineData("[::1]:8001", "http://[::1]:8001", null, 200)]
    [InlineData("localhost:8001", "http://localhost:3000", null, 403)]
    [InlineData("localhost:8001", "https://localhost:8001", null, 403)]
    [InlineData("localhost:8001", "http://127.0.0.1:8001", null, 403)]
    [InlineData("localhost", "http://localhost:8001", "same-origin", 403)]
    public async Task Without_a_token_only_programs_of_this_machine_come_in(
        string host, string? origin, string? site, int status)
    {
        await using var server = await TestServer.StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/plans");
        request.Headers.Host = host;
        if (origin is not null) request.Headers.TryAddWithoutValidation("Origin", origin);
        if (site is not null) request.Headers.TryAddWithoutValidation("Sec-Fetch-Site", site);
        using var answer = await server.Admin.SendAsync(request);
        Assert.Equal(status, (int)answer.StatusCode);
    }

    [Fact]
    public async Task With_a_token_every_request_brings_it_but_the_probes()
    {
        using var folder = new TempFolder();
        await using var server = await TollgateServer.StartAsync(Options(folder) with { AdminToken = "s3cret" },
            logging => logging.SetMinimumLevel(LogLevel.None));
        using var client = new HttpClient { BaseAddress = server.AdminAddress };
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/readyz"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync("/v1/plans"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync("/metrics"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync("/services", ("Kong-Admin-Token", "s3cre")));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/services", ("Kong-Admin-Token", "s3cret")));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/v1/plans", ("Authorization", "Bearer s3cret")));

        async Task<HttpStatusCode> StatusAsync(string path, params (string Name, string Value)[] headers)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
            using var answer = await client.SendAsync(request);
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task Without_a_token_the_admin_port_does_not_leave_loopback()
    {
        using var folder = new TempFolder();
        var refused = await Assert.ThrowsAsync<StartupException>(() => TollgateServer.StartAsync(
            Options(folder) with { Admin = new Uri("http://0.0.0.0:0") }, logging => logging.SetMinimumLevel(LogLevel.None)));
        Assert.Contains("TOLLGATE_ADMIN_TOKEN", refused.Message);
        Assert.False(Directory.Exists(Options(folder).Data));
    }

    private static TollgateOptions Options(TempFolder folder) => new()
    {
        Data = Path.Combine(folder.Path, "data"),
        Proxy = new Uri("http://127.0.0.1:0"),
        Admin = new Uri("http://127.0.0.1:0"),
    };
}
