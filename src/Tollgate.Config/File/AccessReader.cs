using System.Text.Json;

namespace Tollgate.Config.File;

/// <summary>Reads how callers of an API say who they are.</summary>
internal sealed class AccessReader(Findings findings)
{
    private const int MostNames = 16;
    private static readonly string[] s_keySources = ["jwks_url", "jwks_file", "jwks", "secret_env"];
    private const string JwtExample = "{ issuer: \"https://id.example.com\", audience: my-api, jwks_url: \"https://id.example.com/jwks\" }";

    /// <summary>Null when the API has nothing of its own to say about it.</summary>
    public ApiAccess? Read(MapReader fields)
    {
        var access = new ApiAccess
        {
            KeyHeaders = ReadHeaders(fields.Take("key_headers")),
            KeyQuery = ReadQuery(fields.Take("key_query")),
            Anonymous = ReadName(fields.Take("anonymous"), "guest"),
            Jwt = ReadJwt(fields.Take("jwt")),
        };
        return access.IsDefault ? null : access;
    }

    private List<string>? ReadHeaders(Node? node)
    {
        if (findings.Items(node, "[apikey, X-API-Key]") is not { } items) return null;
        if (items.Count is 0 or > MostNames)
            findings.Add(Code.BadValue, node!, $"These are {items.Count} headers; a key is looked for in 1 to {MostNames}.");
        var names = new List<string>();
        foreach (var item in items.Take(MostNames))
        {
            if (findings.Text(item, "X-API-Key") is not { } name) continue;
            if (KeyHeader.FaultOf(name) is { } fault || name.Length == 0)
                findings.Add(Code.BadValue, item, KeyHeader.FaultOf(name) is { } why ? $"{why}." : "A header has a name.");
            else if (names.Contains(name, StringComparer.OrdinalIgnoreCase))
                findings.Add(Code.DuplicateName, item, $"{Quote.Of(name)} stands in this list twice. Remove one.");
            else names.Add(name);
        }

        return names;
    }

    private string? ReadQuery(Node? node)
    {
        if (findings.Text(node, "apikey") is not { } name) return null;
        if (name.Length is > 0 and <= 64 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.')) return name;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(name)} is not the name of a parameter: 1 to 64 letters, digits, '-', '_' " +
            "and '.', as 'apikey'.");
        return null;
    }

    private string? ReadName(Node? node, string example)
    {
        if (findings.Text(node, example) is not { } text) return null;
        if (text.Length is > 0 and <= 256 && !text.Any(char.IsControl)) return text;
        findings.Add(Code.BadValue, node!, $"This must have 1 to 256 characters, as '{example}'.");
        return null;
    }

    private JwtRules? ReadJwt(Node? node)
    {
        if (node is null || MapReader.Open(node, findings, JwtExample) is not { } fields) return null;
        var issuer = ReadName(fields.Need("issuer", "https://id.example.com"), "https://id.example.com");
        var audiences = ReadAudiences(fields.Need("audience", "my-api"));
        var claim = ReadName(fields.Take("consumer"), "sub") ?? "sub";
        var leeway = findings.Whole(fields.Take("leeway_seconds"), 0, JwtRules.MostLeewaySeconds) ?? 60;
        var rules = new JwtRules
        {
            Issuer = issuer ?? "",
            Audiences = audiences,
            Claim = claim,
            LeewaySeconds = leeway,
            AllowedAlgorithms = [],
            JwksUrl = ReadUrl(fields.Take("jwks_url")),
            JwksFile = ReadName(fields.Take("jwks_file"), "/etc/tollgate/jwks.json"),
            Jwks = ReadKeys(fields.Take("jwks")),
            SecretEnv = ReadVariable(fields.Take("secret_env")),
        };
        string[] sources = [.. s_keySources
            .Where(n => ((MapNode)fields.Node).FieldOf(n) is not null)];
        if (sources.Length != 1)
            findings.Add(Code.BadValue, node, sources.Length == 0
                ? "Keys are missing: one of jwks_url, jwks_file, jwks and secret_env says where they are."
                : $"{string.Join(" and ", sources)} exclude each other: keep one.");
        var algorithms = ReadAlgorithms(fields.Take("algorithms"), sources is ["secret_env"]);
        fields.Close();
        return issuer is null || audiences.Count == 0 ? null : rules with { AllowedAlgorithms = algorithms };
    }

    private List<string> ReadAudiences(Node? node)
    {
        if (node is null) return [];
        var items = node is ListNode list ? list.Items : [node];
        if (items.Count is 0 or > MostNames)
            findings.Add(Code.BadValue, node, $"These are {items.Count} audiences; 1 to {MostNames} are read.");
        return [.. items.Take(MostNames).Select(i => ReadName(i, "my-api")).OfType<string>()];
    }

    /// <summary>A public key must never be taken for a shared secret, so the two kinds do not mix.</summary>
    private List<string> ReadAlgorithms(Node? node, bool secret)
    {
        if (findings.Items(node, "[RS256]") is not { } items) return [secret ? "HS256" : "RS256", .. secret ? [] : (string[])["ES256"]];
        var names = new List<string>();
        foreach (var item in items)
        {
            if (findings.Choice(item, [.. JwtRules.Algorithms]) is not { } name) continue;
            if (name.StartsWith("HS", StringComparison.Ordinal) != secret)
                findings.Add(Code.BadValue, item, secret
                    ? $"{name} has a public key, and secret_env is a shared secret: HS256, HS384 and HS512 are its algorithms."
                    : $"{name} is for a shared secret: give secret_env in place of the keys, or another algorithm.");
            else if (!names.Contains(name)) names.Add(name);
        }

        if (items.Count == 0) findings.Add(Code.BadValue, node!, "At least one algorithm is needed, as '[RS256]'.");
        return names;
    }

    private string? ReadUrl(Node? node)
    {
        if (findings.Text(node, "https://id.example.com/jwks") is not { } text) return null;
        if (Uri.TryCreate(text, UriKind.Absolute, out var url) && url.UserInfo.Length == 0 && url.Fragment.Length == 0
            && text.All(c => c is > ' ' and < '\u007f')
            && (url.Scheme == Uri.UriSchemeHttps || (url.Scheme == Uri.UriSchemeHttp && url.IsLoopback)))
            return text;
        findings.Add(Code.BadValue, node!, $"{(text.Contains('@') ? "This" : Quote.Of(text))} is not the address of keys: " +
            "https (http on loopback alone), without a user, as 'https://id.example.com/jwks'.");
        return null;
    }

    private string? ReadVariable(Node? node)
    {
        if (findings.Text(node, "JWT_SECRET") is not { } text) return null;
        if (text.Length is > 0 and <= 128 && !char.IsAsciiDigit(text[0])
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c == '_')) return text;
        // it may be the secret itself
        findings.Add(Code.BadValue, node!, "This is not the name of an environment variable, as 'JWT_SECRET'. The secret itself must " +
            "not stand in the file.");
        return null;
    }

    private string? ReadKeys(Node? node)
    {
        if (node is null) return null;
        var json = node is ScalarNode { Kind: ScalarKind.Text } text ? text.Text : ConfigText.ToJson(node);
        if (JwksText.FaultOf(json) is not { } fault) return json;
        findings.Add(Code.BadValue, node, fault);
        return null;
    }
}

/// <summary>A JSON Web Key Set (RFC 7517) as text.</summary>
public static class JwksText
{
    /// <summary>Bytes and keys of a set, at most.</summary>
    public const int MaxBytes = 256 * 1024, MostKeys = 100;

    /// <summary>What is wrong with a set of public keys; null when nothing is.</summary>
    public static string? FaultOf(string json)
    {
        if (json.Length > MaxBytes) return $"These keys are larger than {MaxBytes >> 10} KiB.";
        try
        {
            using var document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("keys", out var keys) || keys.ValueKind != JsonValueKind.Array)
                return "This is not a set of keys (RFC 7517), as '{ \"keys\": [ … ] }'.";
            if (keys.GetArrayLength() is 0 or > MostKeys)
                return $"These are {keys.GetArrayLength()} keys; a set has 1 to {MostKeys}.";
            foreach (var key in keys.EnumerateArray())
            {
                if (key.ValueKind != JsonValueKind.Object || !key.TryGetProperty("kty", out var type)
                    || type.ValueKind != JsonValueKind.String)
                    return "A key has a 'kty'.";
                if (key.TryGetProperty("d", out _) || key.TryGetProperty("k", out _) || type.GetString() == "oct")
                    return "A private or symmetric key stands in this set: only public keys belong here.";
            }

            return null;
        }
        catch (JsonException)
        {
            return "This is not JSON, so it is no set of keys.";
        }
    }
}
