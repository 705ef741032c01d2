using System.Text;
using CsCheck;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway.Cost;

namespace Tollgate.Tests.Gateway.Cost;

/// <summary>Finding units in bodies as they pass, in pieces of any size.</summary>
public sealed class BodyReadingTests
{
    [Theory]
    [InlineData("""{"usage":{"total_tokens":350}}""", "350")]
    [InlineData("""{ "usage" : { "total_tokens" : 350 } }""", "350")]
    [InlineData("""{"a":{"usage":{"total_tokens":1}},"usage":{"total_tokens":2},"b":[{"usage":{"total_tokens":3}}]}""", "2")]
    [InlineData("""{"usage":[{"total_tokens":1}],"usage2":{"total_tokens":2}}""", "")]
    [InlineData("""{"usage":{"total_tokens":1,"total_tokens":2}}""", "1 2")]
    [InlineData("""{"us\u0061ge":{"total\u005ftokens":"12.5"}}""", "12.5")]
    [InlineData("""{"usage":{"total_tokens":null}}""", "null")]
    [InlineData("""{"usage":null,"x":"{\"usage\":{\"total_tokens\":9}}"}""", "")]
    [InlineData("""{"usage":{"total_tokens":{"x":1}}}""", "")]
    [InlineData("""{"usage":{"x":[1,[2,{"total_tokens":4}]],"total_tokens":-1e3}}""", "-1e3")]
    [InlineData("{\"usage\":{\"total_tokens\":1}}\n{\"usage\":{\"total_tokens\":2}}\n", "1 2")]
    [InlineData("\u001e{\"usage\":{\"total_tokens\":1}}\n\u001e{\"usage\":{\"total_tokens\":2}}\n", "1 2")]
    [InlineData("""{"usage":{"total_tokens":1}} garbage {"usage":{"total_tokens":2}}""", "1")]
    [InlineData("""["usage",{"usage":{"total_tokens":1}}]""", "")]
    [InlineData("""{"usage":{"total_tokens":1""", "")]
    [InlineData("", "")]
    [InlineData("[DONE]", "")]
    [InlineData("}{", "")]
    [InlineData("<html>", "")]
    public void A_value_is_found_where_its_path_leads_however_the_text_is_cut(string text, string found)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var size = 1; size <= Math.Max(1, bytes.Length); size++)
            Assert.Equal(found, Found("$.usage.total_tokens", bytes.Chunk(size)));
    }

    [Theory]
    [InlineData("$", "17", "17")]
    [InlineData("$[1]", "[1,2,3]", "2")]
    [InlineData("$[1].n[0]", """[{"n":[1]},{"n":[5,6]},{"n":[7]}]""", "5")]
    [InlineData("$['a b']", """{"a b":"x","a":1}""", "x")]
    public void Paths_lead_through_items_and_names(string path, string text, string found) =>
        Assert.Equal(found, Found(path, [Encoding.UTF8.GetBytes(text)]));

    private static readonly string[] s_leaves = ["null", "true", "\"t\"", "\"a\\\"}\"", "1.5e2"];

    [Fact]
    public void Any_JSON_is_read_like_a_reader_that_holds_all_of_it()
    {
        Gen.Select(Json(4), Gen.Int[1, 7]).Sample((text, size) =>
        {
            using var document = System.Text.Json.JsonDocument.Parse(text);
            var root = document.RootElement;
            var expected = root.ValueKind == System.Text.Json.JsonValueKind.Object && root.TryGetProperty("a", out var a)
                && a.ValueKind == System.Text.Json.JsonValueKind.Array && a.GetArrayLength() > 1
                ? a[1].ValueKind switch
                {
                    System.Text.Json.JsonValueKind.Object or System.Text.Json.JsonValueKind.Array => "",
                    System.Text.Json.JsonValueKind.String => a[1].GetString()!,
                    _ => a[1].GetRawText(),
                }
                : "";
            Assert.Equal(expected, Found("$.a[1]", Encoding.UTF8.GetBytes(text).Chunk(size)));
        }, iter: 2_000);
    }

    private static Gen<string> Json(int depth)
    {
        var leaf = Gen.OneOf(Gen.Int[-9, 9].Select(i => $"{i}"), Gen.Int[0, 4].Select(i => s_leaves[i]));
        if (depth == 0) return leaf;
        var inner = Json(depth - 1);
        return Gen.OneOf(
            leaf,
            inner.Array[0, 3].Select(items => $"[{string.Join(" , ", items)}]"),
            Gen.Select(Gen.Int[0, 2].Select(i => "abc"[i]), inner).Array[0, 3].Select(members =>
                $"{{{string.Join(",", members.DistinctBy(m => m.Item1).Select(m => $"\"{m.Item1}\":{m.Item2}"))}}}"));
    }

    [Fact]
    public void A_body_of_any_size_depth_and_name_is_read_in_a_few_hundred_bytes()
    {
        var scanner = new JsonScanner([JsonPath.Parse("$.n").Path!], (_, _, _) => { });
        var piece = Encoding.UTF8.GetBytes(new string('x', 8_000));
        scanner.Scan("{\""u8);
        for (var i = 0; i < 100; i++) scanner.Scan(piece);
        scanner.Scan("\":\""u8);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 5_000; i++) scanner.Scan(piece);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        scanner.Scan("\""u8);
        Assert.False(scanner.IsBroken);
        var deep = new JsonScanner([JsonPath.Parse("$.n").Path!], (_, _, _) => { });
        deep.Scan(Encoding.UTF8.GetBytes(new string('[', 100_000)));
        Assert.True(deep.IsBroken);
    }

    [Theory]
    [InlineData("data: {\"n\":1}\n\ndata: {\"n\":2}\n\n", "1 2")]
    [InlineData("event: x\r\nid: 7\r\ndata: {\"n\":\r\ndata: 3}\r\n\r\n", "3")]
    [InlineData("data:{\"n\":1}\rdata: \r\rdata:{\"n\":2}\r\r", "1 2")]
    [InlineData(": comment {\"n\":9}\ndatas: {\"n\":8}\n dat: {\"n\":7}\ndata: {\"n\":1}\n\ndata: [DONE]\n\n", "1")]
    [InlineData("data: not json {\"n\":1}\n\ndata: {\"n\":2}\n\n", "2")]
    [InlineData("data: {\"n\":1}\n\ndata: {\"n\":2", "1")]
    [InlineData("data: {\"n\":1}\n\ndata: {\"n\":2}", "1 2")]
    [InlineData("\n\n\ndata: {\"n\":1}\n\n", "1")]
    public void Server_sent_events_are_read_however_they_are_cut(string text, string found)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        for (var size = 1; size <= bytes.Length; size++)
        {
            var values = new List<string>();
            var scanner = new JsonScanner([JsonPath.Parse("$.n").Path!], (_, v, _) => values.Add(Encoding.UTF8.GetString(v)));
            var lines = new EventLines(scanner);
            foreach (var piece in bytes.Chunk(size)) lines.Scan(piece);
            scanner.End();
            Assert.Equal(found, string.Join(' ', values));
        }
    }

    [Theory]
    [InlineData("tokens=350, calls=2", 2, "tokens 350", "")]
    [InlineData("tokens=350,tokens=4", 1, "tokens 4", "")]
    [InlineData(" tokens = 3 ,, credits=1.25 ", 1, "credits 125 tokens 3", "")]
    [InlineData("calls=0", 0, "", "")]
    [InlineData("tokens", 1, "", "Syntax")]
    [InlineData("=3", 1, "", "Syntax")]
    [InlineData("tokens=", 1, "", "Number")]
    [InlineData("tokens=-1", 1, "", "Number")]
    [InlineData("tokens=1.5", 1, "", "Number")]
    [InlineData("tokens=1e2", 1, "tokens 100", "")]
    [InlineData("tokens=NaN, calls=many", 1, "", "Number Number")]
    [InlineData("tokens=99999999999999999999999", 1, "", "Number")]
    [InlineData("credits=1.255", 1, "", "Number")]
    [InlineData("video=1, tokens=2", 1, "tokens 2", "UnknownMeter")]
    [InlineData("tokens=５", 1, "", "Number")]
    public void The_upstreams_word_counts_item_by_item(string header, long calls, string used, string faults)
    {
        var seen = new List<UnitFault>();
        var cost = new CallCost(new OperationCost(1,
        [
            new CostMeter(Meter(2, "credits", scale: 2)), new CostMeter(Meter(3, "tokens")),
        ]), seen.Add);
        cost.ReadHeader(header);
        Assert.Equal((calls, faults), (cost.Calls, string.Join(' ', seen)));
        using var home = new Metering.JournalHome();
        using var journal = home.Open();
        Assert.True(journal.TryReserve(2));
        var call = Metering.JournalHome.Call(1);
        var admitted = journal.AppendAdmitted(call).Sequence;
        var unused = cost.Settle(journal, admitted, call);
        journal.AppendSettled(Metering.JournalHome.Answer(admitted, call), unused);
        Assert.Equal(used, string.Join(' ', Metering.JournalHome.ReadAll(journal)
            .Where(r => r.Kind == Tollgate.Metering.RecordKind.Measured)
            .Select(r => $"{(r.Meter == 2 ? "credits" : "tokens")} {r.Quantity}")));
    }

    [Theory]
    [InlineData("0", 0, 0L)]
    [InlineData("12", 0, 12L)]
    [InlineData("12.000", 0, 12L)]
    [InlineData("0.000000001", 9, 1L)]
    [InlineData("1.5e3", 0, 1500L)]
    [InlineData("1500e-3", 1, 15L)]
    [InlineData("-7.25", 2, -725L)]
    [InlineData("1000000000000000", 0, 1_000_000_000_000_000L)]
    [InlineData("0000000000000000000000000000000000007", 0, 7L)]
    public void Numbers_are_counted_digit_by_digit(string text, int scale, long scaled)
    {
        Assert.True(ScaledNumber.TryParse(text, scale, out var read));
        Assert.Equal(scaled, read);
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("-", 0)]
    [InlineData(".5", 0)]
    [InlineData("5.", 0)]
    [InlineData("1.5", 0)]
    [InlineData("+1", 0)]
    [InlineData("0x10", 0)]
    [InlineData("1e", 0)]
    [InlineData("1e9999999999", 0)]
    [InlineData("1000000000000001", 0)]
    [InlineData("1e16", 0)]
    [InlineData("1000001", 9)]
    [InlineData(" 1", 0)]
    [InlineData("1,000", 0)]
    [InlineData("Infinity", 0)]
    [InlineData("99999999999999999999999999999999999999999999999999999999999999999", 0)]
    public void What_is_no_number_or_finer_or_larger_than_a_meter_takes_is_refused(string text, int scale) =>
        Assert.False(ScaledNumber.TryParse(text, scale, out _));

    private static string Found(string path, IEnumerable<byte[]> pieces)
    {
        var values = new List<string>();
        var scanner = new JsonScanner([JsonPath.Parse(path).Path!], (_, v, _) => values.Add(Encoding.UTF8.GetString(v)));
        foreach (var piece in pieces) scanner.Scan(piece);
        scanner.End();
        return string.Join(' ', values);
    }

    private static PublishedMeter Meter(int key, string name, int scale = 0) => new()
    {
        Meter = new Meter(key, name, Aggregation.Sum, scale),
        ManagedBy = ManagedBy.File,
        Source = UnitSource.Header,
    };
}
