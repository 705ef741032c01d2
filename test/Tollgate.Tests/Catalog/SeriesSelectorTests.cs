using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

/// <summary>Selectors of series mean what they mean to Prometheus.</summary>
public sealed class SeriesSelectorTests
{
    [Theory]
    [InlineData("calls_total", true)]
    [InlineData("calls", false)]
    [InlineData(" calls_total { job = \"shop\" , code =~ '2..|3..' , } ", true)]
    [InlineData("calls_total{}", true)]
    [InlineData("calls_total{job=\"sho\"}", false)]
    [InlineData("calls_total{job=~\"sho\"}", false)] // whole values
    [InlineData("calls_total{job=~\"sho.\"}", true)]
    [InlineData("calls_total{job!~\"sho\"}", true)]
    [InlineData("calls_total{job!=\"shop\"}", false)]
    [InlineData("calls_total{missing=\"\"}", true)] // a label that is not there is empty
    [InlineData("calls_total{missing!=\"\"}", false)]
    [InlineData("calls_total{path=\"a\\\"}\\\\\"}", true)]
    public void It_matches_as_Prometheus_does(string selector, bool matches)
    {
        var labels = new Dictionary<string, string>
        {
            ["__name__"] = "calls_total", ["job"] = "shop", ["code"] = "204", ["path"] = "a\"}\\",
        };
        var (parsed, wrong) = SeriesSelector.Parse(selector);
        Assert.Null(wrong);
        Assert.Equal(matches, parsed!.Matches(labels.GetValueOrDefault));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{job=\"shop\"}")]
    [InlineData("5a")]
    [InlineData("a[5m]")]
    [InlineData("a offset 5m")]
    [InlineData("sum(a)")]
    [InlineData("a{")]
    [InlineData("a{job}")]
    [InlineData("a{job=shop}")]
    [InlineData("a{job=\"shop}")]
    [InlineData("a{job=\"x\" or=\"y\"}")]
    [InlineData("a{job=~\"(\"}")]
    [InlineData("a{job=~\"(a)\\\\1\"}")] // what needs to go back
    [InlineData("a{job=\"x\"} or b")]
    public void What_is_no_selector_is_refused_with_why(string text)
    {
        var (selector, wrong) = SeriesSelector.Parse(text);
        Assert.Null(selector);
        Assert.NotNull(wrong);
    }
}
