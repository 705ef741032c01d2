using System.Text.Json;
using System.Text.Json.Nodes;
using Tollgate.Config;

namespace Tollgate.Web.Admin;

/// <summary>Takes secrets out of a document before it is kept: what stands under the name of a secret, and whatever
/// looks like a key or token of ours, wherever it stands.</summary>
internal static class Redaction
{
    private static readonly HashSet<string> s_secret = new(StringComparer.OrdinalIgnoreCase)
    {
        "key", "token", "secret", "password", "client_secret", "signing_secret", "api_key", "apikey", "authorization",
        "private_key", "access_token", "refresh_token",
    };

    /// <summary>The document as compact JSON; null when it is none.</summary>
    public static string? Of(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            var node = JsonNode.Parse(ref reader);
            return Clean(node, secret: false)?.ToJsonString(Answers.Json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static JsonNode? Clean(JsonNode? node, bool secret) => node switch
    {
        JsonObject o => new JsonObject(o.Select(p =>
            KeyValuePair.Create(p.Key, Clean(p.Value, secret || s_secret.Contains(p.Key))))),
        JsonArray a => new JsonArray([.. a.Select(n => Clean(n, secret))]),
        JsonValue v when v.GetValueKind() == JsonValueKind.String => Hint(v.GetValue<string>(), secret),
        _ => node?.DeepClone(),
    };

    private static string Hint(string text, bool secret)
    {
        if (secret) return ApiKeys.HintOf(text);
        if (!text.Contains("tg_", StringComparison.Ordinal)) return text;
        var words = text.Split(' ');
        for (var i = 0; i < words.Length; i++)
            if (words[i].StartsWith("tg_", StringComparison.Ordinal)) words[i] = ApiKeys.HintOf(words[i]);
        return string.Join(' ', words);
    }
}
