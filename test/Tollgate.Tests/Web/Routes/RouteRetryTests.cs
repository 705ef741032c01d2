using Microsoft.AspNetCore.Routing.Patterns;
using Tollgate.Web.Admin;

namespace Tollgate.Tests.Web.Routes;

/// <summary>A request that is sent again, sent twice at once, or meant for another state: of every route that changes
/// something.</summary>
public sealed class RouteRetryTests
{
    [Fact]
    public async Task Every_POST_has_its_effect_once_under_one_Idempotency_Key()
    {
        await using var world = await RouteWorld.StartAsync();
        var wrong = new List<string>();
        foreach (var example in Changing(world).Where(e => e.Method == "POST" && !e.IsElsewhere))
            await OnceAsync(world, example, wrong);
        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
    }

    [Fact]
    public async Task Every_change_of_what_is_there_holds_to_If_Match()
    {
        await using var world = await RouteWorld.StartAsync();
        var gets = world.Routes.Where(r => r.Method == "GET").Select(r => r.Route.RoutePattern).ToArray();
        var wrong = new List<string>();
        foreach (var example in Changing(world))
        {
            var names = await world.MakeAsync(example);
            var path = Changed(gets, example.Route[(example.Route.IndexOf(' ') + 1)..], world.Expand(example.Path, names));
            // the clock is set by PUT
            if (example.Route is "POST /v1/test_clock" or "POST /v1/test_clock/advance")
                continue;
            if (path is null)
            {
                // Kong's members have no GET of one; a POST to a list makes something new
                if (!example.IsKongs && example.Route.Contains('{', StringComparison.Ordinal)
                    && !example.Route.EndsWith('s'))
                    wrong.Add($"{example.Route}: nothing says the state of what it changes");
                continue;
            }

            var (seen, text, headers, _) = await world.SendAsync("GET", path, null);
            if (seen != 200 || headers.ETag is not { } tag)
            {
                wrong.Add($"{example.Route}: GET {path} {seen} without an ETag {text}");
                continue;
            }

            var before = await world.StateAsync();
            var stale = await world.SendAsync(example, names, ("If-Match", "\"0123456789abcdef01234567\""));
            if (stale.Status != 412) wrong.Add($"{example.Route}: a stale If-Match is {stale.Status} {stale.Text}");
            var difference = RouteWorld.Difference(before, await world.StateAsync());
            if (difference.Length > 0) wrong.Add($"{example.Route}: a stale If-Match changes {difference}");
            var fresh = await world.SendAsync(example, names, ("If-Match", tag.Tag));
            if (fresh.Status >= 300) wrong.Add($"{example.Route}: the If-Match of {path} is {fresh.Status} {fresh.Text}");
        }

        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
    }

    /// <summary>What is usage, or a question, is not kept: it has identities of its own, or no effect.</summary>
    private static IEnumerable<RouteExample> Changing(RouteWorld world) =>
        from r in world.Routes
        where r.Method != "GET" && r.Route.Metadata.GetMetadata<ChangesNothing>() is null
        let route = $"{r.Method} {r.Route.RoutePattern.RawText}"
        where route != "POST /v1/prices/preview" && RouteExample.All.ContainsKey(route)
        select RouteExample.All[route];

    private static async Task OnceAsync(RouteWorld world, RouteExample example, List<string> wrong)
    {
        // the first of its kind may make more: the row that numbers are counted in
        await world.SendAsync(example, await world.MakeAsync(example));
        var names = await world.MakeAsync(example);
        var start = await world.StateAsync();
        var name = ("Idempotency-Key", "first-" + names["n"]);
        var first = await world.SendAsync(example, names, name);
        if (first.Status >= 300)
        {
            wrong.Add($"{example.Route}: the example is {first.Status} {first.Text}");
            return;
        }

        var once = await world.StateAsync();
        var again = await world.SendAsync(example, names, name);
        if ((again.Status, again.Text, again.Headers.Location, again.Headers.ETag?.Tag)
            != (first.Status, first.Text, first.Headers.Location, first.Headers.ETag?.Tag)
            || !again.Headers.Contains("Idempotent-Replayed"))
            wrong.Add($"{example.Route}: again it is {again.Status} {again.Text}, not {first.Status} {first.Text}");
        var other = await world.SendAsync(example.Method, world.Expand(example.Path, names), "{\"other\":1}"u8.ToArray(), name);
        if (other.Status != 422 || !other.Text.Contains("idempotency_key_reused", StringComparison.Ordinal))
            wrong.Add($"{example.Route}: another body is {other.Status} {other.Text}");
        var difference = RouteWorld.Difference(once, await world.StateAsync());
        if (difference.Length > 0) wrong.Add($"{example.Route}: again it changes {difference}");

        var twice = await world.MakeAsync(example);
        var before = await world.StateAsync();
        var named = ("Idempotency-Key", "twice-" + names["n"]);
        var both = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => world.SendAsync(example, twice, named)));
        if (both.Select(b => (b.Status, b.Text)).Distinct().Count() > 1 || both[0].Status != first.Status)
            wrong.Add($"{example.Route}: at once it is {string.Join(" and ", both.Select(b => $"{b.Status} {b.Text}"))}");
        var (one, two) = (Grown(start, once), Grown(before, await world.StateAsync()));
        if (one != two) wrong.Add($"{example.Route}: once it adds {one}, at once {two}");
    }

    /// <summary>Rows that came and went, by table.</summary>
    private static string Grown(Dictionary<string, List<string>> before, Dictionary<string, List<string>> after) =>
        string.Join(", ", after.Where(t => t.Value.Count != before[t.Key].Count)
            .Select(t => $"{t.Key} {t.Value.Count - before[t.Key].Count:+0;-0}"));

    /// <summary>The GET of what a route changes: its own path, or for an action the one that it stands under.</summary>
    private static string? Changed(RoutePattern[] gets, string template, string path)
    {
        while (template.Length > 1)
        {
            if (gets.Any(g => Shape(g.RawText!) == Shape(template)))
                return template.EndsWith('}') || template.EndsWith("/terms", StringComparison.Ordinal)
                    || template.EndsWith("/overrides", StringComparison.Ordinal) || template == "/v1/test_clock" ? path : null;
            (template, path) = (template[..template.LastIndexOf('/')], path[..path.LastIndexOf('/')]);
        }

        return null;

        static string Shape(string text) => System.Text.RegularExpressions.Regex.Replace(text, "{[^}]*}", "*");
    }
}
