using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/consumers</c> and their keys: who calls. A key is shown once, in the answer that makes it.</summary>
internal static class ConsumersApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/consumers", ListAsync);
        routes.MapGet("/v1/consumers/{consumer}", async (
            string consumer, ConsumerStore consumers, CustomerStore customers) =>
            await consumers.FindAsync(consumer) is { } found
                ? Answers.Ok(View(found, await NamesAsync(customers, found)))
                : Answers.NotFound("consumer", consumer));
        routes.MapPost("/v1/consumers", CreateAsync);
        routes.MapGet("/v1/consumers/{consumer}/keys", ListKeysAsync);
        routes.MapPost("/v1/consumers/{consumer}/keys", CreateKeyAsync);
        routes.MapDelete("/v1/consumers/{consumer}/keys/{key}", RevokeAsync);
    }

    private static async Task<IResult> ListAsync(HttpRequest request, ConsumerStore consumers, CustomerStore customers)
    {
        if (Paging.TryRead(request, out var paging) is { } faults) return faults;
        var rows = await consumers.ListAsync(paging.After, paging.Limit + 1);
        var names = await NamesAsync(customers, [.. rows]);
        return Answers.Page(rows, paging.Limit, c => View(c, names), c => c.Key);
    }

    private static Task<IReadOnlyDictionary<long, string>> NamesAsync(
        CustomerStore customers, params ConsumerRow[] rows) =>
        customers.NamesAsync(rows.Select(r => r.CustomerKey).OfType<long>());

    private static object View(ConsumerRow c, IReadOnlyDictionary<long, string> customers) => new
    {
        c.Id,
        c.Username,
        c.CustomId,
        customer = c.CustomerKey is { } key ? customers.GetValueOrDefault(key) : null,
        c.ManagedBy,
        created_at = Micros.ToText(c.CreatedAt),
    };

    private static object View(CredentialRow c) => new
    {
        c.Id,
        c.Hint,
        c.ManagedBy,
        created_at = Micros.ToText(c.CreatedAt),
        expires_at = c.ExpiresAt is { } at ? Micros.ToText(at) : null,
        revoked_at = c.RevokedAt is { } revoked ? Micros.ToText(revoked) : null,
    };

    private static async Task<IResult> CreateAsync(
        HttpRequest request, Database database, ConsumerStore consumers, CustomerStore customers, ChangeFeed feed)
    {
        var fields = await Fields.ReadAsync(request);
        var username = fields.Text("username", required: true);
        var customId = fields.Text("custom_id");
        var customerName = fields.Text("customer");
        if (fields.Faults() is { } faults) return faults;
        var (row, missing) = await database.WriteAsync<(ConsumerRow?, bool)>(async db =>
        {
            var customer = customerName is null ? null : await CustomerStore.FindAsync(db, customerName);
            if (customerName is not null && customer is null) return (null, true);
            return (await consumers.AddAsync(db, username!, customId, customer?.Key, ManagedBy.Api), false);
        });
        if (missing)
            return Answers.Invalid(new Problem("unknown_customer", $"There is no customer '{customerName}'.", "customer"));
        if (row is null)
            return Answers.Conflict("duplicate_name", "A consumer has this username or custom_id already.", "username");
        await feed.AnnounceAsync(new Change.OfConsumer((int)row.Key));
        return Answers.Created($"/v1/consumers/{row.Id}", View(row, await NamesAsync(customers, row)));
    }

    private static async Task<IResult> ListKeysAsync(string consumer, Database database) =>
        await database.ReadAsync(async db =>
            await ConsumerStore.FindAsync(db, consumer) is { } found
                ? Answers.Ok(new
                {
                    data = (await ConsumerStore.CredentialsAsync(db, found.Key)).Select(View),
                    next_cursor = (string?)null,
                })
                : Answers.NotFound("consumer", consumer));

    private static async Task<IResult> CreateKeyAsync(
        string consumer, HttpRequest request, Database database, ConsumerStore consumers, KeyMaking making)
    {
        var fields = await Fields.ReadAsync(request);
        var imported = fields.Text("key", max: ApiKeys.MaxLength);
        var test = fields.Flag("test");
        var expiresAt = fields.Instant("expires_at");
        var key = imported ?? ApiKeys.Generate(test ?? false);
        var hash = making.Keys.Hash(key);
        if (hash is null || !ImportedKey.CanBeSent(key)) fields.Add("bad_value", ImportedKey.Expected, "key");
        if (fields.Faults() is { } faults) return faults;
        if (await consumers.FindAsync(consumer) is not { } found) return Answers.NotFound("consumer", consumer);
        var row = await database.WriteAsync(db => consumers.AddCredentialAsync(
            db, found.Key, hash!, ApiKeys.HintOf(key), ManagedBy.Api, expiresAt));
        if (row is null) return Answers.Conflict("duplicate_key", "This key is in use already.", "key");
        await making.Feed.AnnounceAsync(new Change.OfConsumer((int)found.Key));
        return Answers.Created($"/v1/consumers/{found.Id}/keys/{row.Id}", new
        {
            row.Id,
            key,
            row.Hint,
            created_at = Micros.ToText(row.CreatedAt),
            expires_at = expiresAt is { } at ? Micros.ToText(at) : null,
        });
    }

    private static async Task<IResult> RevokeAsync(
        string consumer, string key, Database database, ConsumerStore consumers, ChangeFeed feed)
    {
        if (await consumers.FindAsync(consumer) is not { } found) return Answers.NotFound("consumer", consumer);
        if (!await database.WriteAsync(db => consumers.RevokeAsync(db, found.Key, key)))
            return Answers.NotFound("key", key);
        await feed.AnnounceAsync(new Change.OfConsumer((int)found.Key));
        return Results.NoContent();
    }
}

/// <summary>What making a key takes beside the store.</summary>
public sealed record KeyMaking(ApiKeys Keys, ChangeFeed Feed);
