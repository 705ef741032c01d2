using System.Globalization;
using System.Text.Json.Serialization;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>A call with the names of whom and what it was.</summary>
internal sealed record CallView
{
    public required string RequestId { get; init; }

    /// <summary>RFC 3339.</summary>
    public required string AdmittedAt { get; init; }

    /// <summary>Null when nobody pays.</summary>
    public required string? Customer { get; init; }

    public required string? Subscription { get; init; }

    /// <summary>Null for callers without a key.</summary>
    public required string? Consumer { get; init; }

    public required string? Credential { get; init; }

    public required string Api { get; init; }

    public required string Operation { get; init; }

    public required string Endpoint { get; init; }

    /// <summary>Null of events and counters, which have none.</summary>
    public required string? Method { get; init; }

    /// <summary>Null while it is under way, and when its process died before the answer.</summary>
    public required int? Status { get; init; }

    public required bool Billable { get; init; }

    /// <summary>Units, a decimal.</summary>
    public required string Quantity { get; init; }

    public required long? LatencyUs { get; init; }

    /// <summary>call, measure, correction, event or counter.</summary>
    public required string Kind { get; init; }

    /// <summary>Of an event the hash of its source and id.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Event { get; init; }

    /// <summary>Of a counter the labels of its series.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Series { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, string>? Dimensions { get; init; }

    [JsonIgnore]
    public string? DimensionsText { get; init; }
}

/// <summary>Names of the keys that calls carry, each read once. Bounded: when too many are known, they are forgotten.
/// </summary>
/// <param name="database">Where names are.</param>
/// <param name="meter">What is asked for; null for calls.</param>
internal sealed class CallNames(Database database, Meter? meter = null)
{
    private const int Most = 100_000;

    private readonly Dictionary<int, (string? Customer, string? Subscription)> _terms = [];
    private readonly Dictionary<int, string?> _consumers = [];
    private readonly Dictionary<int, string?> _credentials = [];
    private readonly Dictionary<int, (string Api, string Operation, string Endpoint)> _operations = [];
    private readonly Dictionary<int, string?> _sets = new() { [0] = null };
    private readonly Dictionary<int, string?> _series = [];

    public async ValueTask<CallView> ViewAsync(CallRecord call)
    {
        if (_terms.Count + _consumers.Count + _credentials.Count + _sets.Count + _series.Count > Most)
        {
            _series.Clear();
            _sets.Clear();
            _terms.Clear();
            _consumers.Clear();
            _credentials.Clear();
        }

        if (!_terms.ContainsKey(call.Entitlement) || !_consumers.ContainsKey(call.Consumer)
            || !_credentials.ContainsKey(call.Credential) || !_operations.ContainsKey(call.Operation)
            || !_sets.ContainsKey(call.Dimensions) || !_series.ContainsKey(call.Series ?? 0))
            await LearnAsync(call);
        var (customer, subscription) = _terms[call.Entitlement];
        var (api, operation, endpoint) = _operations[call.Operation];
        return new CallView
        {
            RequestId = call.Id.ToString(),
            AdmittedAt = Micros.ToText(call.At),
            Customer = customer,
            Subscription = subscription,
            Consumer = _consumers[call.Consumer],
            Credential = _credentials[call.Credential],
            Api = api,
            Operation = operation,
            Endpoint = endpoint,
            Method = call.Method,
            Status = call.Status,
            Billable = call.Billable,
            Quantity = meter?.Aggregation == Aggregation.UniqueCount ? $"{call.Quantity:x16}" : Units(call.Quantity),
            LatencyUs = call.LatencyMicros,
            Kind = CallExport.NameOf(call.Kind),
            Event = call.Kind == CallKind.Event ? $"{call.Identity:x32}" : null,
            Series = _series[call.Series ?? 0],
            Dimensions = _sets[call.Dimensions] is { } set ? DimensionSets.Read(set) : null,
            DimensionsText = _sets[call.Dimensions],
        };
    }

    /// <summary>A scaled quantity as a decimal.</summary>
    public string Units(long quantity)
    {
        var units = meter?.Unscaled(quantity) ?? quantity;
        return units.ToString("0.#########", CultureInfo.InvariantCulture);
    }

    private Task<int> LearnAsync(CallRecord call) => database.ReadAsync(async db =>
    {
        var terms = await db.QueryFirstOrDefaultAsync<(string? Customer, string? Subscription)>(
            "select c.name, e.subscription_id from entitlements e join customers c on c.key = e.customer_key " +
            "where e.key = @Entitlement", call);
        _terms[call.Entitlement] = terms;
        _consumers[call.Consumer] = await db.ExecuteScalarAsync<string?>(
            "select username from consumers where key = @Consumer", call);
        _credentials[call.Credential] = await db.ExecuteScalarAsync<string?>(
            "select id from credentials where key = @Credential", call);
        var found = await db.QueryFirstOrDefaultAsync<(string? Api, string? Operation, string? Endpoint)>(
            "select api, operation, endpoint from operation_keys where key = @Operation", call);
        _operations[call.Operation] =
            call.Operation == 0 ? ("", "", "")
            : (found.Api ?? "", found.Operation ?? $"operation {call.Operation}", found.Endpoint ?? $"operation {call.Operation}");
        _sets[call.Dimensions] = await db.ExecuteScalarAsync<string?>(
            "select dimensions from dimension_sets where key = @Dimensions", call);
        _series[call.Series ?? 0] = await db.ExecuteScalarAsync<string?>(
            "select labels from counter_series where key = @key", new { key = call.Series ?? 0 });
        return 0;
    });
}

/// <summary>One call, for people.</summary>
internal static class CallText
{
    public static string Of(CallView call, string journal) => string.Join('\n',
        $"call        {call.RequestId}",
        $"at          {call.AdmittedAt}",
        $"customer    {call.Customer ?? "(nobody)"}",
        $"consumer    {call.Consumer ?? "(anonymous)"}",
        $"key         {call.Credential ?? "-"}",
        $"operation   {call.Operation}: {call.Method} {call.Endpoint} of {call.Api}",
        $"status      {call.Status?.ToString() ?? "none: under way, or its process died before the answer"}",
        $"billed      {(call.Billable ? $"{call.Quantity} {(call.Quantity == "1" ? "call" : "calls")}" : "nothing")}",
        $"latency     {(call.LatencyUs is { } us ? $"{us / 1000.0:0.0} ms" : "-")}",
        $"journal     {journal}", "");
}
