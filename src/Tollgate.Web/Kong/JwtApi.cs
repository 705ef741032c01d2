using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>
/// Credentials of <c>jwt</c>: the keys by which a consumer signs its tokens. A secret stands in the answer that creates it and
/// nowhere else in clear.
/// </summary>
internal sealed class JwtApi(Database database, ConsumerStore consumers, TokenSecrets secrets, KongNews news, TimeProvider clock)
{
    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const int MostSecret = 4_096;

    public async Task<KongAnswer> AddAsync(KongRequest request, KongFields fields)
    {
        var name = fields.Text("key", most: 256) ?? Generated(32);
        var algorithm = fields.OneOf("algorithm", [.. SignatureKey.Algorithms]) ?? "HS256";
        var secret = SecretOf(fields, algorithm);
        var pem = PublicKeyOf(fields, algorithm);
        fields.None("credentials have no tags in this version", "tags");
        fields.None("ids and instants are given by the server", "id", "created_at");
        if (fields.Refusal is { } refusal) return refusal;
        return await news.OfConsumerAsync(database, request, async (db, consumer) =>
        {
            var id = Id<TokenCredential>.New(clock).ToString();
            var added = await TokenCredentialStore.AddAsync(db, new TokenCredentialRow(
                0, id, consumer.Key, name, algorithm, secret is null ? null : secrets.Seal(id, secret), pem,
                secret is null ? null : ApiKeys.HintOf(secret), ConfigStore.NameOf(ManagedBy.Kong), news.Now));
            return added is null ? KongAnswer.Taken(new JsonObject { ["key"] = KongText.Shown(name) })
                : KongAnswer.Created(Write(added, consumer, secret));
        });
    }

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page)
    {
        if (await consumers.FindAsync(request["c"]) is not { } consumer) return KongAnswer.NotFound();
        var rows = await database.ReadAsync(db => TokenCredentialStore.OfConsumerAsync(db, consumer.Key));
        var part = rows.Where(r => r.Key > page.At).Take(page.Size + 1).ToArray();
        return page.Of(part, r => Write(r, consumer, r.Hint), r => $"{r.Key}");
    }

    public Task<KongAnswer> GetAsync(KongRequest request) => database.ReadAsync(async db =>
        await ConsumerStore.FindAsync(db, request["c"]) is { } consumer
        && await TokenCredentialStore.FindAsync(db, consumer.Key, request["j"]) is { } row
            ? KongAnswer.Ok(Write(row, consumer, row.Hint)) : KongAnswer.NotFound());

    /// <summary>Removes a credential: tokens that are signed with it are nobody's from the next call on.</summary>
    public Task<KongAnswer> DeleteAsync(KongRequest request) =>
        news.OfConsumerAsync(database, request, async (db, consumer) =>
        {
            if (await TokenCredentialStore.FindAsync(db, consumer.Key, request["j"]) is { } row)
                await TokenCredentialStore.DeleteAsync(db, row);
            return KongAnswer.NoContent;
        });

    private static string? SecretOf(KongFields fields, string algorithm)
    {
        if (!SignatureKey.IsSecret(algorithm))
        {
            fields.None($"{algorithm} has a public key and no secret", "secret");
            return null;
        }

        if (!fields.Has("secret")) return Generated(algorithm == "HS256" ? 43 : algorithm == "HS384" ? 65 : 86);
        var secret = fields.Text("secret", most: MostSecret);
        if (secret is not null && Encoding.UTF8.GetByteCount(secret) < TokenSecrets.Least)
            fields.Note("secret", $"length must be at least {TokenSecrets.Least} bytes (RFC 7518 3.2)");
        return secret;
    }

    private static string? PublicKeyOf(KongFields fields, string algorithm)
    {
        if (SignatureKey.IsSecret(algorithm))
        {
            fields.None($"{algorithm} has a secret and no public key: a public key is known to everybody", "rsa_public_key");
            return null;
        }

        var pem = fields.Lines("rsa_public_key", SignatureKey.MaxText);
        if (pem is not null && SignatureKey.FaultOf(algorithm, pem) is { } fault) fields.Note("rsa_public_key", fault);
        return pem;
    }

    private static string Generated(int length) => RandomNumberGenerator.GetString(Alphabet, length);

    private static JsonObject Write(TokenCredentialRow row, ConsumerRow consumer, string? secret) => new()
    {
        ["id"] = KongEntity.UuidOf<TokenCredential>(row.Id),
        ["key"] = row.Name,
        ["algorithm"] = row.Algorithm,
        ["secret"] = secret,
        ["rsa_public_key"] = row.PublicKey,
        ["consumer"] = new JsonObject { ["id"] = KongEntity.UuidOf<Consumer>(consumer.Id) },
        ["tags"] = null,
        ["created_at"] = KongEntity.Seconds(row.CreatedAt),
    };
}
