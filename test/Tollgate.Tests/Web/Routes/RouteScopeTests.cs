using Microsoft.AspNetCore.Routing;
using Tollgate.Web.Admin;

namespace Tollgate.Tests.Web.Routes;

/// <summary>Who may use which route, asked of every route that the admin port has.</summary>
public sealed class RouteScopeTests
{
    // have tests of their own, and no example yet
    private static readonly HashSet<string> s_notAskedYet =
    [
        "POST /v1/config/kong", "POST /consumers/{c}/jwt", "DELETE /consumers/{c}/jwt/{j}", "POST /consumers/{c}/acls",
        "DELETE /consumers/{c}/acls/{a}",
    ];

    [Fact]
    public async Task Every_route_refuses_who_has_no_token_and_who_has_another_scope()
    {
        await using var world = await RouteWorld.StartAsync();
        var tokens = new Dictionary<AdminScope, string>();
        foreach (var scope in Enum.GetValues<AdminScope>().Except([AdminScope.Anyone]))
        {
            var made = await world.Server.PostAsync("/v1/admin_tokens",
                new { name = "t" + AdminCaller.NameOf(scope), scopes = new[] { AdminCaller.NameOf(scope) } });
            tokens[scope] = made.GetProperty("token").GetString()!;
        }

        world.Admin.DefaultRequestHeaders.Authorization = null;
        var before = await world.StateAsync();
        var wrong = new List<string>();
        foreach (var (method, route) in world.Routes)
        {
            var rule = route.Metadata.GetMetadata<ScopeRule>()!;
            var needed = method == "GET" ? rule.Reads : rule.Writes;
            if (needed == AdminScope.Anyone) continue;
            var path = PathOf(route);
            await ExpectAsync(401, "no token");
            await ExpectAsync(401, "a token of nobody", ("Authorization", "Bearer tg_admin_nobody"));
            await ExpectAsync(401, "an empty token", ("Kong-Admin-Token", ""));
            foreach (var (scope, token) in tokens)
            {
                // who may is not asked here: it would be done
                var may = new AdminCaller("t", new HashSet<AdminScope> { scope }).May(needed);
                if (!may) await ExpectAsync(403, scope.ToString(), ("Authorization", "Bearer " + token));
            }

            async Task ExpectAsync(int expected, string who, params (string, string)[] headers)
            {
                var body = method == "GET" ? null : "{}"u8.ToArray();
                var (status, text, answered, type) = await world.SendAsync(method, path, body, headers);
                if (status != expected || type != "application/problem+json" || (status == 401) != answered.WwwAuthenticate.Count > 0)
                    wrong.Add($"{method} {path} with {who}: {status} {type} {text}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
        Assert.True(world.Routes.Count > 120, $"{world.Routes.Count} routes");
        Assert.Equal("", RouteWorld.Difference(before, await world.StateAsync()));
    }

    [Fact]
    public async Task Every_route_that_changes_something_has_an_example_and_the_scope_that_it_says()
    {
        await using var world = await RouteWorld.StartAsync();
        var routes = world.Routes.Where(r => r.Method != "GET")
            .Where(r => !s_notAskedYet.Contains($"{r.Method} {r.Route.RoutePattern.RawText}")).Select(r =>
                $"{AdminCaller.NameOf(r.Route.Metadata.GetMetadata<ScopeRule>()!.Writes)} {r.Method} {r.Route.RoutePattern.RawText}");
        Assert.Empty(routes.Except(RouteExample.All.Values.Select(e => $"{e.Scope} {e.Route}")));
    }

    private static string PathOf(RouteEndpoint route) => "/" + string.Join('/', route.RoutePattern.PathSegments.Select(
        s => string.Concat(s.Parts.Select(p => p is Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart l ? l.Content : "x"))));
}
