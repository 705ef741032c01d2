using System.Net;
using System.Net.Http.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>How business time is moved.</summary>
public sealed class TestClockTests
{
    [Theory]
    [InlineData("0000-01-01T00:00:00Z")]
    [InlineData("9999-12-31T23:59:59-18:00")]
    [InlineData("9999-12-31T23:59:59.999999999Z")]
    [InlineData("1999-12-31T23:59:59Z")]
    [InlineData("2201-01-01T00:00:00Z")]
    public async Task An_instant_out_of_range_is_refused_before_it_is_converted(string now)
    {
        await using var server = await TestServer.StartAsync();
        using var answer = await server.Admin.PutAsJsonAsync("/v1/test_clock", new { now });
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        using var advance = await server.Admin.PostAsJsonAsync("/v1/test_clock/advance", new { by = "P99999999999Y" });
        Assert.Equal(HttpStatusCode.BadRequest, advance.StatusCode);
        Assert.Equal("2026-01-10T12:00:00Z", await NowAsync(server));
    }

    [Fact]
    public async Task Ten_moves_at_once_are_all_made()
    {
        await using var server = await TestServer.StartAsync();
        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => server.AdvanceAsync("P1D")));
        Assert.Equal("2026-01-20T12:00:00Z", await NowAsync(server));
    }

    private static async Task<string?> NowAsync(TestServer server) =>
        (await server.GetAsync("/v1/test_clock")).GetProperty("now").GetString();
}
