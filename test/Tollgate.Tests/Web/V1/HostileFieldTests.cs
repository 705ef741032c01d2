using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>Bodies that are JSON and yet no text, that have more faults than anybody reads, and keys that no header can
/// carry.</summary>
public sealed class HostileFieldTests
{
    [Theory]
    [InlineData("/v1/customers", """{"name": "\ud800"}""", "name")]
    [InlineData("/v1/customers", """{"name": "a\udc00b"}""", "name")]
    [InlineData("/v1/customers", "{\"name\": \"\u00ff\u00fe\"}", "name")]
    [InlineData("/v1/plans/g/versions", """{"prices": {"base": {"model": "\ud800"}}}""", "prices")]
    [InlineData("/v1/plans/g/versions", """{"prices": {"\ud800": {"model": "flat"}}}""", "prices")]
    public async Task A_text_that_is_not_Unicode_is_a_fault_of_its_field(string path, string latin1, string field)
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/consumer_groups", new { name = "g" });
        using var body = new ByteArrayContent(Encoding.Latin1.GetBytes(latin1));
        using var answer = await server.Admin.PostAsync(path, body);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("errors")[0];
        Assert.Equal(("bad_value", field), (error.GetProperty("code").GetString(), error.GetProperty("field").GetString()));
    }

    [Fact]
    public async Task Of_sixty_thousand_faults_fifty_are_told_and_the_others_counted()
    {
        await using var server = await TestServer.StartAsync();
        var body = "{" + string.Join(",", Enumerable.Range(0, 60_000).Select(i => $"\"f{i}\":1")) + "}";
        using var answer = await server.Admin.PostAsync("/v1/customers", new StringContent(body));
        var text = await answer.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.InRange(text.Length, 1, 20_000);
        var errors = JsonDocument.Parse(text).RootElement.GetProperty("errors");
        Assert.Equal(51, errors.GetArrayLength());
        // the name that is missing, and 60,000 fields that nobody knows
        Assert.Equal("59951 more faults are not told.", errors[50].GetProperty("detail").GetString());
    }

    [Theory]
    [InlineData(" padded ")]
    [InlineData("two words")]
    [InlineData("Schl\u00fcssel-Schl\u00fcssel")]
    [InlineData("del\u007f")]
    public async Task A_key_that_no_header_can_carry_is_refused_on_both_sides(string key)
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/v1/consumers", new { username = "fred" });
        foreach (var path in (string[])["/v1/consumers/fred/keys", "/consumers/fred/key-auth"])
        {
            using var answer = await server.Admin.PostAsJsonAsync(path, new { key });
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        }

        Assert.Empty((await server.GetAsync("/v1/consumers/fred/keys")).GetProperty("data").EnumerateArray());
    }
}
