using System.Globalization;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>One question about calls, asked of a file of the archive and of a record of the journal.</summary>
internal static class CallSql
{
    private const string Columns =
        "boot, coalesce(call, sequence), epoch_us(admitted_at), entitlement, period, consumer, coalesce(credential, 0), operation, " +
        "case when kind not in ('event', 'counter') or method <> 'other' then method end, " +
        "status, coalesce(billable, kind <> 'call'), coalesce(quantity, 0), latency_us, kind, coalesce(meter, 1), " +
        "coalesce(dimensions, 0), coalesce(subject, 0), coalesce(event_high, 0), coalesce(event_low, 0), " +
        "kind <> 'call' or settled_after is not null";

    private const string Outside = "kind in ('event', 'counter')";

    public static IEnumerable<Found> InFile(string folder, ArchiveFile file, CallFilter filter, string more = "") =>
        Read(folder, file, Where(filter) + more);

    public static IEnumerable<CallRecord> OfEvent(string folder, ArchiveFile file, UInt128 identity) =>
        Read(folder, file, string.Create(CultureInfo.InvariantCulture,
            $"kind = 'event' and event_high = {(long)(ulong)(identity >> 64)} and event_low = {(long)(ulong)identity}"))
        .Select(f => f.Call);

    /// <summary>The same question, asked of a record of the journal.</summary>
    public static Found? Of(uint journal, in JournalRecord record, CallFilter filter)
    {
        var a = record.Admission;
        var outside = record.Kind >= RecordKind.Event;
        if (!IsOf(record, filter.Meter)
            || (!outside && (filter.Terms?.Contains((a.Entitlement, a.Period)) == false
                || filter.Entitlements?.Contains(a.Entitlement) == false || filter.Consumers?.Contains(a.Consumer) == false))
            || filter.Operations?.Contains(a.Operation) == false
            || a.AdmittedAt < filter.From || a.AdmittedAt >= filter.To
            || (filter.BillableOnly && record.Kind == RecordKind.Settled && !record.Billable))
            return null;
        return new Found(record.Kind != RecordKind.Admitted, View(journal, record));
    }

    public static CallRecord View(uint journal, in JournalRecord record)
    {
        var a = record.Admission;
        var isCall = record.Kind is RecordKind.Admitted or RecordKind.Settled;
        return new CallRecord
        {
            Kind = isCall ? CallKind.Call : (CallKind)(record.Kind - RecordKind.Settled),
            Id = new RecordId(journal, record.Boot, record.AdmissionSequence),
            At = a.AdmittedAt,
            Entitlement = a.Entitlement,
            Period = a.Period,
            Consumer = a.Consumer,
            Credential = a.Credential,
            Operation = a.Operation,
            Method = record.Kind >= RecordKind.Event && a.Method == 0 ? null : MethodCode.NameOf(a.Method),
            Status = record.Kind == RecordKind.Settled ? record.Status : null,
            Billable = record.Billable,
            Quantity = record.Billable ? record.Quantity : 0,
            LatencyMicros = record.Kind == RecordKind.Settled ? record.LatencyMicros : null,
            Meter = isCall ? UsageStore.CallsKey : record.Meter,
            Dimensions = record.Dimensions,
            Identity = record.Identity,
            Subject = record.Subject,
        };
    }

    private static bool IsOf(in JournalRecord record, int? meter) => record.Kind switch
    {
        0 => false,
        RecordKind.Admitted or RecordKind.Settled => meter is null or UsageStore.CallsKey,
        // a sample that grew by nothing only says where its counter stands
        RecordKind.Counted => meter == record.Meter && record.Quantity > 0,
        _ => meter == record.Meter,
    };

    private static IEnumerable<Found> Read(string folder, ArchiveFile file, string where)
    {
        using var db = DuckDb.Open(folder);
        using var command = db.CreateCommand();
        command.UseStreamingMode = true;
        command.CommandText =
            $"select {Columns} from read_parquet({DuckDb.Text(Path.Combine(folder, file.Name))}) where {where}";
        using var reader = command.ExecuteReader();
        while (reader.Read())
        {
            yield return new Found(reader.GetBoolean(19), new CallRecord
            {
                Kind = Enum.Parse<CallKind>(reader.GetString(13), ignoreCase: true),
                Id = new RecordId(file.Journal, reader.GetFieldValue<uint>(0), (ulong)reader.GetInt64(1)),
                At = reader.GetInt64(2),
                Entitlement = reader.GetInt32(3),
                Period = reader.GetInt32(4),
                Consumer = reader.GetInt32(5),
                Credential = reader.GetInt32(6),
                Operation = reader.GetInt32(7),
                Method = reader.IsDBNull(8) ? null : reader.GetString(8),
                Status = reader.IsDBNull(9) ? null : reader.GetFieldValue<ushort>(9),
                Billable = reader.GetBoolean(10),
                Quantity = reader.GetBoolean(10) ? reader.GetInt64(11) : 0,
                LatencyMicros = reader.IsDBNull(12) ? null : reader.GetFieldValue<uint>(12),
                Meter = reader.GetInt32(14),
                Dimensions = reader.GetInt32(15),
                Subject = reader.GetInt32(16),
                Identity = new UInt128((ulong)reader.GetInt64(17), (ulong)reader.GetInt64(18)),
            });
        }
    }

    /// <summary>Numbers alone: nothing in it is anybody's text. Whose records from outside are, stands in their stamps.
    /// </summary>
    private static string Where(CallFilter filter)
    {
        var conditions = new List<string>
        {
            filter.Meter switch
            {
                null => "kind = 'call'",
                UsageStore.CallsKey => "(kind = 'call' or meter = 1) and (kind <> 'counter' or quantity > 0)",
                { } meter => string.Create(CultureInfo.InvariantCulture,
                    $"kind <> 'call' and meter = {meter} and (kind <> 'counter' or quantity > 0)"),
            },
        };
        if (filter.Terms is { } terms)
            conditions.Add($"({Outside}{string.Concat(terms.Select(t => string.Create(CultureInfo.InvariantCulture,
                $" or (entitlement = {t.Entitlement} and period = {t.Period})")))})");
        Among("entitlement", filter.Entitlements, orOutside: true);
        Among("operation", filter.Operations, orOutside: false);
        Among("consumer", filter.Consumers, orOutside: true);
        if (filter.From is { } from) conditions.Add($"admitted_at >= make_timestamptz({from})");
        if (filter.To is { } to) conditions.Add($"admitted_at < make_timestamptz({to})");
        if (filter.BillableOnly) conditions.Add("(kind <> 'call' or settled_after is null or billable)");
        return string.Join(" and ", conditions);

        void Among(string column, IReadOnlyList<int>? keys, bool orOutside)
        {
            if (keys is null) return;
            var among = keys.Count == 0 ? "false" : $"{column} in ({string.Join(", ", keys)})";
            conditions.Add(orOutside ? $"({Outside} or {among})" : among);
        }
    }
}
