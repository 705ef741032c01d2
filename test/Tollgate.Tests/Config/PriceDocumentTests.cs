using System.Text.Json;
using CsCheck;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;

namespace Tollgate.Tests.Config;

/// <summary>Price documents: what is written is read back the same, and equal prices are equal text.</summary>
public sealed class PriceDocumentTests
{
    private static readonly Gen<decimal> s_amounts =
        from whole in Gen.Long[0, 999_999_999_999]
        from fraction in Gen.Long[0, 999_999_999_999]
        from scale in Gen.Int[0, 12]
        select whole + decimal.Truncate((decimal)fraction / Pow10(12 - scale)) / Pow10(scale);

    private static readonly Gen<string> s_names = Gen.String[Gen.Char["abcxyzABC012_-"], 1, 20].Select(n => "p" + n);

    private static readonly Gen<Price> s_prices = Gen.OneOf(
        Gen.Select(s_amounts, Gen.Enum<BillingTiming>(), (amount, due) => (Price)new Price.Flat(amount, due)),
        s_amounts.Select(a => (Price)new Price.PerUnit(a)));

    private static readonly Gen<IReadOnlyList<PriceComponent>> s_plans =
        Gen.Select(s_names, s_prices, s_names.Array[0, 5], (name, price, operations) => price is Price.Flat
                ? new PriceComponent(name, null, null, price)
                : new PriceComponent(name, "calls", operations.Length == 0 ? null : [.. operations.Distinct()], price))
            .List[0, 8].Select(list => (IReadOnlyList<PriceComponent>)[.. list.DistinctBy(p => p.Name)]);

    [Fact]
    public void Price_documents_round_trip() => s_plans.Sample(prices =>
    {
        var text = PriceWriter.Write(prices);
        var read = Read(text).Value;
        Assert.Equal(text, PriceWriter.Write(read));
        Assert.Equal(prices.Select(Key), read.Select(Key));
    });

    [Fact]
    public void Equal_prices_are_equal_text_and_others_are_not() => Gen.Select(s_plans, s_plans).Sample((a, b) =>
        Assert.Equal(a.Select(Key).SequenceEqual(b.Select(Key)), PriceWriter.Write(a) == PriceWriter.Write(b)));

    [Fact]
    public void An_amount_is_the_same_however_it_is_written() => s_amounts.Sample(amount =>
    {
        var text = PriceWriter.Text(amount);
        string[] ways = [$"\"{text}\"", text, $"\"000{text}\"", $"\"{text}{(text.Contains('.') ? "" : ".")}000\""];
        foreach (var way in ways)
        {
            var price = Read($$"""{ "a": { "every": "month", "amount": {{way}}, "model": "flat" } }""").Value[0];
            Assert.Equal(amount, ((Price.Flat)price.Price).Amount);
        }
    });

    [Theory]
    [InlineData("49.00", "49")]
    [InlineData("0.000000000001", "0.000000000001")]
    [InlineData("0.0", "0")]
    [InlineData("100", "100")]
    [InlineData("999999999999.999999999999", "999999999999.999999999999")]
    public void Decimals_are_written_without_needless_zeros(string written, string canonical) =>
        Assert.Equal(canonical, PriceWriter.Text(decimal.Parse(written)));

    [Fact]
    public void The_canonical_text_of_prices_never_changes() => Assert.Equal(
        """
        {"base":{"model":"flat","amount":"49","every":"month","in":"advance"},
        "calls":{"model":"per_unit","unit_amount":"0.05","meter":"calls","where":{"operation":["a","b"]}}}
        """.Replace("\n", "", StringComparison.Ordinal),
        PriceWriter.Write(
        [
            new("base", null, null, new Price.Flat(49.00m, BillingTiming.Advance)),
            new("calls", "calls", ["b", "a"], new Price.PerUnit(0.050m)),
        ]));

    [Fact]
    public void A_request_with_wrong_prices_is_told_the_paths()
    {
        var problems = Read("""{ "a": { "model": "flat", "amount": "1e5", "every": "decade" }, "b": 5 }""").Problems;
        Assert.Equal(["a.amount", "a.every", "b"], problems.Select(p => p.Field));
        Assert.All(problems, p => Assert.Null(p.Place));
    }

    [Theory]
    [InlineData("{", "json_syntax")]
    [InlineData("", "json_syntax")]
    [InlineData("{} {}", "json_syntax")]
    [InlineData("""{ "a": "\ud800" }""", "json_syntax")]
    [InlineData("""{ "\ud800": 1 }""", "json_syntax")]
    [InlineData("""{ "a": 1, "a": 2 }""", "duplicate_name")]
    [InlineData("[]", "wrong_type")]
    [InlineData("null", "wrong_type")]
    public void What_is_no_object_of_prices_is_refused(string text, string code) =>
        Assert.Contains(Read(text).Problems, p => p.Code == code);

    [Fact]
    public void Json_nested_deeper_than_64_is_refused() =>
        Assert.Equal("json_syntax", Read(new string('[', 65) + new string(']', 65)).Problems[0].Code);

    [Fact]
    public void Numbers_of_json_keep_their_digits()
    {
        var node = JsonTree.Read("""{"a": [123456789012345678901234567890.12345678901234567890]}""").Value;
        var scalar = Assert.IsType<ScalarNode>(((ListNode)node.Find("a")!).Items[0]);
        Assert.Equal(("123456789012345678901234567890.12345678901234567890", "a[0]"), (scalar.Text, scalar.Path));
    }

    [Fact]
    public void A_published_version_reads_as_a_plan_version()
    {
        var prices = """{"calls":{"model":"per_unit","unit_amount":"0.5","meter":"calls"}}""";
        var version = new PlanVersionRow("plan_1", 3, "EUR", prices, "[]", "{}", 0).ToPlanVersion();
        Assert.Equal(("plan_1", 3, "EUR"), (version.PlanId, version.Version, version.Currency.Code));
        Assert.Equal(new Price.PerUnit(0.5m), Assert.Single(version.Prices).Price);
        Assert.Throws<InvalidDataException>(() => new PlanVersionRow("plan_1", 3, "EUR", "[]", "[]", "{}", 0).ToPlanVersion());
    }

    [Fact]
    public void Prices_written_into_a_larger_document_are_the_same_text()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream)) PriceWriter.WriteTo(json, []);
        Assert.Equal("{}"u8.ToArray(), stream.ToArray());
    }

    private static Result<IReadOnlyList<PriceComponent>> Read(string text)
    {
        var tree = JsonTree.Read(text);
        return tree.Ok ? PriceReader.Read(tree.Value) : Result<IReadOnlyList<PriceComponent>>.Refused(tree.Problems);
    }

    private static string Key(PriceComponent price)
    {
        var operations = price.Operations?.Order(StringComparer.Ordinal) ?? (IEnumerable<string>)["every"];
        var amount = price.Price switch
        {
            Price.Flat flat => $"flat {PriceWriter.Text(flat.Amount)} {flat.In}",
            Price.PerUnit unit => $"unit {PriceWriter.Text(unit.UnitAmount)}",
            _ => throw new InvalidOperationException(),
        };
        return $"{price.Name} {price.Meter} {string.Join(' ', operations)} {amount}";
    }

    private static decimal Pow10(int exponent) => Enumerable.Repeat(10m, exponent).Aggregate(1m, (a, b) => a * b);
}
