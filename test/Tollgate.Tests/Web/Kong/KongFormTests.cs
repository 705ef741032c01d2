using System.Text.Json.Nodes;

namespace Tollgate.Tests.Web.Kong;

/// <summary>However a record is written, it is the same record.</summary>
public sealed class KongFormTests
{
    [Theory]
    [InlineData("paths[]=/a&paths[]=/b&methods[]=GET&methods[]=POST&strip_path=false")]
    [InlineData("paths[1]=/a&paths[2]=/b&methods[1]=GET&methods[2]=POST&strip_path=false")]
    [InlineData("paths[2]=/b&paths[1]=/a&methods=GET&methods=POST&strip_path=false")]
    [InlineData("paths=/a,/b&methods=GET,POST&strip_path=false")]
    [InlineData("paths=/a&paths=/b&methods=GET%2C+POST&strip_path=false")]
    [InlineData("paths%5B%5D=%2Fa&paths%5B%5D=%2Fb&methods=GET%2CPOST&strip_path=false&name=")]
    public async Task A_list_may_be_written_in_any_way_that_Kong_reads(string form)
    {
        await using var kong = await KongHost.StartAsync();
        await kong.PostAsync("/services", "name=s", "url=http://u");
        var route = (await kong.PostAsync("/services/s/routes", form)).Expect(201).Body;
        Assert.Equal("""["/a","/b"]""", route["paths"]!.ToJsonString());
        Assert.Equal("""["GET","POST"]""", route["methods"]!.ToJsonString());
        Assert.False(route["strip_path"]!.GetValue<bool>());
        Assert.Null(route["name"]);
    }

    [Theory]
    [InlineData("/services", "name=x&host=h&port=8080&protocol=https&path=/base&tags=a,b",
        """{"name":"x","host":"h","port":8080,"protocol":"https","path":"/base","tags":["a","b"]}""")]
    [InlineData("/services", "name=x&url=http://h:8080/base", """{"name":"x","url":"http://h:8080/base"}""")]
    [InlineData("/routes", "service.name=s&paths=/x&strip_path=true",
        """{"service":{"name":"s"},"paths":["/x"],"strip_path":true}""")]
    [InlineData("/routes", "service[name]=s&paths=/x", """{"service":{"name":"s"},"paths":["/x"],"methods":null}""")]
    [InlineData("/consumers", "username=J%C3%BCrgen+1&custom_id=7", """{"username":"Jürgen 1","custom_id":"7"}""")]
    [InlineData("/consumer_groups", "name=x", """{"name":"x","tags":null}""")]
    [InlineData("/consumer_groups/g/plugins", "name=rate-limiting&config.minute=5&config.hour=50&enabled=false",
        """{"name":"rate-limiting","config":{"minute":5,"hour":50},"enabled":false}""")]
    [InlineData("/plugins", "name=rate-limiting&consumer_group.name=g&config[second]=5",
        """{"name":"rate-limiting","consumer_group":{"name":"g"},"config":{"second":5}}""")]
    [InlineData("/services/s/plugins", "name=key-auth&config.key_names=a,b&config.hide_credentials=true",
        """{"name":"key-auth","config":{"key_names":["a","b"],"hide_credentials":true}}""")]
    [InlineData("/services/s/plugins",
        "name=endpoint_gating&config.endpoint_map.g[]=/a&config.endpoint_map.g[]=GET+/b/{x}",
        """{"name":"endpoint_gating","config":{"endpoint_map":{"g":["/a","GET /b/{x}"]}}}""")]
    public async Task A_form_and_JSON_give_the_same(string path, string form, string json)
    {
        var replies = new List<KongReply>();
        foreach (var send in (Func<KongHost, Task<KongReply>>[])
            [kong => kong.PostAsync(path, form), kong => kong.PostJsonAsync(path, json)])
        {
            await using var kong = await KongHost.StartAsync();
            await kong.PostAsync("/services", "name=s", "url=http://u");
            await kong.PostAsync("/consumer_groups", "name=g");
            replies.Add((await send(kong)).Expect(201));
        }

        Assert.Equal(replies[0].Masked(), replies[1].Masked());
    }

    [Fact]
    public async Task A_group_whose_name_has_a_dot_can_be_gated_by_a_form()
    {
        await using var kong = await KongHost.StartAsync();
        await kong.PostAsync("/services", "name=s", "url=http://u");
        await kong.PostAsync("/consumer_groups", "name=v1.free");
        var gate = (await kong.PostAsync("/services/s/plugins", "name=endpoint_gating",
            "config.endpoint_map.v1.free[]=/a")).Expect(201);
        Assert.Equal("""{"v1.free":["/a"]}""", gate.Body["config"]!["endpoint_map"]!.ToJsonString());
    }

    [Theory]
    [InlineData("{\"minute\":\"5\"}", "expected an integer")]
    [InlineData("{\"minute\":5.5}", "expected an integer")]
    [InlineData("{\"minute\":true}", "expected an integer")]
    [InlineData("{\"minute\":[5]}", "expected an integer")]
    [InlineData("{\"minute\":0}", "value should be between 1 and 1000000000000")]
    [InlineData("{\"minute\":1e400}", "expected an integer")]
    [InlineData("{\"minute\":-1}", "value should be between 1 and 1000000000000")]
    public async Task JSON_is_taken_at_its_word(string config, string fault)
    {
        await using var kong = await KongHost.StartAsync();
        await kong.PostAsync("/consumer_groups", "name=g");
        var body = new JsonObject { ["name"] = "rate-limiting", ["config"] = JsonNode.Parse(config) };
        var reply = (await kong.PostJsonAsync("/consumer_groups/g/plugins", body.ToJsonString())).Expect(400);
        Assert.Equal(fault, reply.Fault("config.minute"));
    }
}
