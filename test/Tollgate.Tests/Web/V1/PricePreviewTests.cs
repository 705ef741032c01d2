using System.Net;
using System.Text;
using System.Text.Json;
using Tollgate.Config.File;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary><c>POST /v1/prices/preview</c> as a caller sees it: worked numbers, faults, hostile input.</summary>
public sealed class PricePreviewTests(PricePreviewTests.Server server) : IClassFixture<PricePreviewTests.Server>
{
    /// <summary>The rows of a section of <c>prices.txt</c>.</summary>
    public static IEnumerable<ITheoryDataRow> Rows(string section) => File
        .ReadLines(Path.Combine(AppContext.BaseDirectory, "Web", "V1", "prices.txt"))
        .SkipWhile(line => line != $"[{section}]").Skip(1).TakeWhile(line => line.Length > 0)
        .Select(line => new TheoryDataRow(line.Split("  |  ")));

    [Fact]
    public async Task The_example_of_the_contract_is_answered_to_the_letter()
    {
        var answer = await Ask("""
            {"currency": "USD", "quantity": "121",
             "price": {"model": "package", "size": "10", "amount": "100", "free": "10"}}
            """);
        Assert.Equal(
            """
            {"amount":"1200.00","precise_amount":"1200","lines":[{"description":"12 packages of 10",
            "quantity":"12","unit_amount":"100","precise_amount":"1200","amount":"1200.00"}]}
            """.ReplaceLineEndings(""),
            answer.GetRawText());
    }

    [Theory, MemberData(nameof(Rows), "amounts")]
    public async Task A_price_asks_what_its_rules_say(string price, string quantity, string amount, string precise)
    {
        var answer = await Ask($$"""{"currency":"USD","quantity":"{{quantity}}","price":{{price}}}""");
        Assert.Equal((amount, precise), (Text(answer, "amount"), Text(answer, "precise_amount")));
        Assert.Equal(decimal.Parse(amount), SumOf(answer));
    }

    [Theory]
    [InlineData("JPY", "1.5", "2", "1.5")]
    [InlineData("KWD", "0.0005", "0.001", "0.0005")]
    [InlineData("CLF", "0.00005", "0.0001", "0.00005")]
    [InlineData("USD", "0.005", "0.01", "0.005")]
    public async Task An_amount_has_the_digits_of_its_currency_and_half_goes_away_from_zero(
        string currency, string unit, string amount, string precise)
    {
        var answer = await Ask($$$"""
            {"currency":"{{{currency}}}","quantity":1,"price":{"model":"per_unit","unit_amount":"{{{unit}}}"}}
            """);
        Assert.Equal((amount, precise), (Text(answer, "amount"), Text(answer, "precise_amount")));
    }

    [Theory, MemberData(nameof(Rows), "slices")]
    public async Task A_slice_continues_where_the_last_one_ended(string price, string before, string quantity, string amount)
    {
        var answer = await Ask(
            $$"""{"currency":"USD","quantity":"{{quantity}}","already_billed":"{{before}}","price":{{price}}}""");
        Assert.Equal(amount, Text(answer, "amount"));
        Assert.Equal(decimal.Parse(amount), SumOf(answer));
    }

    [Theory, MemberData(nameof(Rows), "events")]
    public async Task A_percentage_looks_at_single_events(string terms, string events, string amount)
    {
        var price = """{"model":"percentage",""" + terms[1..];
        var values = string.Join(",", events.Split(',').Select(e => $"\"{e}\""));
        var answer = await Ask($$"""{"currency":"USD","events":[{{values}}],"price":{{price}}}""");
        Assert.Equal(amount, Text(answer, "amount"));
    }

    [Fact]
    public async Task Every_fault_is_told_at_once_with_its_field()
    {
        var error = await Refused("""
            {"currency":"usd","quantity":"-1","already_billed":"1e3","colour":"red",
             "price":{"model":"graduated","minimum":"5","maximum":"4","tires":[],"tiers":[
                {"up_to":"10","unit_amount":"1"},{"up_to":"5","unit_amount":"0.0000000000001"},{"unit_amount":"-2"},
                {"up_to":"10"},{"up_to":"20","unit_amount":"x","from":3}]}}
            """);
        Assert.Equivalent(
            new[]
            {
                "currency unknown_currency", "price.maximum bad_value", "price.tires unknown_field",
                "price.tiers[1].unit_amount too_many_digits", "price.tiers[1].up_to tier_out_of_order",
                "price.tiers[2].unit_amount bad_value", "price.tiers[2] tier_gap",
                "price.tiers[3] tier_without_amount", "price.tiers[3].up_to tier_overlap",
                "price.tiers[4].unit_amount bad_value", "price.tiers[4].up_to last_tier_closed",
                "price.tiers[4].from unknown_field", "quantity bad_value", "already_billed bad_value",
                "colour unknown_field",
            },
            error, strict: true);
    }

    [Theory, MemberData(nameof(Rows), "tiers")]
    public async Task Tiers_with_gaps_or_overlaps_are_refused(string tiers, string fault) => Assert.Equal(
        [fault], await Refused($$$"""{"currency":"USD","quantity":1,"price":{"model":"volume","tiers":{{{tiers}}}}}"""));

    [Theory, MemberData(nameof(Rows), "refused")]
    public async Task What_cannot_be_rated_is_refused_by_name(string question, string faults) =>
        Assert.Equal(faults.Split(", ").Order(), (await Refused(question)).Order());

    [Fact]
    public async Task A_quantity_is_never_a_binary_fraction()
    {
        var answer = await Ask("""
            {"currency":"USD","quantity":9007199254740993,"price":{"model":"per_unit","unit_amount":0.01}}
            """);
        Assert.Equal("90071992547409.93", Text(answer, "amount"));
    }

    [Fact]
    public async Task A_total_that_falls_at_a_boundary_is_answered_with_a_warning()
    {
        var answer = await Ask("""
            {"currency":"USD","quantity":16,
             "price":{"model":"volume","tiers":[{"up_to":15,"unit_amount":10},{"unit_amount":5}]}}
            """);
        Assert.Equal("80.00", Text(answer, "amount"));
        Assert.Equal("At 15 units the total is 150, and just above it is 75: a customer pays less for using more.",
            answer.GetProperty("warnings")[0].GetString());
    }

    [Fact]
    public async Task An_included_allowance_stands_on_a_line_of_its_own()
    {
        var answer = await Ask("""
            {"currency":"USD","quantity":130,"quota":100,
             "price":{"model":"per_unit","unit_amount":2,"included":"from quota"}}
            """);
        Assert.Equal(["100 units included 0.00", "30 units 60.00"], answer.GetProperty("lines").EnumerateArray()
            .Select(l => $"{Text(l, "description")} {Text(l, "amount")}"));
    }

    [Fact]
    public async Task A_fee_is_refused_the_terms_of_usage_in_the_words_of_the_file()
    {
        const string price = """
            {"model":"flat","amount":"49","every":"month","minimum":"5","included":1,"meter":"calls","when":"sat","by":"operation"}
            """;
        var answer = await Ask($$"""{"currency":"USD","price":{{price}}}""", 400);
        var file = ConfigFileReader.Read(
            "version: 1\ncurrency: USD\nplans: { pro: { operations: [], prices: { price: " + price + " } } }", "f");
        Assert.Equal(file.Problems.Select(p => (p.Code, p.Detail)).Order(),
            answer.GetProperty("errors").EnumerateArray().Select(e => (Text(e, "code"), Text(e, "detail"))).Order());
        Assert.Equal(5, file.Problems.Count);
    }

    [Fact]
    public async Task More_events_than_the_bound_are_refused()
    {
        var events = string.Join(",", Enumerable.Repeat("1", 10_001));
        Assert.Equal(["events too_many"],
            await Refused($$$"""{"currency":"USD","events":[{{{events}}}],"price":{"model":"percentage","rate":"1"}}"""));
    }

    /// <summary>One server for the whole class: a preview has no state to share.</summary>
    public sealed class Server : IAsyncLifetime
    {
        private TestServer _server = null!;

        public HttpClient Admin => _server.Admin;

        public async ValueTask InitializeAsync() => _server = await TestServer.StartAsync();

        public ValueTask DisposeAsync() => _server.DisposeAsync();
    }

    private async Task<JsonElement> Ask(string question, int status = 200)
    {
        using var content = new StringContent(question, Encoding.UTF8, "application/json");
        using var answer = await server.Admin.PostAsync("/v1/prices/preview", content);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, $"{question}\n{(int)answer.StatusCode} {text}");
        return JsonDocument.Parse(text).RootElement;
    }

    private async Task<string[]> Refused(string question)
    {
        var answer = await Ask(question, (int)HttpStatusCode.BadRequest);
        return answer.GetProperty("errors").EnumerateArray().Select(e => $"{Text(e, "field")} {Text(e, "code")}").ToArray();
    }

    private static decimal SumOf(JsonElement answer) =>
        answer.GetProperty("lines").EnumerateArray().Sum(l => decimal.Parse(Text(l, "amount")));

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;
}
