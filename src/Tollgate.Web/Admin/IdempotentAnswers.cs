using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Dapper;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.Admin;

/// <summary>A request that names itself, so that it can be sent again.</summary>
/// <param name="Name">The Idempotency-Key.</param>
/// <param name="NameHash">Under which its answer is kept.</param>
/// <param name="Hash">Of method, path and body: a name stands for one request.</param>
public sealed record NamedRequest(string Actor, string Name, byte[] NameHash, byte[] Hash);

/// <summary>An answer as it was given.</summary>
public sealed record GivenAnswer(int Status, string? ContentType, string? Location, string? ETag, byte[] Body);

/// <summary>
/// The answers to requests with an Idempotency-Key, written in the transaction of their effect and kept for a day of
/// business time. They are encrypted, since one may hold a key that is shown once.
/// </summary>
public sealed class IdempotentAnswers(Database database, ApiKeys keys, TimeProvider clock)
{
    /// <summary>How long an answer is kept.</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromHours(24);

    /// <summary>Bytes of an answer, at most; a larger one is given and not kept.</summary>
    public const int MaxAnswer = 4 << 20;

    private const int MaxName = 255, NonceLength = 12, TagLength = 16;
    private readonly byte[] _nameKey = keys.Derive("idempotency names");

    /// <summary>Reads the Idempotency-Key and the body, which stays readable.</summary>
    /// <returns>Null for a request without one; a problem for one that cannot be a name.</returns>
    public async Task<Result<NamedRequest>?> ReadAsync(HttpRequest request, string actor)
    {
        var sent = request.Headers["Idempotency-Key"];
        if (sent.Count == 0) return null;
        var name = sent.ToString();
        if (sent.Count > 1 || name.Length is 0 or > MaxName || !name.All(c => c is > ' ' and <= '~'))
            return new Problem("idempotency_key_invalid",
                $"An Idempotency-Key has 1 to {MaxName} visible ASCII characters, and a request has one.");
        var body = new MemoryStream();
        await request.Body.CopyToAsync(body);
        var head = $"{request.Method} {request.PathBase}{request.Path}{request.QueryString}\n{request.ContentType}\n";
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, _nameKey);
        hash.AppendData(Encoding.UTF8.GetBytes(head));
        hash.AppendData(body.GetBuffer().AsSpan(0, (int)body.Length));
        body.Position = 0;
        request.Body = body;
        return new NamedRequest(
            actor, name, HMACSHA256.HashData(_nameKey, Encoding.UTF8.GetBytes($"{actor}\n{name}")), hash.GetHashAndReset());
    }

    /// <summary>The answer that this request was given; a problem when its name belongs to another request; null when
    /// it is new.</summary>
    public async Task<Result<GivenAnswer>?> FindAsync(NamedRequest request)
    {
        var row = await database.ReadAsync(db => db.QueryFirstOrDefaultAsync<Row?>(
            "select request, status, answer from idempotent_answers " +
            "where actor = @Actor and name_hash = @NameHash and created_at > @since",
            new { request.Actor, request.NameHash, since = Since() }));
        if (row is null) return null;
        if (!CryptographicOperations.FixedTimeEquals(row.Request, request.Hash))
            return new Problem("idempotency_key_reused", "This Idempotency-Key was sent with another request; use a new " +
                "one for each request, and the same one only to send the same request again.");
        return JsonSerializer.Deserialize<GivenAnswer>(Decrypt(request, row.Answer))!;
    }

    /// <summary>Keeps an answer, and forgets those that are old.</summary>
    public async Task KeepAsync(DbConnection db, NamedRequest request, GivenAnswer answer)
    {
        if (answer.Body.Length > MaxAnswer) return;
        await db.ExecuteAsync("delete from idempotent_answers where created_at <= @since", new { since = Since() });
        await db.ExecuteAsync(
            "insert into idempotent_answers (actor, name_hash, request, status, answer, created_at) " +
            "values (@Actor, @NameHash, @Hash, @Status, @sealedAnswer, @now) " +
            "on conflict (actor, name_hash) do nothing",
            new
            {
                request.Actor,
                request.NameHash,
                request.Hash,
                answer.Status,
                sealedAnswer = Encrypt(request, JsonSerializer.SerializeToUtf8Bytes(answer)),
                now = Micros.Now(clock),
            });
    }

    private long Since() => Micros.Now(clock) - (long)Kept.TotalMicroseconds;

    private byte[] Encrypt(NamedRequest request, byte[] clear)
    {
        var whole = new byte[NonceLength + TagLength + clear.Length];
        var nonce = whole.AsSpan(0, NonceLength);
        RandomNumberGenerator.Fill(nonce);
        using var aes = Cipher(request);
        aes.Encrypt(nonce, clear, whole.AsSpan(NonceLength + TagLength), whole.AsSpan(NonceLength, TagLength));
        return whole;
    }

    private byte[] Decrypt(NamedRequest request, byte[] whole)
    {
        var clear = new byte[whole.Length - NonceLength - TagLength];
        using var aes = Cipher(request);
        aes.Decrypt(whole.AsSpan(0, NonceLength), whole.AsSpan(NonceLength + TagLength),
            whole.AsSpan(NonceLength, TagLength), clear);
        return clear;
    }

    /// <summary>Of the install key and the name: the database and the install key alone open no answer.</summary>
    private AesGcm Cipher(NamedRequest request) => new(keys.Derive("idempotent answers", request.Name), TagLength);

    private sealed record Row(byte[] Request, long Status, byte[] Answer);
}
