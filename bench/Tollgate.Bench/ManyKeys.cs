using System.Data.Common;
using System.Globalization;
using Dapper;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>
/// Puts many keys into a store, each consumer with a customer and a subscription of its own, in one transaction: asking the
/// admin port a million times would take an hour. <c>key_2</c>, <c>key_4</c> and so on, as the peers have them.
/// </summary>
internal static class ManyKeys
{
    public static string NameOf(int number) => string.Create(CultureInfo.InvariantCulture, $"key_{2 * number}");

    /// <param name="plan">The id of a plan that is there.</param>
    public static Task WriteAsync(
        Database database, ApiKeys hashing, int keys, int perConsumer, string plan, TimeProvider clock) =>
        database.WriteAsync(async db =>
        {
            var consumers = Math.Max(1, keys / perConsumer);
            var first = 1 + await db.ExecuteScalarAsync<int>("select coalesce(max(key), 0) from customers");
            for (var i = 0; i < consumers; i++) await AddConsumerAsync(db, first + i, plan, clock);
            await using var insert = db.CreateCommand();
            insert.CommandText = "insert into credentials (id, consumer_key, hash, hint, managed_by, created_at) " +
                "values (@id, @consumer, @hash, '…', 'api', 0)";
            var (id, consumer, hash) = (Parameter(insert, "@id"), Parameter(insert, "@consumer"), Parameter(insert, "@hash"));
            for (var i = 1; i <= keys; i++)
            {
                id.Value = Id<Credential>.New(clock).ToString();
                consumer.Value = first + (i % consumers);
                hash.Value = hashing.Hash(NameOf(i))!;
                await insert.ExecuteNonQueryAsync();
            }
        });

    private static async Task AddConsumerAsync(DbConnection db, int key, string plan, TimeProvider clock)
    {
        await db.ExecuteAsync(
            "insert into customers (key, id, name, currency, timezone, managed_by, created_at) " +
            "values (@key, @id, @name, 'USD', 'UTC', 'api', 0)",
            new { key, id = Id<Customer>.New(clock).ToString(), name = $"customer_{key}" });
        await db.ExecuteAsync(
            "insert into consumers (key, id, username, custom_id, customer_key, managed_by, created_at) " +
            "values (@key, @id, @name, null, @key, 'api', 0)",
            new { key, id = Id<Consumer>.New(clock).ToString(), name = $"consumer_{2 * key}" });
        await EntitlementStore.AddAsync(db, new Entitlement
        {
            Key = 0,
            SubscriptionId = "sub_" + key.ToString("x32", CultureInfo.InvariantCulture),
            CustomerKey = key,
            PlanId = plan,
            PlanVersion = 1,
            Priority = 0,
            Anchor = new LocalDate(2026, 1, 1),
            Timezone = "UTC",
            StartAt = 0,
            EndAt = null,
        });
    }

    private static DbParameter Parameter(DbCommand command, string name)
    {
        var parameter = command.CreateParameter();
        parameter.ParameterName = name;
        command.Parameters.Add(parameter);
        return parameter;
    }
}
