using Tollgate.Config.File;

namespace Tollgate.Tests.Config;

/// <summary>A map of rates per endpoint, as somebody who bills from Prometheus has it.</summary>
public sealed class RateMapTests
{
    [Theory]
    [InlineData("""{"/api/v1/data": "0.01", "GET /api/v1/premium/analytics": 0.050}""")]
    [InlineData("/api/v1/data: 0.01\nGET /api/v1/premium/analytics: '0.05'\n")]
    public void Rates_are_read_as_they_are_written(string text) => Assert.Equal(
        [("/api/v1/data", "0.01"), ("GET /api/v1/premium/analytics", "0.05")], RateMap.Read(text, "rates").Value);

    [Fact]
    public void Everything_that_is_wrong_is_told_at_once() => Assert.Equal(
        ["bad_name", "bad_value", "bad_value", "too_many_digits"],
        RateMap.Read("""{"api": "x", "/b": -1, "/c": 0.0000000000001}""", "rates").Problems.Select(p => p.Code));

    [Theory]
    [InlineData("{}", "too_many")]
    [InlineData("[]", "wrong_type")]
    [InlineData("", "empty_file")]
    public void What_is_no_map_of_rates_is_refused(string text, string code) =>
        Assert.Equal(code, Assert.Single(RateMap.Read(text, "rates").Problems).Code);
}
