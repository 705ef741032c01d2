using System.Text.RegularExpressions;
using CsCheck;
using Tollgate.Gateway.Routing;

namespace Tollgate.Tests.Gateway;

public sealed class OperationMatcherTests
{
    [Theory]
    [InlineData("GET /a", "/a", "GET /a")]
    [InlineData("GET /a", "/a/", null)]
    [InlineData("GET /a/", "/a/", "GET /a/")]
    [InlineData("GET /a/", "/a", null)]
    [InlineData("GET /a", "/A", null)]
    [InlineData("GET /a", "/a/b", null)]
    [InlineData("GET /a/b", "/a", null)]
    [InlineData("GET /", "/", "GET /")]
    [InlineData("GET /", "/a", null)]
    [InlineData("GET /caf%C3%A9", "/caf%C3%A9", "GET /caf%C3%A9")]
    public void An_exact_template_matches_its_own_path_and_no_other(string patterns, string path, string? expected) =>
        Assert.Equal(expected, Match(patterns, "GET", path));

    [Theory]
    [InlineData("/quotes/ABC", "GET /quotes/{symbol}")]
    [InlineData("/quotes/a%20b", "GET /quotes/{symbol}")]
    [InlineData("/quotes/", null)]
    [InlineData("/quotes", null)]
    [InlineData("/quotes/ABC/", null)]
    [InlineData("/quotes/ABC/day", null)]
    public void A_parameter_is_exactly_one_segment_that_is_not_empty(string path, string? expected) =>
        Assert.Equal(expected, Match("GET /quotes/{symbol}", "GET", path));

    [Theory]
    [InlineData("/a/b/c", "GET /a/{x}/c")]
    [InlineData("/a/b/d", "GET /a/b/d")]
    [InlineData("/a/b/e", "GET /{p}/{q}/e")]
    [InlineData("/a/z/d", null)]
    public void A_literal_beats_a_parameter_unless_it_leads_nowhere(string path, string? expected) =>
        Assert.Equal(expected, Match("GET /a/{x}/c, GET /a/b/d, GET /{p}/{q}/e", "GET", path));

    [Fact]
    public void The_first_segment_that_differs_decides_between_two_templates() =>
        Assert.Equal("GET /a/{x}/{y}", Match("GET /{x}/b/c, GET /a/{x}/{y}", "GET", "/a/b/c"));

    [Theory]
    [InlineData("/v1", "GET /v1...")]
    [InlineData("/v1/", "GET /v1/...")]
    [InlineData("/v1/x", "GET /v1/{id}...")]
    [InlineData("/v1/data", "GET /v1/data")]
    [InlineData("/v1/data/x", "GET /v1/data/...")]
    [InlineData("/v1/7/log", "GET /v1/{id}...")]
    [InlineData("/v10", "GET /...")]
    [InlineData("/", "GET /...")]
    [InlineData("/x/y/z", "GET /...")]
    public void Exact_templates_come_first_and_then_prefixes_longest_first(string path, string expected) =>
        Assert.Equal(expected, Match(
            "GET /..., GET /v1..., GET /v1/..., GET /v1/data, GET /v1/data/..., GET /v1/{id}...", "GET", path));

    [Theory]
    [InlineData("/v1", "GET /v1...")]
    [InlineData("/v1/", "GET /v1...")]
    [InlineData("/v1/x/y", "GET /v1...")]
    [InlineData("/v10", null)]
    [InlineData("/v", null)]
    [InlineData("/", null)]
    [InlineData("/V1", null)]
    public void A_prefix_ends_at_the_boundary_of_a_segment(string path, string? expected) =>
        Assert.Equal(expected, Match("GET /v1...", "GET", path));

    [Theory]
    [InlineData("/v1", null)]
    [InlineData("/v1/", "GET /v1/...")]
    [InlineData("/v1/x", "GET /v1/...")]
    [InlineData("/v1/x/", "GET /v1/...")]
    [InlineData("/v10/", null)]
    public void A_prefix_that_ends_in_a_slash_leaves_out_the_path_without_it(string path, string? expected) =>
        Assert.Equal(expected, Match("GET /v1/...", "GET", path));

    [Theory]
    [InlineData("/a/b/c", "GET /{x}/b/c...")]
    [InlineData("/a/b/d", "GET /a/{y}...")]
    public void A_longer_prefix_beats_a_more_literal_one(string path, string expected) =>
        Assert.Equal(expected, Match("GET /a..., GET /{x}/b..., GET /a/{y}..., GET /{x}/b/c...", "GET", path));

    [Theory]
    [InlineData("GET", "GET /a")]
    [InlineData("POST", "* /a")]
    [InlineData("get", "* /a")]
    [InlineData("HEAD", "GET /a")]
    [InlineData("OPTIONS", "* /a")]
    public void A_pattern_for_the_method_beats_one_for_any(string method, string expected) =>
        Assert.Equal(expected, Match("GET /a, * /a, PUT /{x}", method, "/a"));

    [Theory]
    [InlineData("GET", "GET /a/b")]
    [InlineData("PUT", "PUT /a/{x}")]
    [InlineData("POST", "POST /a/...")]
    [InlineData("DELETE", "DELETE /a...")]
    [InlineData("PATCH", "* /...")]
    public void A_path_without_a_pattern_for_the_method_is_passed_over(string method, string expected) =>
        Assert.Equal(expected,
            Match("GET /a/b, PUT /a/{x}, POST /a/..., DELETE /a..., * /...", method, "/a/b"));

    [Fact]
    public void Methods_are_case_sensitive() => Assert.Null(Match("GET /a", "get", "/a"));

    [Fact]
    public void HEAD_counts_as_GET_where_it_has_no_pattern_of_its_own()
    {
        const string patterns = "GET /a, HEAD /b, GET /b, HEAD /{x}, GET /p...";

        Assert.Equal("GET /a", Match(patterns, "HEAD", "/a"));
        Assert.Equal("HEAD /b", Match(patterns, "HEAD", "/b"));
        Assert.Equal("HEAD /{x}", Match(patterns, "HEAD", "/c"));
        Assert.Equal("GET /p...", Match(patterns, "HEAD", "/p/q"));
        Assert.Null(Match("HEAD /a", "GET", "/a"));
    }

    [Theory]
    [InlineData("GET /a/{x}, GET /a/{y}")]
    [InlineData("* /a, * /a")]
    [InlineData("GET /a/..., GET /a/...")]
    public void Two_patterns_for_the_same_requests_are_refused_with_both_names(string patterns)
    {
        var thrown = Assert.Throws<ArgumentException>(() => Build(patterns));

        foreach (var pattern in patterns.Split(", "))
            Assert.Contains(pattern.Split(' ')[1].Replace("...", ""), thrown.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void One_path_may_have_many_methods_an_exact_pattern_and_a_prefix() =>
        Assert.Equal("* /a...", Match("GET /a, PUT /a, * /a..., GET /a/...", "PATCH", "/a"));

    [Theory]
    [InlineData("")]
    [InlineData("a")]
    [InlineData("*")]
    public void What_is_no_path_matches_nothing(string path) => Assert.Null(Match("* /...", "GET", path));

    [Theory]
    [InlineData("/", "")]
    [InlineData("/v1/quotes/{symbol}", "")]
    [InlineData("/{a}/{b-2}/{C_3}/", "")]
    [InlineData("/caf%C3%A9", "")]
    [InlineData("/%7Bid%7D", "")]
    [InlineData("v1", "write '/v1'")]
    [InlineData("", "write '/'")]
    [InlineData("/v1/*", "write {name} for one segment")]
    [InlineData("/a?b=c", "write '/a'")]
    [InlineData("/a{id}", "'a{id}' is more than one")]
    [InlineData("/{id}.json", "'{id}.json' is more than one")]
    [InlineData("/{a}{b}", "'{a}{b}' is more than one")]
    [InlineData("/{a", "'{a' is more than one")]
    [InlineData("/a}", "'a}' is more than one")]
    [InlineData("/{{a}}", "'{{a}}' is more than one")]
    [InlineData("/{}", "write '{name}' instead of '{}'")]
    [InlineData("/{a b}", "letters, digits, '_' and '-'")]
    [InlineData("/{é}", "letters, digits, '_' and '-'")]
    [InlineData("/{id}/x/{id}", "'{id}' stands twice")]
    [InlineData("//a/{id}", "write '/a/{id}'")]
    [InlineData("/a/../%61/{id}/caf%c3%a9", "write '/a/{id}/caf%C3%A9'")]
    [InlineData("/a b", "write '/a%20b'")]
    [InlineData("/a;b", "refused as ambiguous")]
    [InlineData("/a%2Fb", "refused as ambiguous")]
    [InlineData("/café", "escapes of its UTF-8")]
    public void A_template_that_cannot_match_is_refused_with_what_would_be_right(string template, string expected)
    {
        var parsed = OperationMatcher.TryParseTemplate(template, out var error);

        Assert.Equal(expected.Length == 0, parsed);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Equal(parsed, error.Length == 0);
        if (!parsed) Assert.Throws<ArgumentException>(() => Build($"GET {template}"));
    }

    [Fact]
    public void A_template_is_at_most_64_segments_deep_and_a_path_may_be_deeper()
    {
        var deepest = string.Concat(Enumerable.Repeat("/a", 64));

        Assert.True(OperationMatcher.TryParseTemplate(deepest, out _));
        Assert.False(OperationMatcher.TryParseTemplate(deepest + "/a", out var error));
        Assert.Contains("at most 64 segments", error, StringComparison.Ordinal);
        Assert.Equal($"* {deepest}...",
            Match($"* {deepest}...", "GET", string.Concat(Enumerable.Repeat("/a", 100_000))));
    }

    [Fact]
    public void A_match_costs_the_same_among_ten_thousand_operations_as_among_ten()
    {
        static OperationMatcher<string> Among(int count) => Build(string.Join(", ",
            Enumerable.Range(0, count).Select(i => $"GET /v1/resource{i}/{{id}}/detail, * /v1/resource{i}...")));

        Assert.Equal(Among(10).MostSteps, Among(10_000).MostSteps);
        Assert.Equal(5, Among(10_000).MostSteps);
    }

    [Fact]
    public void Templates_that_force_the_matcher_back_at_each_level_are_visited_once_each()
    {
        // The worst tree there is: a literal and a parameter at every level, and a path that fails at the very end.
        var templates = Enumerable.Range(0, 1 << 10).Select(bits => "GET " + string.Concat(
            Enumerable.Range(0, 10).Select(level => (bits >> level & 1) == 0 ? "/a" : $"/{{p{level}}}")) + "/end");
        var matcher = Build(string.Join(", ", templates));

        Assert.Equal((1 << 11) - 1 + (1 << 10), matcher.MostSteps);
        Assert.Null(matcher.Match("GET", string.Concat(Enumerable.Repeat("/a", 5_000))));
    }

    [Fact]
    public void Matching_allocates_nothing()
    {
        var matcher = Build("GET /v1/quotes/{symbol}, GET /v1/{x}/day, * /v1..., GET /v1/quotes/day/x, PUT /v1/...");
        string[] paths = ["/v1/quotes/ABC", "/v1/quotes/day", "/v1/other/x", "/nothing", "/v1/quotes/day/y/z"];

        void MatchAll(int times)
        {
            for (var i = 0; i < times; i++)
                foreach (var path in paths)
                    matcher.Match(i % 2 == 0 ? "GET" : "HEAD", path);
        }

        MatchAll(100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        MatchAll(1_000);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_slow_matcher_that_tries_every_pattern_finds_the_same()
    {
        var segment = Gen.OneOf("a", "b", "{p}");
        var pattern = Gen.Select(
            Gen.OneOf<string?>(null, "GET", "HEAD", "POST"), segment.Array[0, 4], Gen.Bool, Gen.Bool,
            (method, segments, slash, isPrefix) => Pattern(method, segments, slash, isPrefix));
        var path = Gen.Select(Gen.OneOf("a", "b", "c").Array[0, 5], Gen.Bool,
            (segments, slash) => "/" + string.Join('/', segments) + (slash && segments.Length > 0 ? "/" : ""));

        Gen.Select(pattern.Array[0, 25], path.Array[1, 10], Gen.OneOf("GET", "HEAD", "POST", "get"))
            .Sample(
                (patterns, paths, method) =>
                {
                    var distinct = patterns.DistinctBy(p => (p.Method, p.Template, p.IsPrefix)).ToList();
                    var matcher = OperationMatcher<string>.Build(distinct);
                    foreach (var one in paths)
                        Assert.Equal(TryEvery(distinct, method, one), matcher.Match(method, one));
                },
                iter: 20_000);
    }

    private static OperationPattern<string> Pattern(string? method, string[] segments, bool slash, bool isPrefix)
    {
        var named = segments.Select((segment, i) => segment == "{p}" ? $"{{p{i}}}" : segment);
        var template = "/" + string.Join('/', named) + (slash && segments.Length > 0 ? "/" : "");
        return new(method, template, isPrefix, $"{method ?? "*"} {template}{(isPrefix ? "..." : "")}");
    }

    /// <summary>The rules as a regular expression per pattern and one order over all that match.</summary>
    private static string? TryEvery(List<OperationPattern<string>> patterns, string method, string path) => patterns
        .Where(p => p.Method is null || p.Method == method || (method == "HEAD" && p.Method == "GET"))
        .Where(p => Regex.IsMatch(path, $@"\A{Regex.Replace(p.Template, "{.+?}", "[^/]+")}"
            + (!p.IsPrefix ? @"\z" : p.Template.EndsWith('/') ? "" : @"(?:/|\z)")))
        .OrderBy(p => p.IsPrefix)
        .ThenByDescending(p => p.IsPrefix ? p.Template.TrimEnd('/').Count('/') : 0)
        .ThenByDescending(p => p.IsPrefix && p.Template.EndsWith('/'))
        .ThenBy(p => Regex.Replace(Regex.Replace(p.Template, "{.+?}", "2"), "[^/2]+", "1"), StringComparer.Ordinal)
        .ThenBy(p => p.Method == method ? 0 : p.Method is null ? 2 : 1)
        .FirstOrDefault()?.Value;

    private static string? Match(string patterns, string method, string path) => Build(patterns).Match(method, path);

    /// <summary>From "GET /a, * /b...": a star is any method, dots make a prefix. Each answers its own text.</summary>
    private static OperationMatcher<string> Build(string patterns) => OperationMatcher<string>.Build(
        patterns.Split(", ").Select(text =>
        {
            var (method, template) = (text[..text.IndexOf(' ')], text[(text.IndexOf(' ') + 1)..]);
            var isPrefix = template.EndsWith("...", StringComparison.Ordinal);
            return new OperationPattern<string>(
                method == "*" ? null : method, isPrefix ? template[..^3] : template, isPrefix, text);
        }));
}
