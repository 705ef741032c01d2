using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>A question about usage as SQL: only what is asked for is joined and grouped. Windows are cut in code, which
/// knows zones.</summary>
internal static class UsageSql
{
    // an operation without a key would be a bug, but no call may vanish from a sum because of it
    public const string Names =
        "coalesce(o.api, '') as api, " +
        "coalesce(o.operation, case when r.operation = 0 then '' else 'operation ' || r.operation end) as operation, " +
        "coalesce(o.endpoint, case when r.operation = 0 then '' else 'operation ' || r.operation end) as endpoint";

    public static Problem TooMany => new("too_many_rows",
        $"The answer would have more than {UsageStore.MaxRows:N0} rows, or more than {UsageStore.MaxValues:N0} different " +
        "values in one window. Ask for a shorter time, longer windows or fewer groups.");

    public static IEnumerable<Problem> Check(UsageQuery query, IReadOnlyDictionary<string, Meter> meters)
    {
        const string boundary = "Usage is kept by quarters of an hour UTC: ask for hh:00, hh:15, hh:30 or hh:45.";
        if (!meters.ContainsKey(query.Meter))
            yield return new Problem("meter_unknown", $"There is no meter '{query.Meter}'. Known are: " +
                $"{string.Join(", ", meters.Keys.Take(50))}.", "meter");
        if (query.From % UsageStore.Bucket is not (null or 0))
            yield return new Problem("not_on_boundary", boundary, "from");
        if (query.To % UsageStore.Bucket is not (null or 0))
            yield return new Problem("not_on_boundary", boundary, "to");
        if (query.To <= query.From)
            yield return new Problem("range_empty", "The end must be after the beginning.", "to");
        if (BillingCalendar.FindZone(query.Timezone) is null)
            yield return new Problem("timezone_unknown", $"'{query.Timezone}' is not an IANA time zone.", "timezone");
    }

    public static string Of(UsageQuery query, Meter meter)
    {
        var unique = meter.Aggregation == Aggregation.UniqueCount;
        var select = new List<string>();
        var group = new List<string>();
        void Split(bool wanted, string columns, string by)
        {
            if (!wanted) return;
            select.Add(columns);
            group.Add(by);
        }

        var groups = query.GroupBy;
        Split(query.Window is not null, "r.bucket", "r.bucket");
        Split(groups.HasFlag(UsageGroups.Consumer), "con.username as consumer", "r.consumer, con.username");
        Split(groups.HasFlag(UsageGroups.Customer), "cus.name as customer", "cus.name");
        Split(groups.HasFlag(UsageGroups.Operation), Names, "r.operation, o.api, o.operation, o.endpoint");
        Split(groups.HasFlag(UsageGroups.Method), "r.method", "r.method");
        Split(query.GroupByDimensions.Count + query.Where.Count > 0, "r.dimensions", "r.dimensions");
        if (unique) select.Add("r.value_hash as quantity");
        else if (meter.IsAdditive)
            select.Add("cast(sum(r.quantity) as bigint) as quantity, cast(sum(r.admitted) as bigint) as admitted, " +
                "cast(sum(r.items) as bigint) as items");
        // measurements that do not add up are put together in code
        else select.Add("r.quantity, r.admitted, r.items, r.latest_at");
        var grouped = unique ? " group by " + string.Join(", ", group.Append("r.value_hash"))
            : !meter.IsAdditive ? ""
            : group.Count == 0 ? " having count(*) > 0" : $" group by {string.Join(", ", group)}";
        return $"select {string.Join(", ", select)} from {(unique ? "unique_values" : "rollups")} r " +
            "left join entitlements e on e.key = r.entitlement " +
            "left join customers cus on cus.key = e.customer_key " +
            "left join consumers con on con.key = r.consumer " +
            "left join operation_keys o on o.key = r.operation " +
            "where r.meter = @meter" +
            (query.From is null ? "" : " and r.bucket >= @From") +
            (query.To is null ? "" : " and r.bucket < @To") +
            (query.CustomerKey is null ? "" : " and e.customer_key = @CustomerKey") +
            (query.ConsumerKey is null ? "" : " and r.consumer = @ConsumerKey") +
            (query.Operation is null ? "" : " and o.operation = @Operation") +
            grouped +
            (query.Window is null ? "" : " order by r.bucket");
    }

    public static object Parameters(UsageQuery query, Meter meter) => new
    {
        meter = meter.Key,
        query.From,
        query.To,
        query.CustomerKey,
        query.ConsumerKey,
        query.Operation,
    };
}
