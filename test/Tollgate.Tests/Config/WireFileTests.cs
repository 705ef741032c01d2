using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;

namespace Tollgate.Tests.Config;

/// <summary>What a version of a plan fixes beside prices, in the file.</summary>
public sealed class WireFileTests
{
    private static readonly string s_example =
        System.IO.File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Config", "good", "example.yaml"));

    [Fact]
    public void The_example_of_the_format_loads_as_it_stands()
    {
        var file = Read(s_example);
        var pro = file.Plans.Single(p => p.Name == "pro");
        Assert.Equal(new Span(14, SpanUnit.Day), pro.Terms.Trial);
        Assert.Equal([("support", new Feature(null, "priority", null))], pro.Terms.Features);
        // what a plan extends, it has
        Assert.Equal(pro.Terms.Trial, file.Plans.Single(p => p.Name == "enterprise").Terms.Trial);
        Assert.Empty(file.Plans.Single(p => p.Name == "enterprise").Limits);
    }

    [Fact]
    public void Terms_are_written_as_they_are_read()
    {
        var terms = Read(Plan("""
                trial: 1 month
                features: { sso: true, support: priority, seats: 5, calls: { quota: calls } }
                quotas: [{ meter: calls, allowance: 1000, per: month }]
                prices: { base: { model: flat, amount: "40", every: month } }
                currencies: { EUR: { base: { model: flat, amount: "35", every: month } } }
                phases:
                  - name: ramp
                    for: 3 months
                    prices: { base: { model: flat, amount: "20", every: month } }
                    currencies: { EUR: { base: { model: flat, amount: "18", every: month } } }
                    limits: [10/minute]
                    allowances: { calls: 100 }
            """)).Plans.Single().Terms;
        var text = PlanTermsWriter.Write(terms);
        var again = PlanTermsReader.Read(JsonTree.Read(text).Value);
        Assert.Equal(text, PlanTermsWriter.Write(again.Value));
        Assert.Equal(18, ((Price.Flat)again.Value.Phases[0].Currencies["EUR"][0].Price).Amount);
    }

    [Theory]
    [InlineData("trial: soon", "bad_value plans.p.trial")]
    [InlineData("trial: 0 days", "bad_value plans.p.trial")]
    [InlineData("features: { a: { quota: none } }", "no_quota plans.p.features.a.quota")]
    [InlineData("phases: [{ name: ramp }]", "missing_field plans.p.phases[0].for")]
    [InlineData("phases: [{ name: r, for: 1 day, allowances: { x: 1 } }]", "no_quota plans.p.phases[0].allowances.x")]
    [InlineData("currencies: { XXQ: {} }", "unknown_currency plans.p.currencies.XXQ")]
    [InlineData("currencies: { USD: {} }", "bad_value plans.p.currencies.USD")]
    [InlineData("prices: { b: { model: flat, amount: \"1\", every: month } }\n    currencies: { EUR: {} }",
        "missing_field plans.p.currencies.EUR")]
    [InlineData("currencies: { EUR: { b: { model: flat, amount: \"1\", every: month } } }",
        "bad_value plans.p.currencies.EUR.b")]
    public void What_is_wrong_with_terms_is_told_at_its_place(string line, string expected)
    {
        var read = ConfigFileReader.Read(Plan("    " + line + "\n"), "t.yaml");
        Assert.Contains(expected, read.Problems.Select(p => $"{p.Code} {p.Field}"));
    }

    private static string Plan(string lines) =>
        "version: 1\ncurrency: USD\napis: { a: { upstream: \"http://127.0.0.1:1\", operations: { o: GET /o } } }\n" +
        $"plans:\n  p:\n    operations: [\"*\"]\n{lines}";

    private static ConfigFile Read(string text)
    {
        var read = ConfigFileReader.Read(text, "tollgate.yaml");
        Assert.True(read.Ok, string.Join("\n", read.Problems));
        return read.Value;
    }
}
