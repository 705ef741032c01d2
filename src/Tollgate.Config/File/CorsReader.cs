namespace Tollgate.Config.File;

/// <summary>Reads which pages of other origins may call.</summary>
internal sealed class CorsReader(Findings findings)
{
    private const string Example = "{ origins: [\"https://app.example.com\"], credentials: true, max_age: 600 }";
    private const int Most = 100;

    public CorsRules? Read(Node? node)
    {
        if (node is null || MapReader.Open(node, findings, Example) is not { } fields) return null;
        var rules = new CorsRules
        {
            Origins = Texts(fields.Need("origins", "[\"https://app.example.com\"]"), CorsOrigin.WrongWith) ?? [],
            Methods = Texts(fields.Take("methods"), m => m.All(char.IsAsciiLetterUpper) ? null : "is not a method in capitals"),
            Headers = Texts(fields.Take("headers"), HeaderName),
            Expose = Texts(fields.Take("expose"), HeaderName) ?? [],
            Credentials = findings.Flag(fields.Take("credentials")) ?? false,
            MaxAge = findings.Whole(fields.Take("max_age"), 0, 86_400),
        };
        fields.Close();
        if (rules.Credentials && rules.Origins.Contains("*"))
            findings.Add(Code.BadValue, node, "'credentials: true' with the origin '*' would lend every page of the web the " +
                "caller's cookies: list the origins, as ['https://app.example.com'].");
        return rules;
    }

    private static string? HeaderName(string name) =>
        ReservedHeaders.IsName(name) ? null : "is not the name of a header, as 'X-Env'";

    private List<string>? Texts(Node? node, Func<string, string?> check)
    {
        if (findings.Items(node, "[…]") is not { } items) return null;
        if (items.Count is 0 or > Most)
            findings.Add(Code.BadValue, node!, $"These are {items.Count}; 1 to {Most} are read.");
        var texts = new List<string>();
        foreach (var item in items.Take(Most))
        {
            if (findings.Text(item, "…") is not { } text) continue;
            if (check(text) is { } wrong) findings.Add(Code.BadValue, item, $"{Quote.Of(text)} {wrong}.");
            else texts.Add(text);
        }

        return texts;
    }
}
