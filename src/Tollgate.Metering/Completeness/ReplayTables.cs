using System.Data.Common;
using Dapper;

namespace Tollgate.Metering;

/// <summary>The tables that the drain writes: put aside before a replay, and compared with what it made.</summary>
internal static class ReplayTables
{
    private const int MostDifferences = 5;
    private const string Before = RecordedStamps.Prefix;
    private const string Row = "entitlement, period, consumer, meter, operation, method, dimensions, bucket";
    private const string Identities = "select high, low, journal, sequence from ";

    // what is compared, and which column tells its time
    private static readonly (string Table, string Columns, string Time)[] s_tables =
    [
        ("rollups", $"{Row}, admitted, quantity, unknown, items, latest_at", "bucket"),
        ("unique_values", $"{Row}, value_hash", "bucket"),
        ("single_values", "entitlement, period, meter, at, journal, sequence, operation, dimensions, quantity", "at"),
        ("unattributed_usage",
            "journal, sequence, subject, meter, operation, method, dimensions, occurred_at, quantity", "occurred_at"),
        ("open_admissions",
            "journal, sequence, entitlement, period, consumer, operation, method, admitted_at", "admitted_at"),
    ];

    /// <summary>What usage is told from.</summary>
    public static IEnumerable<(string Table, string Columns, string Time)> Sums => s_tables[..3];

    // numbers that stand for names: without the name nobody knows what was counted
    private static readonly (string Table, string Column, string Names)[] s_names =
    [
        ("rollups", "meter", "meter_keys"), ("rollups", "dimensions", "dimension_sets"),
        ("unique_values", "meter", "meter_keys"), ("unique_values", "dimensions", "dimension_sets"),
        ("single_values", "meter", "meter_keys"), ("single_values", "dimensions", "dimension_sets"),
        ("unattributed_usage", "meter", "meter_keys"), ("unattributed_usage", "dimensions", "dimension_sets"),
        ("unattributed_usage", "subject", "event_subjects"),
    ];

    /// <summary>Puts aside what the drain will make again, from an instant on.</summary>
    /// <returns>What is wrong with it already, in words.</returns>
    public static async Task<IReadOnlyList<string>> PutAsideAsync(DbConnection db, long from)
    {
        var faults = new List<string>();
        foreach (var (table, _, time) in s_tables)
        {
            await db.ExecuteAsync($"create table {Before}{table} as select * from {table} where {time} >= @from", new { from });
            // admissions that are open are taken by the journal that they are of
            if (table != "open_admissions") await db.ExecuteAsync($"delete from {table} where {time} >= @from", new { from });
        }

        foreach (var stamps in (string[])["outside_stamps", "later_stamps"])
            await db.ExecuteAsync($"alter table {stamps} rename to {Before}{stamps}");
        await db.ExecuteAsync($"create table {Before}identities (high bigint, low bigint, journal bigint, sequence bigint)");
        foreach (var part in await db.QueryAsync<long>("select day from event_days"))
        {
            if (await EventFilters.FaultAsync(db, (int)part) is { } fault) faults.Add(fault);
            var table = EventIdentities.TableOf((int)part);
            await db.ExecuteAsync($"insert into {Before}identities {Identities}{table}");
            await db.ExecuteAsync($"drop table {table}");
        }

        await db.ExecuteAsync($"alter table event_days rename to {Before}event_days");
        await db.ExecuteAsync("create table event_days (day integer primary key, identities bigint not null default 0)");
        await db.ExecuteAsync("delete from event_filters");
        await db.ExecuteAsync($"create table {Before}counter_series as select * from counter_series");
        await db.ExecuteAsync("update counter_series set first_at = 0, at = 0, value = 0, counted = 0, resets = 0, reset_at = 0");
        return faults;
    }

    /// <summary>What stands in one of the two and not in the other, in words.</summary>
    public static async Task<IReadOnlyList<string>> CompareAsync(DbConnection db, long from)
    {
        var differences = new List<string>();
        foreach (var (table, columns, time) in s_tables)
        {
            var rows = $"where {time} >= {from}";
            await FindAsync(table, $"select {columns} from {table} {rows}", $"select {columns} from {Before}{table} {rows}");
        }

        await IdentitiesAsync();
        await CountersAsync();
        foreach (var (table, column, names) in s_names)
            foreach (var key in await db.QueryAsync<long>($"select distinct {column} from {Before}{table} where {column} <> 0 " +
                $"and {column} not in (select key from {names}) limit {MostDifferences}"))
                differences.Add($"{table} names {column} {key}, and {names} does not know it");
        return differences;

        async Task FindAsync(string table, string replayed, string stored)
        {
            await AddAsync("archive and journal say", table, $"{replayed} except {stored}");
            await AddAsync($"{(table == "rollups" ? "the rollups say" : $"{table} say")}", "", $"{stored} except {replayed}");
        }

        async Task AddAsync(string who, string table, string sql)
        {
            foreach (IDictionary<string, object> row in await db.QueryAsync($"{sql} limit {MostDifferences}"))
                differences.Add($"{who}{(table is "" or "rollups" ? "" : $" of {table}")}: " +
                    string.Join(", ", row.Select(c => $"{c.Key} {Shown(c.Key, c.Value)}")));
        }

        // what is remembered must have come, and what came lately must be remembered: older days are dropped whole when an
        // event comes; the day of a replay is that of the usage, and at most one later
        async Task IdentitiesAsync()
        {
            await db.ExecuteAsync("create table replayed_identities " +
                "(high bigint, low bigint, journal bigint, sequence bigint, day bigint)");
            foreach (var part in await db.QueryAsync<long>("select day from event_days"))
                await db.ExecuteAsync("insert into replayed_identities select high, low, journal, sequence, @day from " +
                    EventIdentities.TableOf((int)part), new { day = EventPart.DayOf(part) });
            if (from == 0)
                await AddAsync("identities of events say", "", $"{Identities}{Before}identities except {Identities}replayed_identities");
            var kept = (await db.QueryAsync<long>($"select day from {Before}event_days"))
                .Max(part => (int?)EventPart.DayOf(part)) - EventIdentities.KeepDays + 1;
            if (kept is not null)
                await AddAsync("archive and journal say", "the identities of events",
                    $"{Identities}replayed_identities where day >= {kept} except {Identities}{Before}identities");
        }

        // counted from the beginning, so told only where all of it is there
        async Task CountersAsync()
        {
            if (from > 0) return;
            const string columns = "select key, first_at, at, value, counted, resets, reset_at from ";
            await FindAsync("counter_series", $"{columns}counter_series", $"{columns}{Before}counter_series");
        }
    }

    private static string Shown(string column, object value) => column is "bucket" or "at" or "occurred_at" or "admitted_at"
        ? Catalog.Micros.ToText(Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture)) : $"{value}";
}
