using Tollgate.Gateway.Routing;

namespace Tollgate.Tests.Gateway;

/// <summary>The promises of the type. How each spelling is read stands in hostile-paths.txt.</summary>
public sealed class CanonicalPathTests
{
    [Theory]
    [InlineData("/")]
    [InlineData("/v1/premium/analytics?from=2026-01-01")]
    [InlineData("/.well-known/jwks.json")]
    [InlineData("/caf%C3%A9/%7Bid%7D?q=%zz")]
    public void A_canonical_target_is_answered_itself_and_not_a_copy(string raw) => Assert.Same(raw, Read(raw).Text);

    [Fact]
    public void Path_and_query_are_the_two_parts_of_the_text()
    {
        var target = Read("/a/./b?c=/./d");

        Assert.Equal("/a/b?c=/./d", target.Text);
        Assert.Equal("/a/b", target.Path.ToString());
        Assert.Equal("?c=/./d", target.Query.ToString());
    }

    [Fact]
    public void A_target_without_a_query_has_an_empty_one()
    {
        Assert.True(Read("/a").Query.IsEmpty);
        Assert.Equal("?", Read("/a?").Query.ToString());
    }

    [Fact]
    public void A_refused_target_is_empty()
    {
        Assert.False(CanonicalPath.TryRead("/a;b", "api.test", out var target));

        Assert.Equal("", target.Text);
        Assert.True(target.Path.IsEmpty);
        Assert.True(target.Query.IsEmpty);
    }

    [Fact]
    public void An_origin_form_needs_no_host()
    {
        Assert.True(CanonicalPath.TryRead("/a", host: null, out var target));
        Assert.Equal("/a", target.Text);
    }

    [Fact]
    public void A_long_path_is_read_like_a_short_one()
    {
        // Longer than what is rewritten on the stack, and three times as long once it is escaped.
        var raw = string.Concat(Enumerable.Repeat("/{/%2e/", 3_000));

        Assert.Equal(string.Concat(Enumerable.Repeat("/%7B", 3_000)) + "/", Read(raw).Text);
    }

    [Fact]
    public void A_climb_past_the_root_costs_no_more_than_its_length()
    {
        var raw = string.Concat(Enumerable.Repeat("/a", 10_000)) + string.Concat(Enumerable.Repeat("/..", 20_000));

        Assert.Equal("/", Read(raw).Text);
    }

    [Theory]
    [InlineData("/v1/premium/analytics?from=2026-01-01")]
    [InlineData("/.well-known/caf%C3%A9")]
    [InlineData("/v1/premium/analytics;jsessionid=1")]
    [InlineData("/v1/%2e%2e%2f")]
    public void Reading_a_canonical_target_or_refusing_one_allocates_nothing(string raw)
    {
        for (var i = 0; i < 100; i++) CanonicalPath.TryRead(raw, "api.test", out _);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++) CanonicalPath.TryRead(raw, "api.test", out _);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static CanonicalTarget Read(string raw)
    {
        Assert.True(CanonicalPath.TryRead(raw, "api.test", out var target), raw);
        return target;
    }
}
