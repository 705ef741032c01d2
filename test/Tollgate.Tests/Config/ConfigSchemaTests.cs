using System.Text.Json;
using System.Text.RegularExpressions;
using Tollgate.Config.File;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Config;

/// <summary>The published schema knows what the reader reads.</summary>
public sealed partial class ConfigSchemaTests
{
    private static readonly JsonElement s_schema = JsonDocument.Parse(ConfigSchema.Text).RootElement;

    [Fact]
    public void Every_file_that_is_right_suits_the_schema()
    {
        var good = Directory.GetFiles(Path.Combine(Repository.Root, "test/Tollgate.Tests/Config/good"))
            .Where(f => f.EndsWith(".yaml", StringComparison.Ordinal) || f.EndsWith(".json", StringComparison.Ordinal)).ToArray();
        Assert.True(good.Length > 10);
        Assert.Empty(good.SelectMany(f => Faults(File.ReadAllText(f), Path.GetFileName(f), whole: true)));
    }

    [Fact]
    public void Every_example_of_the_documentation_suits_the_schema()
    {
        var pages = Directory.GetFiles(Path.Combine(Repository.Root, "docs"), "*.md").Append(Path.Combine(Repository.Root, "README.md"));
        var examples = (from page in pages
                        from Match m in Example().Matches(File.ReadAllText(page))
                        let text = m.Groups[1].Value.Replace("…", "x", StringComparison.Ordinal)
                        select (Page: Path.GetFileName(page), Text: text)).ToArray();
        Assert.True(examples.Length >= 5);
        Assert.Empty(examples.SelectMany(e => Faults(e.Text, e.Page, whole: false)));
    }

    [Theory]
    [InlineData("", "no: 1")]
    [InlineData("$defs/api", "apis: { a: { no: 1 } }")]
    [InlineData("$defs/jwt", "apis: { a: { jwt: { no: 1 } } }")]
    [InlineData("$defs/cors", "apis: { a: { cors: { no: 1 } } }")]
    [InlineData("$defs/headers", "apis: { a: { request_headers: { no: 1 } } }")]
    [InlineData("$defs/api/properties/timeouts", "apis: { a: { timeouts: { no: 1 } } }")]
    [InlineData("$defs/api/properties/health", "apis: { a: { health: { no: 1 } } }")]
    [InlineData("$defs/upstream", "apis: { a: { upstream: [{ no: 1 }] } }")]
    [InlineData("$defs/operation/anyOf/1", "apis: { a: { operations: { x: { match: GET /x, no: 1 } } } }")]
    [InlineData("$defs/source", "sources: { a: { no: 1 } }")]
    [InlineData("$defs/plan", "plans: { a: { no: 1 } }")]
    [InlineData("$defs/limit/anyOf/1", "plans: { a: { limits: [{ limit: 1, per: minute, no: 1 }] } }")]
    [InlineData("$defs/quota", "plans: { a: { quotas: [{ no: 1 }] } }")]
    public void Every_field_that_the_reader_knows_stands_in_the_schema(string at, string yaml)
    {
        var problems = ConfigFileReader.Read("version: 1\ncurrency: USD\n" + yaml, "f").Problems;
        var told = Known().Match(problems.Single(p => p.Detail.StartsWith("There is no field 'no' here", StringComparison.Ordinal)).Detail);
        var part = at.Split('/', StringSplitOptions.RemoveEmptyEntries).Aggregate(
            s_schema, (e, step) => e.ValueKind == JsonValueKind.Array ? e[int.Parse(step)] : e.GetProperty(step));
        var listed = part.GetProperty("properties").EnumerateObject().Select(p => p.Name).ToHashSet();
        Assert.DoesNotContain(told.Groups[1].Value.Split(", "), name => !listed.Contains(name));
    }

    private static IEnumerable<string> Faults(string text, string name, bool whole)
    {
        var json = JsonDocument.Parse(ConfigText.ToJson(text, name)).RootElement;
        return Check(json, s_schema, name).Where(f => whole || !f.Contains("is missing at the root", StringComparison.Ordinal));
    }

    /// <summary>As much of JSON Schema as ours uses.</summary>
    private static IEnumerable<string> Check(JsonElement value, JsonElement schema, string at)
    {
        if (schema.TryGetProperty("$ref", out var reference))
            schema = s_schema.GetProperty("$defs").GetProperty(reference.GetString()!["#/$defs/".Length..]);
        if (schema.TryGetProperty("anyOf", out var any))
            return any.EnumerateArray().Any(a => !Check(value, a, at).Any()) ? [] : [$"{at}: none of the forms"];
        if (schema.TryGetProperty("enum", out var words))
            return words.EnumerateArray().Any(w => JsonElement.DeepEquals(w, value)) ? [] : [$"{at}: {value} is not listed"];
        if (schema.TryGetProperty("type", out var type) && !Is(value, type)) return [$"{at}: {value} is no {type}"];
        return value.ValueKind switch
        {
            JsonValueKind.Object => Fields(value, schema, at),
            JsonValueKind.Array when schema.TryGetProperty("items", out var items) =>
                value.EnumerateArray().SelectMany((item, i) => Check(item, items, $"{at}[{i}]")),
            _ => [],
        };
    }

    private static IEnumerable<string> Fields(JsonElement value, JsonElement schema, string at)
    {
        if (schema.TryGetProperty("required", out var required))
        {
            foreach (var name in required.EnumerateArray().Where(n => !value.TryGetProperty(n.GetString()!, out _)))
                yield return $"{at}: {name} is missing{(schema.TryGetProperty("$defs", out _) ? " at the root" : "")}";
        }

        var known = schema.TryGetProperty("properties", out var properties);
        foreach (var field in value.EnumerateObject())
        {
            if (known && properties.TryGetProperty(field.Name, out var own))
            {
                foreach (var fault in Check(field.Value, own, $"{at}.{field.Name}")) yield return fault;
            }
            else if (schema.TryGetProperty("additionalProperties", out var others))
            {
                if (others.ValueKind == JsonValueKind.False) yield return $"{at}: {field.Name} is not known";
                else
                    foreach (var fault in Check(field.Value, others, $"{at}.{field.Name}")) yield return fault;
            }
        }
    }

    private static bool Is(JsonElement value, JsonElement type)
    {
        if (type.ValueKind == JsonValueKind.Array) return type.EnumerateArray().Any(t => Is(value, t));
        return value.ValueKind switch
        {
            JsonValueKind.Object => type.GetString() == "object",
            JsonValueKind.Array => type.GetString() == "array",
            JsonValueKind.String => type.GetString() == "string",
            JsonValueKind.Number => type.GetString() == "number",
            JsonValueKind.True or JsonValueKind.False => type.GetString() == "boolean",
            _ => false,
        };
    }

    [GeneratedRegex(@"```yaml[^\n]*\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Example();

    [GeneratedRegex("Known are: (.*)\\.$")]
    private static partial Regex Known();
}
