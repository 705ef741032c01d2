using System.Net;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>Paths and methods that are not there are told in the form of the side that was asked.</summary>
public sealed class LeftOverTests
{
    [Theory]
    [InlineData("GET", "/v1")]
    [InlineData("GET", "/v1/nope")]
    [InlineData("GET", "/v1/nope.txt")]
    [InlineData("DELETE", "/v1/customers/c/nope")]
    public async Task An_unknown_path_of_v1_is_a_problem(string method, string path)
    {
        await using var server = await TestServer.StartAsync();
        var (answer, body) = await SendAsync(server, method, path);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal("not_found", body.GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("DELETE", "/v1/customers", "GET, POST")]
    [InlineData("PUT", "/v1/customers/c", "GET")]
    [InlineData("POST", "/v1/test_clock/advance/", "")]
    [InlineData("GET", "/v1/test_clock/advance", "POST")]
    [InlineData("PATCH", "/v1/consumers/c/keys/k", "DELETE, GET")]
    public async Task A_method_that_a_path_of_v1_does_not_have_is_a_405_that_names_those_it_has(
        string method, string path, string allow)
    {
        await using var server = await TestServer.StartAsync();
        var (answer, body) = await SendAsync(server, method, path);
        if (allow.Length == 0)
        {
            // the path is there: its own refusal comes first
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            return;
        }

        Assert.Equal(HttpStatusCode.MethodNotAllowed, answer.StatusCode);
        Assert.Equal(allow, string.Join(", ", answer.Content.Headers.Allow.Order(StringComparer.Ordinal)));
        Assert.Equal("method_not_allowed", body.GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("/favicon.ico")]
    [InlineData("/nope")]
    [InlineData("/services/x/nope")]
    public async Task Every_other_path_is_not_found_in_the_form_of_Kong(string path)
    {
        await using var server = await TestServer.StartAsync();
        var (answer, body) = await SendAsync(server, "GET", path);
        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("""{"message":"Not found"}""", body.GetRawText());
    }

    private static async Task<(HttpResponseMessage, JsonElement)> SendAsync(TestServer server, string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (method == "POST") request.Content = new StringContent("{}");
        var answer = await server.Admin.SendAsync(request);
        return (answer, JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement);
    }
}
