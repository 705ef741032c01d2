using System.Data.Common;
using Dapper;
using NodaTime;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>What was used of an operation under one stretch of terms within one billing period.</summary>
/// <param name="Endpoint">The path template, as invoices show it.</param>
/// <param name="Admitted">Calls that were let in; limits count these.</param>
/// <param name="Quantity">Billable units of the meter <c>calls</c>; invoices count these.</param>
/// <param name="Unknown">Admitted, but the process died before the answer: never billed.</param>
public sealed record OperationUsage(
    string Api, string Operation, string Endpoint, long Admitted, long Quantity, long Unknown);

/// <summary>A question about usage. All conditions hold at once; null asks for everything.</summary>
public sealed record UsageQuery
{
    /// <summary>Name of a meter; <c>calls</c> always exists.</summary>
    public string Meter { get; init; } = UsageStore.Calls;

    /// <summary>Who pays for the usage, by the terms that it was admitted under.</summary>
    public long? CustomerKey { get; init; }

    public long? ConsumerKey { get; init; }

    /// <summary>Name of an operation.</summary>
    public string? Operation { get; init; }

    /// <summary>Microseconds UTC, on a quarter of an hour; included.</summary>
    public long? From { get; init; }

    /// <summary>Microseconds UTC, on a quarter of an hour; excluded.</summary>
    public long? To { get; init; }

    /// <summary>Null sums all of it.</summary>
    public UsageWindow? Window { get; init; }

    /// <summary>IANA id of the zone in which windows begin.</summary>
    public string Timezone { get; init; } = "UTC";

    public UsageGroups GroupBy { get; init; }
}

/// <summary>By what the answer is split, beside windows.</summary>
[Flags]
public enum UsageGroups { None = 0, Consumer = 1, Customer = 2, Operation = 4, Method = 8 }

/// <summary>A sum of usage; a group that was not asked for is null.</summary>
/// <param name="Value">Billable units of the meter.</param>
/// <param name="Admitted">Calls that were let in.</param>
public sealed record UsageRow(decimal Value, long Admitted)
{
    /// <summary>Microseconds UTC; the first window begins at <see cref="UsageQuery.From"/> at the earliest. Null
    /// without windows, when the question has no beginning.</summary>
    public long? WindowStart { get; init; }

    /// <summary>Half-open; the last window ends at <see cref="UsageQuery.To"/> at the latest.</summary>
    public long? WindowEnd { get; init; }

    /// <summary>Username; null too for callers without a key.</summary>
    public string? Consumer { get; init; }

    /// <summary>Name; null too for usage that nobody pays for.</summary>
    public string? Customer { get; init; }

    public string? Api { get; init; }

    public string? Operation { get; init; }

    public string? Endpoint { get; init; }

    /// <summary>The number under which the journal keeps the HTTP method.</summary>
    public int? Method { get; init; }
}

/// <summary>The SQL that reads rollups. They are written by the drain alone.</summary>
public static class UsageStore
{
    /// <summary>The meter that always exists: every billable call.</summary>
    public const string Calls = "calls";

    /// <summary>How <see cref="Calls"/> is numbered in rollups.</summary>
    public const int CallsKey = 1;

    /// <summary>Length of a bucket, microseconds; buckets begin at multiples of it since 1970 UTC.</summary>
    public const long Bucket = 15 * 60 * Micros.PerSecond;

    /// <summary>An answer has no more rows than this; a question that would is refused.</summary>
    public const int MaxRows = 100_000;

    // an operation without a key would be a bug, but no call may vanish from a sum because of it
    private const string Names =
        "coalesce(o.api, '') as api, coalesce(o.operation, 'operation ' || r.operation) as operation, " +
        "coalesce(o.endpoint, 'operation ' || r.operation) as endpoint";

    /// <summary>
    /// The calls stamped with this entitlement and period when they were admitted, per operation, by name. Their time
    /// is not looked at again: the stamp decides.
    /// </summary>
    /// <param name="period">Index in the subscription's calendar.</param>
    public static async Task<IReadOnlyList<OperationUsage>> OfEntitlementAsync(
        DbConnection db, int entitlement, int period) =>
        (await db.QueryAsync<Sum>(
            $"select {Names}, cast(sum(r.admitted) as bigint) as admitted, " +
            "cast(sum(r.quantity) as bigint) as quantity, cast(sum(r.unknown) as bigint) as unknown " +
            "from rollups r left join operation_keys o on o.key = r.operation " +
            "where r.entitlement = @entitlement and r.period = @period and r.meter = @meter " +
            "group by r.operation, o.api, o.operation, o.endpoint order by 2, 1",
            new { entitlement, period, meter = CallsKey }))
        .Select(s => new OperationUsage(s.Api!, s.Operation!, s.Endpoint!, s.Admitted, s.Quantity, s.Unknown))
        .ToArray();

    /// <summary>Answers a question, rows ordered by window and then by the names of the groups.</summary>
    public static async Task<Result<IReadOnlyList<UsageRow>>> QueryAsync(DbConnection db, UsageQuery query)
    {
        var problems = Check(query).ToArray();
        if (problems.Length > 0) return Result<IReadOnlyList<UsageRow>>.Refused(problems);
        var windows = query.Window is { } unit
            ? new UsageWindows(unit, DateTimeZoneProviders.Tzdb[query.Timezone])
            : null;
        var answer = new List<UsageRow>();
        var sums = new Dictionary<Group, (decimal Value, long Admitted)>();
        var (start, end) = (query.From, query.To);
        await foreach (var sum in db.QueryUnbufferedAsync<Sum>(Sql(query), Parameters(query)))
        {
            // buckets come in order of time, so one window is open at any moment
            if (windows is not null && (sums.Count == 0 || sum.Bucket >= end))
            {
                Close();
                (start, end) = windows.At(sum.Bucket);
                start = Math.Max(start.Value, query.From ?? long.MinValue);
                end = Math.Min(end.Value, query.To ?? long.MaxValue);
            }

            var group = sum.Group;
            sums.TryGetValue(group, out var before);
            sums[group] = (checked(before.Value + sum.Quantity), checked(before.Admitted + sum.Admitted));
            if (answer.Count + sums.Count > MaxRows) return TooMany;
        }

        Close();
        return answer;

        void Close()
        {
            answer.AddRange(sums.OrderBy(s => s.Key).Select(s => s.Key.Row(s.Value) with
            {
                WindowStart = start,
                WindowEnd = end,
            }));
            sums.Clear();
        }
    }

    private static Problem TooMany => new("too_many_rows",
        $"The answer would have more than {MaxRows:N0} rows. Ask for a shorter time, longer windows or fewer groups.");

    private static IEnumerable<Problem> Check(UsageQuery query)
    {
        const string boundary = "Usage is kept by quarters of an hour UTC: ask for hh:00, hh:15, hh:30 or hh:45.";
        if (query.Meter != Calls)
            yield return new Problem("meter_unknown", $"There is no meter '{query.Meter}', only '{Calls}'.", "meter");
        if (query.From % Bucket is not (null or 0))
            yield return new Problem("not_on_boundary", boundary, "from");
        if (query.To % Bucket is not (null or 0))
            yield return new Problem("not_on_boundary", boundary, "to");
        if (query.To <= query.From)
            yield return new Problem("range_empty", "The end must be after the beginning.", "to");
        if (BillingCalendar.FindZone(query.Timezone) is null)
            yield return new Problem("timezone_unknown", $"'{query.Timezone}' is not an IANA time zone.", "timezone");
    }

    /// <summary>Only what is asked for is joined and grouped; windows are cut in code, which knows zones.</summary>
    private static string Sql(UsageQuery query)
    {
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
        select.Add("cast(sum(r.quantity) as bigint) as quantity, cast(sum(r.admitted) as bigint) as admitted");
        return $"select {string.Join(", ", select)} from rollups r " +
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
            (group.Count == 0 ? " having count(*) > 0" : $" group by {string.Join(", ", group)}") +
            (query.Window is null ? "" : " order by r.bucket");
    }

    private static object Parameters(UsageQuery query) => new
    {
        meter = CallsKey,
        query.From,
        query.To,
        query.CustomerKey,
        query.ConsumerKey,
        query.Operation,
    };

    /// <summary>A row of the answer of the store: columns that were not asked for stay at null. Read by property,
    /// since SQLite does not know the type of a computed column before there is a row.</summary>
    private sealed class Sum
    {
        public long Bucket { get; init; }

        public string? Consumer { get; init; }

        public string? Customer { get; init; }

        public string? Api { get; init; }

        public string? Operation { get; init; }

        public string? Endpoint { get; init; }

        public long? Method { get; init; }

        public long Quantity { get; init; }

        public long Admitted { get; init; }

        public long Unknown { get; init; }

        public Group Group => new(Customer, Consumer, (Operation, Api, Endpoint), Method);
    }

    private readonly record struct Group(
        string? Customer, string? Consumer, (string? Name, string? Api, string? Endpoint) Operation, long? Method)
        : IComparable<Group>
    {
        public int CompareTo(Group other)
        {
            var order = string.CompareOrdinal(Customer, other.Customer);
            if (order == 0) order = string.CompareOrdinal(Consumer, other.Consumer);
            if (order == 0) order = string.CompareOrdinal(Operation.Name, other.Operation.Name);
            if (order == 0) order = string.CompareOrdinal(Operation.Api, other.Operation.Api);
            return order == 0 ? Nullable.Compare(Method, other.Method) : order;
        }

        public UsageRow Row((decimal Value, long Admitted) sum) => new(sum.Value, sum.Admitted)
        {
            Customer = Customer,
            Consumer = Consumer,
            Api = Operation.Api,
            Operation = Operation.Name,
            Endpoint = Operation.Endpoint,
            Method = (int?)Method,
        };
    }
}
