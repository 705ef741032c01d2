using System.Data.Common;
using System.Text.Json;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Billing;

/// <summary>So many of an add-on.</summary>
/// <param name="AddOn"><c>ao_…</c></param>
public sealed record AddOnTerms(string AddOn, int Quantity);

/// <summary>What a stretch of terms costs beside its plan's prices.</summary>
public sealed record StretchTerms(Phase Phase, int Quantity, IReadOnlyList<AddOnTerms> AddOns)
{
    public static StretchTerms Plain { get; } = new(Phase.Active, 1, []);

    public bool IsPlain => Phase == Phase.Active && Quantity == 1 && AddOns.Count == 0;
}

/// <summary>
/// The SQL of stretches of terms: the entitlement, which the gate reads, and beside it what only the invoice needs,
/// written together.
/// </summary>
internal static class StretchStore
{
    private static readonly JsonSerializerOptions s_json =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <summary>Adds a stretch; the key of the entitlement given is ignored, the new one answered. An empty one is not
    /// added: 0.</summary>
    public static async Task<int> AddAsync(DbConnection db, Entitlement terms, StretchTerms own)
    {
        if (terms.EndAt <= terms.StartAt) return 0;
        var key = await EntitlementStore.AddAsync(db, terms);
        if (!own.IsPlain)
            await db.ExecuteAsync(
                "insert into stretch_terms (entitlement_key, phase, quantity, add_ons) " +
                "values (@key, @phase, @Quantity, @addOns)",
                new
                {
                    key,
                    phase = own.Phase.ToString().ToLowerInvariant(),
                    own.Quantity,
                    addOns = JsonSerializer.Serialize(own.AddOns, s_json),
                });
        return key;
    }

    /// <summary>Ends what runs at an instant, and takes back what was to come after it.</summary>
    /// <returns>How many stretches changed.</returns>
    public static Task<int> CutAsync(DbConnection db, string subscriptionId, long at) => db.ExecuteAsync(
        "update entitlements set end_at = case when start_at > @at then start_at else @at end " +
        "where subscription_id = @subscriptionId and (end_at is null or end_at > @at) " +
        "and (end_at is null or end_at > start_at)", new { subscriptionId, at });

    /// <summary>Lets the last stretch go on until a later end.</summary>
    public static Task<int> ExtendAsync(DbConnection db, string subscriptionId, long? endAt) => db.ExecuteAsync(
        "update entitlements set end_at = @endAt where key = (select key from entitlements " +
        "where subscription_id = @subscriptionId order by end_at desc, key desc limit 1)",
        new { subscriptionId, endAt });

    /// <summary>By key of the entitlement; those that are <see cref="StretchTerms.Plain"/> are absent.</summary>
    public static async Task<IReadOnlyDictionary<int, StretchTerms>> OfSubscriptionAsync(
        DbConnection db, string subscriptionId) =>
        (await db.QueryAsync<(long Key, string Phase, long Quantity, string AddOns)>(
            "select t.entitlement_key, t.phase, t.quantity, t.add_ons from stretch_terms t " +
            "join entitlements e on e.key = t.entitlement_key where e.subscription_id = @subscriptionId",
            new { subscriptionId }))
        .ToDictionary(r => (int)r.Key, r => new StretchTerms(
            Enum.Parse<Phase>(r.Phase, ignoreCase: true), (int)r.Quantity,
            JsonSerializer.Deserialize<AddOnTerms[]>(r.AddOns, s_json)!));
}
