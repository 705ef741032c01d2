using System.Text;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;

namespace Tollgate.Tests.Config;

/// <summary>
/// Golden files: beside each file in <c>good</c> stands what it means, beside each in <c>bad</c> the exact list of
/// what is wrong with it. After a change on purpose, copy the "actual" of the message over the expectation.
/// </summary>
public sealed class ConfigFileTests
{
    private static readonly string s_folder = Path.Combine(AppContext.BaseDirectory, "Config");

    public static TheoryData<string> Good => FilesIn("good");

    public static TheoryData<string> Bad => FilesIn("bad");

    [Theory, MemberData(nameof(Good))]
    public void A_good_file_means_what_stands_beside_it(string file)
    {
        var read = Read("good", file);
        Assert.True(read.Ok, Describe(read.Problems));
        Same("good", file, Dump(read.Value));
    }

    [Theory, MemberData(nameof(Bad))]
    public void A_bad_file_is_told_everything_at_once(string file)
    {
        var read = Read("bad", file);
        Assert.False(read.Ok, "Nothing was found wrong.");
        Same("bad", file, Describe(read.Problems));
    }

    [Fact]
    public void Every_fault_of_a_file_with_many_is_told_in_the_order_of_the_file()
    {
        var problems = Read("bad", "many-faults.yaml").Problems;
        var lines = problems.Select(p => p.Place!.Line).ToArray();
        Assert.Equal(lines.Order(), lines);
        Assert.Superset(
            new HashSet<string>
            {
                "unknown_currency", "bad_name", "bad_value", "duplicate_path", "duplicate_name", "unknown_field",
                "unknown_operation", "duplicate_limit", "unknown_plan", "wrong_type", "missing_field",
                "circular_extends",
            },
            problems.Select(p => p.Code).ToHashSet());
    }

    [Fact]
    public void A_byte_order_mark_moves_no_column()
    {
        var problem = Assert.Single(ConfigFileReader.Read("\uFEFFversion: 2\ncurrency: USD", "f").Problems);
        Assert.Equal(new Place("f", 1, 10), problem.Place);
    }

    [Fact]
    public void A_password_in_a_file_is_not_repeated() => Assert.DoesNotContain(
        "secret", string.Join('\n', Read("bad", "upstreams.yaml").Problems), StringComparison.Ordinal);

    [Fact]
    public void A_file_of_more_than_four_mebibytes_is_refused()
    {
        var text = "version: 1\ncurrency: USD\n# " + new string('ö', 2 << 20);
        Assert.Equal("too_large", Assert.Single(ConfigFileReader.Read(text, "f").Problems).Code);
    }

    [Theory]
    [InlineData("[", "]")]
    [InlineData("{a: ", "}")]
    [InlineData("- ", "")]
    public void A_file_nested_deeper_than_64_is_refused(string open, string close)
    {
        var text = string.Concat(Enumerable.Repeat(open, 100_000)) + string.Concat(Enumerable.Repeat(close, 100_000));
        Assert.Equal("too_deep", Assert.Single(ConfigFileReader.Read(text, "f").Problems).Code);
    }

    [Fact]
    public void At_most_a_thousand_problems_are_told_and_the_rest_is_counted()
    {
        var text = new StringBuilder("version: 1\ncurrency: USD\n");
        for (var i = 0; i < 5_000; i++) text.Append($"field{i}: 1\n");
        var problems = ConfigFileReader.Read(text.ToString(), "f").Problems;
        Assert.Equal(1_001, problems.Count);
        Assert.Equal("too_many_problems", problems[^1].Code);
        Assert.StartsWith("4000 more", problems[^1].Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1_000, true)]
    [InlineData(1_001, false)]
    public void A_file_has_at_most_a_thousand_plans(int plans, bool right)
    {
        var text = "version: 1\ncurrency: USD\nplans:\n"
            + string.Concat(Enumerable.Range(0, plans).Select(i => $"  p{i}: {{ operations: [\"*\"] }}\n"));
        var read = ConfigFileReader.Read(text, "f");
        Assert.Equal(right, read.Ok);
        if (!right) Assert.Equal("too_many", Assert.Single(read.Problems).Code);
    }

    [Fact]
    public void A_plan_has_at_most_a_hundred_prices_with_the_inherited_ones()
    {
        var text = "version: 1\ncurrency: USD\nplans:\n  a:\n    operations: ['*']\n    prices:\n" + Prices("a", 100)
            + "  b:\n    extends: a\n    prices:\n" + Prices("b", 1);
        var problem = Assert.Single(ConfigFileReader.Read(text, "f").Problems);
        Assert.Equal(("too_many", "plans.b"), (problem.Code, problem.Field));

        static string Prices(string prefix, int count) => string.Concat(Enumerable.Range(0, count)
            .Select(i => $"      {prefix}{i}: {{ model: flat, amount: 1, every: month }}\n"));
    }

    [Fact]
    public void A_name_of_a_megabyte_does_not_blow_up_what_is_told_about_the_values_below_it()
    {
        var items = string.Concat(Enumerable.Repeat("5, ", 10_000));
        var text = $"version: 1\ncurrency: USD\nplans:\n  ? {new string('x', 1 << 20)}\n  : {{ limits: [{items}] }}\n";
        var problems = ConfigFileReader.Read(text, "f").Problems;
        Assert.True(problems.Sum(p => p.Detail.Length + (p.Field?.Length ?? 0)) < 1_000_000);
    }

    private static Result<ConfigFile> Read(string folder, string file) =>
        ConfigFileReader.Read(File.ReadAllText(Path.Combine(s_folder, folder, file)), file);

    private static void Same(string folder, string file, string actual)
    {
        var golden = Path.Combine(s_folder, folder, file + ".txt");
        var expected = File.Exists(golden) ? File.ReadAllText(golden) : "(no expectation)\n";
        if (actual == expected) return;
        File.WriteAllText(golden + ".actual", actual);
        Assert.Fail($"{folder}/{file}.txt differs.\nExpected:\n{expected}\nActual:\n{actual}");
    }

    private static string Describe(IReadOnlyList<Problem> problems) => string.Concat(problems.Select(
        p => $"{p.Place?.Line}:{p.Place?.Column} {p.Code}{(p.Field is null ? "" : " " + p.Field)}\n    {p.Detail}\n"));

    internal static string Dump(ConfigFile file)
    {
        var text = new StringBuilder($"currency {file.Currency}\n");
        foreach (var api in file.Apis)
        {
            text.Append($"api {api.Name} → {api.Upstream.AbsoluteUri}\n");
            foreach (var (name, pattern) in api.Operations) text.Append($"    {name} = {pattern}\n");
            if (api.Access is not null)
                text.Append($"    access {System.Text.Json.JsonSerializer.Serialize(api.Access, PlanDocument.Json)}\n");
        }

        foreach (var meter in file.Meters) text.Append($"meter {meter.Name} = {meter.Document.Write()}\n");
        foreach (var plan in file.Plans)
        {
            text.Append($"plan {plan.Name}{(plan.DisplayName is null ? "" : $" \"{plan.DisplayName}\"")}\n");
            text.Append($"    operations {string.Join(' ', plan.Operations)}\n");
            text.Append($"    limits {string.Join(' ', plan.Limits)}\n");
            if (plan.Headers != HeaderFamilies.Kong) text.Append($"    headers {plan.Headers}\n");
            if (plan.UpgradeUrl is not null) text.Append($"    upgrade_url {plan.UpgradeUrl}\n");
            if (plan.Quotas.Count > 0) text.Append($"    quotas {QuotaWriter.Write(plan.Quotas)}\n");
            foreach (var price in plan.Prices) text.Append($"    price {PriceWriter.Write([price])}\n");
            text.Append($"    migrate {plan.Migrate}\n");
        }

        return text.ToString();
    }

    private static TheoryData<string> FilesIn(string folder) => new(Directory.GetFiles(Path.Combine(s_folder, folder))
        .Select(f => Path.GetFileName(f)!).Where(f => f.EndsWith(".yaml", StringComparison.Ordinal)
            || f.EndsWith(".json", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
}
