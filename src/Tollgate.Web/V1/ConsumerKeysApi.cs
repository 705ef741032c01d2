using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime.Text;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/consumers/{consumer}/keys</c>: a key is shown once, in the answer that makes it.</summary>
internal static class ConsumerKeysApi
{
    /// <summary>How long a rotated key works beside the new one, unless the request says otherwise.</summary>
    private static readonly TimeSpan s_overlap = TimeSpan.FromHours(24);

    private static readonly TimeSpan s_maxOverlap = TimeSpan.FromDays(90);

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/consumers/{consumer}/keys", ListAsync);
        routes.MapGet("/v1/consumers/{consumer}/keys/{key}", GetAsync);
        routes.MapPost("/v1/consumers/{consumer}/keys", CreateAsync);
        routes.MapPost("/v1/consumers/{consumer}/keys/{key}/rotate", RotateAsync);
        routes.MapDelete("/v1/consumers/{consumer}/keys/{key}", RevokeAsync);
    }

    private static object View(CredentialRow c) => new
    {
        c.Id,
        c.Hint,
        c.ManagedBy,
        subscription = c.SubscriptionId,
        created_at = Micros.ToText(c.CreatedAt),
        expires_at = c.ExpiresAt is { } at ? Micros.ToText(at) : null,
        revoked_at = c.RevokedAt is { } revoked ? Micros.ToText(revoked) : null,
    };

    private static async Task<IResult> ListAsync(string consumer, HttpRequest request, Database database)
    {
        if (Paging.TryRead(request, out var page) is { } faults) return faults;
        return await database.ReadAsync(async db => await ConsumerStore.FindAsync(db, consumer) is not { } found
            ? Answers.NotFound("consumer", consumer)
            : Answers.Page(await ConsumerStore.CredentialsAsync(db, found.Key, page.After, page.Rows), page.Limit, View, c => c.Key));
    }

    private static async Task<IResult> CreateAsync(
        string consumer, HttpRequest request, Database database, ConsumerStore consumers, KeyMaking making,
        SubscriptionStore subscriptions)
    {
        var fields = await Fields.ReadAsync(request);
        var imported = fields.Text("key", max: ApiKeys.MaxLength);
        var test = fields.Flag("test");
        var expiresAt = fields.Instant("expires_at");
        var subscription = fields.Text("subscription");
        var key = imported ?? ApiKeys.Generate(test ?? false);
        var hash = making.Keys.Hash(key);
        if (hash is null || !ImportedKey.CanBeSent(key)) fields.Add("bad_value", ImportedKey.Expected, "key");
        if (fields.Faults() is { } faults) return faults;
        if (await consumers.FindAsync(consumer) is not { } found) return Answers.NotFound("consumer", consumer);
        var bound = subscription is null ? null : await BoundAsync(subscription, found, subscriptions);
        if (subscription is not null && bound is null)
            return Answers.Invalid(new Problem("bad_value", "must be a subscription of the consumer's customer", "subscription"));
        var row = await database.WriteAsync(db => consumers.AddCredentialAsync(
            db, found.Key, hash!, ApiKeys.HintOf(key), ManagedBy.Api, expiresAt, bound?.Id));
        if (row is null) return Answers.Conflict("duplicate_key", "This key is in use already.", "key");
        await making.Feed.AnnounceAsync(new Change.OfConsumer((int)found.Key));
        return Answers.Created($"/v1/consumers/{found.Id}/keys/{row.Id}", new
        {
            row.Id,
            key,
            row.Hint,
            subscription = bound?.Id,
            created_at = Micros.ToText(row.CreatedAt),
            expires_at = expiresAt is { } at ? Micros.ToText(at) : null,
        });
    }

    private static async Task<SubscriptionRow?> BoundAsync(string id, ConsumerRow consumer, SubscriptionStore subscriptions) =>
        await subscriptions.FindAsync(id) is { } found && found.CustomerKey == consumer.CustomerKey ? found : null;

    private static async Task<IResult> RevokeAsync(
        string consumer, string key, Database database, ConsumerStore consumers, ChangeFeed feed)
    {
        if (await consumers.FindAsync(consumer) is not { } found) return Answers.NotFound("consumer", consumer);
        if (!await database.WriteAsync(db => consumers.RevokeAsync(db, found.Key, key)))
            return Answers.NotFound("key", key);
        await feed.AnnounceAsync(new Change.OfConsumer((int)found.Key));
        return Results.NoContent();
    }

    private static async Task<IResult> GetAsync(string consumer, string key, Database database) =>
        await database.ReadAsync(async db =>
        {
            if (await ConsumerStore.FindAsync(db, consumer) is not { } found)
                return Answers.NotFound("consumer", consumer);
            var row = await ConsumerStore.FindCredentialAsync(db, found.Key, key);
            return row is null ? Answers.NotFound("key", key) : Answers.Ok(View(row));
        });

    /// <summary>Makes a new key for an old one, which works beside it for a while, and then has expired.</summary>
    private static async Task<IResult> RotateAsync(
        string consumer, string key, HttpRequest request, Database database, ConsumerStore consumers, KeyMaking making,
        TimeProvider clock)
    {
        var fields = await Fields.ReadAsync(request);
        var overlap = Overlap(fields);
        var expiresAt = fields.Instant("expires_at");
        if (fields.Faults() is { } faults) return faults;
        var now = Micros.Now(clock);
        return await database.WriteAsync(async db =>
        {
            if (await ConsumerStore.FindAsync(db, consumer) is not { } owner)
                return Answers.NotFound("consumer", consumer);
            if (await ConsumerStore.FindCredentialAsync(db, owner.Key, key) is not { } old)
                return Answers.NotFound("key", key);
            if (old.RevokedAt is not null || old.ExpiresAt <= now)
                return Answers.Conflict("key_ended", $"The key {old.Hint} has ended already: make a new one.");
            var text = ApiKeys.Generate(old.Hint.StartsWith("tg_test_", StringComparison.Ordinal));
            var row = (await consumers.AddCredentialAsync(db, owner.Key, making.Keys.Hash(text)!,
                ApiKeys.HintOf(text), ManagedBy.Api, expiresAt, old.SubscriptionId))!;
            var end = Math.Min(old.ExpiresAt ?? long.MaxValue, now + (long)overlap.TotalMicroseconds);
            await ConsumerStore.EndCredentialAsync(db, old.Key, end);
            await making.Feed.AnnounceAsync(new Change.OfConsumer((int)owner.Key));
            return Answers.Created($"/v1/consumers/{owner.Id}/keys/{row.Id}", new
            {
                row.Id,
                key = text,
                row.Hint,
                created_at = Micros.ToText(row.CreatedAt),
                expires_at = expiresAt is { } at ? Micros.ToText(at) : null,
                rotated = new { old.Id, old.Hint, expires_at = Micros.ToText(end) },
            });
        });
    }

    private static TimeSpan Overlap(Fields fields)
    {
        if (fields.Text("overlap", max: 64) is not { } text) return s_overlap;
        var parsed = PeriodPattern.NormalizingIso.Parse(text);
        if (parsed.Success && parsed.Value is { Years: 0, Months: 0 } p)
        {
            var length = p.ToDuration().ToTimeSpan();
            if (length >= TimeSpan.Zero && length <= s_maxOverlap) return length;
        }

        fields.Add("bad_value", $"must be an ISO 8601 duration from PT0S to P{s_maxOverlap.Days}D, such as PT24H", "overlap");
        return s_overlap;
    }
}

/// <summary>What making a key takes beside the store.</summary>
public sealed record KeyMaking(ApiKeys Keys, ChangeFeed Feed);
