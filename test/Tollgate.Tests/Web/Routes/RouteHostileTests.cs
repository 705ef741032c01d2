using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;

namespace Tollgate.Tests.Web.Routes;

/// <summary>Bodies and paths that nobody should send, to every route: never an answer of 500 and more, always one that
/// says where and what would be right, and nothing is half done.</summary>
public sealed class RouteHostileTests
{
    // JSON as it is sent; Latin-1, so that bytes which are no UTF-8 can stand here
    private static readonly string[] s_values =
    [
        "[[]]", "[]", "{}", "7", "-1", "0.1", "true", "1e400", "123456789012345678901234567890123456789", "\"\"", "\" \"",
        "\"\\u0000\"", "\"a\\nb\"", "\"\\ud800\"", "\"\u00ff\u00fe\"", "\"NaN\"", "\"1e5\"", "\"0000-01-01T00:00:00Z\"",
        "\"9999-12-31T23:59:59Z\"", "\"2026-02-30T00:00:00Z\"", "[\"\\u0000\"]", "{\"\\u0000\":\"\\u0000\"}", "[null]",
        "{\"a\":{\"b\":[null,{}]}}", "\"' or 1=1 --\"", "\"" + new string('x', 5_000) + "\"",
    ];

    private static readonly (string What, string Body)[] s_bodies =
    [
        ("nothing", ""), ("a list", "[]"), ("null", "null"), ("a text", "\"x\""), ("half of it", "{\"name\":"), ("two", "{}{}"),
        ("no UTF-8", "{\"\u00ff\u00fe\":1}"), ("a byte order mark", "\u00ef\u00bb\u00bf{}"), ("zeros", new string('\0', 100)),
        ("a deep one", string.Concat(Enumerable.Repeat("{\"name\":", 5_000)) + "1" + new string('}', 5_000)),
        ("twice the same", "{\"name\":\"a\",\"name\":\"b\"}"), ("an unknown field", "{\"zzz\":1}"),
        ("half a surrogate pair", "{\"\\ud800\":1}"), ("2 MB", $"{{\"name\":\"{new string('a', 2_000_000)}\"}}"),
    ];

    [Fact]
    public async Task No_body_breaks_a_route_and_each_refusal_says_where_and_changes_nothing()
    {
        await using var world = await RouteWorld.StartAsync();
        var wrong = new List<string>();
        // names that are taken as they are, and usage, which is drained in its own time, come last
        var there = world.Routes.Select(r => $"{r.Method} {r.Route.RoutePattern.RawText}").ToHashSet();
        foreach (var example in RouteExample.All.Values.Where(e => e.Body is not null && !e.IsElsewhere && there.Contains(e.Route))
            .OrderBy(e => e.Scope == "ingest").ThenBy(e => e.Path.EndsWith("customers", StringComparison.Ordinal)
                || e.Path.EndsWith("consumers", StringComparison.Ordinal)))
        {
            var names = await world.MakeAsync(example);
            var path = world.Expand(example.Path, names);
            var refused = new List<byte[]>();
            foreach (var (what, body) in s_bodies)
            {
                var text = await AskAsync(what, Encoding.Latin1.GetBytes(body), null);
                if (what == "an unknown field" && text is not null && example.Body!.StartsWith('{') && !example.IsKongs
                    && example.Scope != "ingest" && !text.Contains("zzz", StringComparison.Ordinal))
                    wrong.Add($"{example.Route}: an unknown field is not named: {text}");
                if (what == "half of it" && text is not null && example.Body!.StartsWith('{') && !example.IsKongs
                    && example.Scope != "ingest" && !text.Contains("\"line\":1,\"column\":9", StringComparison.Ordinal))
                    wrong.Add($"{example.Route}: nothing says where the body is broken: {text}");
            }

            if (example.Body!.StartsWith('{'))
            {
                var good = world.Expand(example.Body, names);
                foreach (var field in JsonNode.Parse(good)!.AsObject().Select(f => f.Key))
                    foreach (var value in s_values)
                        await AskAsync($"{field}: {value[..Math.Min(value.Length, 50)]}", With(good, value, field), field);
                await AllAtOnceAsync(good);
            }

            // what was refused is sent once more: it leaves no trace. What is due by now is billed before, not meanwhile
            await world.Server.Node.WorkAsync();
            var before = await world.StateAsync();
            foreach (var body in refused) await world.SendAsync(example.Method, path, body);
            var difference = RouteWorld.Difference(before, await world.StateAsync());
            if (difference.Length > 0 && example.Scope != "ingest") wrong.Add($"{example.Route}: refused, and yet {Short(difference)}");

            async Task<string?> AskAsync(string what, byte[] body, string? field)
            {
                var (status, text, _, type) = await world.SendAsync(example.Method, path, body);
                if (status < 300) return null;
                refused.Add(body);
                // Kong's, Stripe's and Lago's calls are refused in their own forms
                var fault = status >= 500 ? "a failure" : example.IsKongs || example.Scope == "ingest" ? null
                    : type != "application/problem+json" ? "no problem" : Fault(text, status, field);
                if (fault is not null) wrong.Add($"{example.Route} with {what}: {status} {fault} {Short(text)}");
                return text;
            }

            async Task AllAtOnceAsync(string good)
            {
                if (example.IsKongs || example.Scope == "ingest") return;
                var fields = JsonNode.Parse(good)!.AsObject().Select(f => f.Key).ToArray();
                var (status, text, _, _) = await world.SendAsync(example.Method, path, With(good, "[[]]", fields));
                var silent = status < 300 ? fields : fields.Where(f => !Names(text, f)).ToArray();
                if (silent.Length > 0)
                    wrong.Add($"{example.Route} with faults everywhere: {status} is silent about {string.Join(' ', silent)}: {text}");
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count}\n" + string.Join("\n", wrong));
    }

    [Fact]
    public async Task No_name_in_a_path_and_no_query_breaks_a_route()
    {
        await using var world = await RouteWorld.StartAsync();
        var wrong = new List<string>();
        string[] names =
        [
            "%00", "%ff", "%ed%a0%80", "'", "a%2Fb", new string('x', 4_000), "-1", "99999999999999999999", "%0a", "%F0%9F%98%80",
        ];
        string[] queries =
        [
            "limit=x", "limit=0", "cursor=-1", "limit=99999999999999999999", "customer=%00", "customer=%ff%0a",
            "from=0000-01-01T00:00:00Z", "to=9999-12-31T23:59:59Z", "period=0000-00", "period=9999-12", "limit=1&limit=2",
            "cursor=9223372036854775807", "actor=%00", "subscription=%ff",
        ];
        foreach (var (method, route) in world.Routes)
        {
            if (route.RoutePattern.Parameters.Count > 0)
                foreach (var name in names) await AskAsync(PathOf(route, name));
            if (method == "GET")
                foreach (var query in queries) await AskAsync(PathOf(route, "x") + "?" + query);

            async Task AskAsync(string path)
            {
                var (status, text, _, type) = await world.SendAsync(method, path, method == "GET" ? null : "{}"u8.ToArray());
                var ours = path.StartsWith("/v1/", StringComparison.Ordinal);
                // without a type it is Kestrel's, before there is a request
                if (status >= 500 || (status >= 400 && ours && type is not null
                    && (type != "application/problem+json" || Fault(text, 0, null) is not null)))
                    wrong.Add($"{method} {Short(path)}: {status} {text}");
            }
        }

        Assert.True(wrong.Count == 0, $"{wrong.Count}\n" + string.Join("\n", wrong));
    }

    private static string PathOf(RouteEndpoint route, string name) => "/" + string.Join('/', route.RoutePattern.PathSegments.Select(
        s => string.Concat(s.Parts.Select(p => p is RoutePatternLiteralPart l ? l.Content : name))));

    /// <summary>A body with other values in some of its fields, as bytes.</summary>
    private static byte[] With(string good, string value, params string[] fields)
    {
        var body = JsonNode.Parse(good)!.AsObject();
        foreach (var field in fields) body[field] = "@hostile@";
        var parts = body.ToJsonString().Split("\"@hostile@\"").Select(Encoding.UTF8.GetBytes).ToArray();
        var bytes = new List<byte>(parts[0]);
        foreach (var part in parts.Skip(1))
        {
            bytes.AddRange(Encoding.Latin1.GetBytes(value));
            bytes.AddRange(part);
        }

        return [.. bytes];
    }

    /// <summary>What an answer lacks.</summary>
    private static string? Fault(string text, int status, string? field)
    {
        var problem = JsonDocument.Parse(text).RootElement;
        if (!problem.TryGetProperty("errors", out var errors) || errors.GetArrayLength() == 0) return "no errors";
        foreach (var error in errors.EnumerateArray())
            if (error.GetProperty("detail").GetString() is null or "" || error.GetProperty("code").GetString() is null or "")
                return "an error without words";
        return status == 400 && field is not null && !Names(text, field) ? "names another field" : null;
    }

    private static string Short(string text) => text[..Math.Min(text.Length, 400)];

    private static bool Names(string text, string field) => JsonDocument.Parse(text).RootElement.GetProperty("errors")
        .EnumerateArray().Any(e => e.GetProperty("field").GetString() is { } named
            && (named == field || (named.StartsWith(field, StringComparison.Ordinal) && named[field.Length] is '.' or '[')));
}
