namespace Tollgate.Tests.Web.Kong;

/// <summary>However routes and gates overlap, no call has two operations, and each goes where its route leads.
/// </summary>
public sealed class KongPublicationTests
{
    [Fact]
    public async Task Of_two_routes_for_the_same_path_and_method_the_older_serves()
    {
        await using var kong = await StartAsync();
        await RouteAsync(kong, "a", "name=old&paths=/v1&methods=GET,POST");
        await RouteAsync(kong, "b", "name=young&paths=/v1&methods=POST,PUT");
        await RouteAsync(kong, "b", "name=any&paths=/v1");
        await RouteAsync(kong, "a", "name=late&paths=/v1");
        Assert.Equal(["a: old /v1 prefix GET,POST", "b: young /v1 prefix PUT", "b: any /v1 prefix any"],
            Operations(kong));

        (await kong.DeleteAsync("/routes/old")).Expect(204);
        Assert.Equal(["b: young /v1 prefix POST,PUT", "b: any /v1 prefix any"], Operations(kong));
    }

    [Fact]
    public async Task A_route_that_names_a_path_twice_is_one_operation()
    {
        await using var kong = await StartAsync();
        await RouteAsync(kong, "a", "name=r&paths=/v1,/v1,/v1/&methods=GET,GET");
        Assert.Equal(["a: r /v1 prefix GET", "a: r /v1/ prefix GET"], Operations(kong));
    }

    [Fact]
    public async Task Gates_that_list_the_same_in_several_spellings_make_one_operation_of_it()
    {
        await using var kong = await StartAsync();
        await RouteAsync(kong, "a", "name=r&paths=/v1");
        await GateAsync(kong, "a", "g[]=/v1/x", "g[]=/v1/x", "h[]=/v1/x", "g[]=/v1/{a}", "h[]=/v1/{b}");
        Assert.Equal(["a: r /v1 prefix any", "a: /v1/x /v1/x exact any", "a: /v1/{a} /v1/{a} exact any"],
            Operations(kong));
        Assert.Equal(["/v1/x", "/v1/{a}"], Of(kong, "h"));
        AssertEachOnce(kong);
    }

    [Fact]
    public async Task A_group_may_call_what_its_entry_covers_though_another_lists_it_apart()
    {
        await using var kong = await StartAsync();
        await RouteAsync(kong, "a", "name=r&paths=/v1");
        await GateAsync(kong, "a", "g[]=/v1/x", "g[]=/v1/{a}/y", "h[]=GET /v1/x", "h[]=/v1/b/y");
        Assert.Equal(["/v1/b/y", "/v1/x", "/v1/{a}/y", "GET /v1/x"], Of(kong, "g").Order(StringComparer.Ordinal));
        Assert.Equal(["/v1/b/y", "GET /v1/x"], Of(kong, "h").Order(StringComparer.Ordinal));
        AssertEachOnce(kong);
    }

    [Fact]
    public async Task A_gate_takes_nothing_from_a_route_that_is_closer_to_the_path()
    {
        await using var kong = await StartAsync();
        await RouteAsync(kong, "a", "name=wide&paths=/v1");
        await RouteAsync(kong, "b", "name=predict&paths=/v1/predict&methods=POST");
        await GateAsync(kong, "a", "g[]=/v1/{thing}", "g[]=/v1/predict", "g[]=/v2/x");
        Assert.Equal(
        [
            "a: wide /v1 prefix any", "a: /v1/{thing} /v1/{thing} exact any", "a: /v1/predict /v1/predict exact any",
            "b: predict /v1/predict prefix POST", "b: predict /v1/predict exact POST",
        ], Operations(kong));
        AssertEachOnce(kong);
    }

    [Fact]
    public async Task A_gate_of_a_route_that_serves_nothing_is_no_operation()
    {
        await using var kong = await StartAsync();
        await RouteAsync(kong, "a", "name=old&paths=/v1");
        await RouteAsync(kong, "b", "name=young&paths=/v1");
        await GateAsync(kong, "b", "g[]=/v1/x");
        Assert.DoesNotContain(kong.Published.Apis[1].Operations, o => o.Name == "/v1/x");
        Assert.Empty(kong.Published.FindPlan("g")!.Operations);
        AssertEachOnce(kong);
    }

    [Fact]
    public async Task An_entry_is_stripped_as_its_route_is()
    {
        await using var kong = await StartAsync();
        await RouteAsync(kong, "a", "name=r&paths=/api&strip_path=true");
        await GateAsync(kong, "a", "g[]=GET /api/x");
        Assert.Equal(["/api", "/api"], kong.Published.Apis[0].Operations.Select(o => o.StripPrefix));
        Assert.Equal(["GET"], kong.Published.Apis[0].Operations[1].Methods);
    }

    [Fact]
    public async Task Ten_thousand_entries_are_published_within_seconds()
    {
        await using var kong = await StartAsync();
        await RouteAsync(kong, "a", "name=r&paths=/");
        await RouteAsync(kong, "b", "name=s&paths=/v1&methods=POST");
        await GateAsync(kong, "a", [.. Enumerable.Range(0, 5_000).Select(i => $"g[]=/v1/{{a}}/{i}")]);
        await GateAsync(kong, "b", [.. Enumerable.Range(0, 5_000).Select(i => $"g[]=/v1/{i}")]);
        AssertEachOnce(kong);
        Assert.Equal(10_000, kong.Published.FindPlan("g")!.Operations.Count);
    }

    [Theory]
    [InlineData("url=http://u:8080/base/", "http://u:8080/base")]
    [InlineData("url=https://u", "https://u/")]
    [InlineData("url=http://[::1]:9/", "http://[::1]:9/")]
    [InlineData("host=10.0.0.1&port=9&path=/a", "http://10.0.0.1:9/a")]
    public async Task An_upstream_is_what_was_written(string form, string upstream)
    {
        await using var kong = await KongHost.StartAsync();
        (await kong.PostAsync("/services", form)).Expect(201);
        Assert.Equal(upstream, Assert.Single(kong.Published.Apis).Upstream.AbsoluteUri);
    }

    [Fact]
    public async Task A_plugin_that_is_switched_off_does_nothing()
    {
        await using var kong = await StartAsync();
        (await kong.PostAsync("/services/a/plugins", "name=key-auth", "enabled=false")).Expect(201);
        (await kong.PostAsync("/consumer_groups/g/plugins", "name=rate-limiting", "config.day=7")).Expect(201);
        Assert.False(kong.Published.Apis[0].RequiresKey);
        Assert.Equal("7/day", Assert.Single(kong.Published.FindPlan("g")!.Limits).ToString());
    }

    private static void AssertEachOnce(KongHost kong)
    {
        var patterns = from api in kong.Published.Apis
                       from o in api.Operations
                       from method in o.Methods ?? (IEnumerable<string?>)[null]
                       let shape = string.Join('/', o.Template.Split('/').Select(s => s.StartsWith('{') ? "{}" : s))
                       select (method, shape, o.IsPrefix);
        Assert.DoesNotContain(patterns.GroupBy(p => p), p => p.Count() > 1);
    }

    private static IEnumerable<string> Operations(KongHost kong) =>
        from api in kong.Published.Apis from o in api.Operations select $"{api.Name}: {KongScriptTests.Describe(o)}";

    private static IEnumerable<string> Of(KongHost kong, string plan) =>
        from api in kong.Published.Apis
        from o in api.Operations
        where kong.Published.FindPlan(plan)!.Operations.Contains(o.Key)
        select o.Name;

    private static async Task<KongHost> StartAsync()
    {
        var kong = await KongHost.StartAsync();
        foreach (var name in (string[])["a", "b"])
            (await kong.PostAsync("/services", $"name={name}", "url=http://u")).Expect(201);
        foreach (var name in (string[])["g", "h"])
            (await kong.PostAsync("/consumer_groups", $"name={name}")).Expect(201);
        return kong;
    }

    private static async Task RouteAsync(KongHost kong, string service, string form) =>
        (await kong.PostAsync($"/services/{service}/routes", form)).Expect(201);

    private static async Task GateAsync(KongHost kong, string service, params string[] entries) =>
        (await kong.PostAsync($"/services/{service}/plugins",
        [
            "name=endpoint_gating", .. entries.Select(e => "config.endpoint_map." + e.Replace(' ', '+')),
        ])).Expect(201);
}
