using System.Net.Http.Headers;
using System.Text;

namespace Tollgate.Tests.Web.Kong;

/// <summary>Whatever is sent, the answer is a 4xx that says why, and the next request is served.</summary>
public sealed class KongHostileTests
{
    private static readonly string[] s_posts =
    [
        "/services", "/routes", "/plugins", "/consumers", "/consumer_groups", "/services/s/routes",
        "/services/s/plugins",
        "/consumers/c/key-auth", "/consumers/c/consumer_groups", "/consumers/c/consumer_group",
        "/consumer_groups/g/consumers", "/consumer_groups/g/plugins",
    ];

    public static TheoryData<string, string> Json => new()
    {
        { "nothing", "" },
        { "half an object", "{\"name\":" },
        { "an array", "[]" },
        { "a text", "\"name\"" },
        { "null", "null" },
        { "two objects", "{}{}" },
        { "a doubled name", "{\"name\":\"a\",\"name\":\"b\"}" },
        { "half a surrogate pair", "{\"name\":\"\\ud800\"}" },
        { "half a surrogate pair as a name", "{\"\\udc00\":1}" },
        { "deep arrays", "{\"name\":" + new string('[', 50_000) + new string(']', 50_000) + "}" },
        { "deep objects", string.Concat(Enumerable.Repeat("{\"config\":", 17)) + "1" + new string('}', 17) },
        { "many items", "{\"name\":[" + string.Join(',', Enumerable.Repeat('1', 20_000)) + "]}" },
        { "many fields", "{" + string.Join(',', Enumerable.Range(0, 9_000).Select(i => $"\"f{i}\":{i}")) + "}" },
        { "a long name", $$"""{"name":"{{new string('a', 100_000)}}","username":"{{new string('a', 100_000)}}"}""" },
        { "a long field", "{\"" + new string('a', 100_000) + "\":1}" },
        { "control characters", "{\"name\":\"a\\u0000b\",\"username\":\"\\u001b[31m\",\"\\u0007\":1}" },
        { "wrong types", """{"name":[],"username":{},"config":7,"service":[],"paths":{},"group":1,"key":{}}""" },
        { "an empty name", "{\"\":1}" },
        { "odd paths", """{"paths":[null,1,{},["/a"],"","/\u0000"],"name":"x y","key":"\n"}""" },
    };

    public static TheoryData<string, string> Forms => new()
    {
        { "broken escape", "name=%zz" },
        { "half an escape", "name=%4" },
        { "not UTF-8", "name=%ff" },
        { "an overlong form", "name=%c0%80" },
        { "a surrogate", "name=%ed%a0%80" },
        { "an open bracket", "name[=1" },
        { "an empty name", "=1" },
        { "a name of dots", "a..b=1" },
        { "a large index", "paths[99999999999]=/a" },
        { "a list in a list", "paths[][]=/a" },
        { "value and fields", "config=1&config.minute=2" },
        { "deep names", "a" + string.Concat(Enumerable.Repeat(".a", 100)) + "=1" },
        { "many fields", string.Join('&', Enumerable.Range(0, 20_000).Select(i => $"f{i}=1")) },
        { "many values", string.Join('&', Enumerable.Range(0, 9_999).Select(i => "paths[]=x")) },
        { "a long name", "name=" + new string('a', 100_000) + "&username=" + new string('a', 100_000) },
        { "only separators", new string('&', 10_000) },
        { "control characters", "name=a%00b&username=%1b&key=%0a&%07=1" },
    };

    [Theory, MemberData(nameof(Json))]
    public async Task Hostile_JSON_is_a_400(string what, string body) =>
        await RefusedAsync(what, body, "application/json");

    [Theory, MemberData(nameof(Forms))]
    public async Task Hostile_forms_are_a_400(string what, string body) =>
        await RefusedAsync(what, body, "application/x-www-form-urlencoded");

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/x-www-form-urlencoded")]
    public async Task A_body_that_is_too_large_is_a_413(string type)
    {
        await using var kong = await StartAsync();
        foreach (var chunked in (bool[])[false, true])
        {
            HttpContent content = chunked
                ? new StreamContent(new MemoryStream(new byte[1_000_001]))
                : new ByteArrayContent(new byte[1_000_001]);
            content.Headers.ContentType = new MediaTypeHeaderValue(type);
            using var request = new HttpRequestMessage(HttpMethod.Post, "/services") { Content = content };
            request.Headers.TransferEncodingChunked = chunked;
            using var response = await kong.Client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(413, (int)response.StatusCode);
        }
    }

    [Fact]
    public async Task A_body_of_another_kind_is_a_415()
    {
        await using var kong = await StartAsync();
        using var yaml = new StringContent("name: x", Encoding.UTF8, "text/yaml");
        (await kong.SendAsync(HttpMethod.Post, "/services", yaml)).Expect(415);
    }

    [Theory]
    [InlineData("?size=0")]
    [InlineData("?size=1001")]
    [InlineData("?size=x")]
    [InlineData("?size=-1")]
    [InlineData("?size=1&size=2")]
    [InlineData("?offset=x")]
    [InlineData("?offset=1.2")]
    [InlineData("?offset=99999999999999999999")]
    [InlineData("?offset=%00")]
    [InlineData("?tags=a")]
    public async Task A_page_that_cannot_be_is_a_400(string query)
    {
        await using var kong = await StartAsync();
        foreach (var list in (string[])["/services", "/consumers", "/consumer_groups/g/consumers"])
            (await kong.GetAsync(list + query)).Expect(400);
    }

    [Theory]
    [InlineData("/services/%00")]
    [InlineData("/services/' or 1=1 --")]
    [InlineData("/consumers/%F0%9F%98%80")]
    [InlineData("/routes/../../etc/passwd")]
    [InlineData("/consumers/c/key-auth/x")]
    [InlineData("/plugins/00000000-0000-0000-0000-000000000000")]
    public async Task A_path_that_names_nothing_is_a_404(string path)
    {
        await using var kong = await StartAsync();
        var reply = await kong.GetAsync(path);
        Assert.True(reply.Code is 404 or 400, reply.Text);
    }

    [Fact]
    public async Task Twenty_at_once_create_a_name_once()
    {
        await using var kong = await StartAsync();
        foreach (var (path, form) in ((string, string)[])[("/services", "name=one&url=http://x"),
            ("/consumers", "username=one"), ("/consumer_groups", "name=one"), ("/consumers/c/key-auth", "key=one"),
            ("/consumers/c/consumer_groups", "group=g"), ("/services/s/routes", "paths=/a"),
            ("/services/s/plugins", "name=key-auth")])
        {
            var replies = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => kong.PostAsync(path, form)));
            Assert.Single(replies, r => r.Code == 201);
            Assert.Equal(19, replies.Count(r => r.Code == 409));
        }
    }

    private static async Task RefusedAsync(string what, string body, string type)
    {
        await using var kong = await StartAsync();
        foreach (var path in s_posts)
        {
            using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
            content.Headers.ContentType = new MediaTypeHeaderValue(type);
            // a key is made where none is sent, so nothing at all is fine there
            if (body.Trim('&').Length == 0 && path.EndsWith("key-auth", StringComparison.Ordinal)) continue;
            var reply = await kong.SendAsync(HttpMethod.Post, path, content);
            Assert.True(reply.Code == 400, $"{what} at {path}: {reply.Code}");
            Assert.True(reply.Message.Length < 20_000, what);
            Assert.DoesNotContain(reply.Message, c => char.IsControl(c));
        }

        (await kong.GetAsync("/services/s")).Expect(200);
    }

    private static async Task<KongHost> StartAsync()
    {
        var kong = await KongHost.StartAsync();
        (await kong.PostAsync("/services", "name=s", "url=http://u")).Expect(201);
        (await kong.PostAsync("/consumers", "username=c")).Expect(201);
        (await kong.PostAsync("/consumer_groups", "name=g")).Expect(201);
        return kong;
    }
}
