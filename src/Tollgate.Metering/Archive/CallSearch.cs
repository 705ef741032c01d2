using System.Globalization;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>A call as it is on record.</summary>
public sealed record CallRecord
{
    /// <summary>What the caller got as <c>X-Request-Id</c>.</summary>
    public required RecordId Id { get; init; }

    /// <summary>When it was let in, microseconds UTC.</summary>
    public required long At { get; init; }

    public required int Entitlement { get; init; }

    public required int Period { get; init; }

    public required int Consumer { get; init; }

    public required int Credential { get; init; }

    public required int Operation { get; init; }

    public required string Method { get; init; }

    /// <summary>Null while it is under way, and for ever when its process died before the answer.</summary>
    public required int? Status { get; init; }

    public required bool Billable { get; init; }

    /// <summary>Units of the meter that was asked for, scaled; 0 when it cost nothing.</summary>
    public required long Quantity { get; init; }

    public required long? LatencyMicros { get; init; }
}

/// <summary>Which calls are wanted. All conditions hold at once; what is not said is not asked.</summary>
public sealed record CallFilter
{
    /// <summary>Stamped with one of these.</summary>
    public IReadOnlyList<(int Entitlement, int Period)>? Terms { get; init; }

    /// <summary>Stamped with one of these, whatever the period.</summary>
    public IReadOnlyList<int>? Entitlements { get; init; }

    public IReadOnlyList<int>? Operations { get; init; }

    public IReadOnlyList<int>? Consumers { get; init; }

    /// <summary>Sets of dimensions; of calls themselves there are none.</summary>
    public IReadOnlyList<int>? Dimensions { get; init; }

    /// <summary>Microseconds UTC, included.</summary>
    public long? From { get; init; }

    /// <summary>Microseconds UTC, excluded.</summary>
    public long? To { get; init; }

    /// <summary>1: calls. Another: the units of that meter, each with the call or event that they belong to.</summary>
    public int Meter { get; init; } = UsageStore.CallsKey;

    /// <summary>Only what somebody pays for.</summary>
    public bool BillableOnly { get; init; }
}

/// <summary>
/// Finds calls in the archive and, what is too young for it, in the journal. Only of this node's own journal: each node
/// keeps its calls itself.
/// </summary>
public sealed class CallSearch(UsageArchive archive, UsageJournal journal, Database database)
{
    /// <summary>All calls that match, those of the archive first; within a file in the order in which they came. A call
    /// that has no end on record comes last.</summary>
    public async IAsyncEnumerable<CallRecord> ReadAsync(CallFilter filter)
    {
        var open = new Dictionary<ulong, CallRecord>();
        var batch = new JournalRecord[4_096];
        var position = 0UL;
        while (true)
        {
            // what is archived may leave the journal, also while we read
            if (archive.Archived is var archived && position < archived)
            {
                foreach (var file in await FilesAsync(filter, position, archived))
                    foreach (var found in InFile(file, filter, $" and coalesce(sequence + settled_after, sequence) >= {position}"))
                        if (Settled(found, open)) yield return found.Call;
                position = archived;
                continue;
            }

            var read = journal.Read(ref position, batch);
            if (read == 0) break;
            for (var i = 0; i < read; i++)
                if (Of(batch[i], filter) is { } found && Settled(found, open)) yield return found.Call;
        }

        if (filter.BillableOnly) yield break;
        foreach (var call in open.Values) yield return call;
    }

    /// <summary>The call with this identity; null when there is none on record here.</summary>
    public async Task<CallRecord?> FindAsync(RecordId id)
    {
        if (id.Journal != journal.Id || id.Sequence > long.MaxValue) return null;
        CallRecord? begun = null;
        var files = (await database.ReadAsync(db => ArchiveStore.FilesAsync(db)))
            .Where(f => f.Journal == id.Journal && f.Boot == id.Boot && f.Next > id.Sequence).ToArray();
        foreach (var file in files)
        {
            foreach (var found in InFile(file, new CallFilter(), $" and sequence = {id.Sequence}"))
            {
                if (found.HasEnded) return found.Call;
                begun = found.Call;
            }

            // what does not begin in the first file that can hold it does not begin
            if (begun is null) return null;
        }

        var position = Math.Max(id.Sequence, archive.Archived);
        var batch = new JournalRecord[4_096];
        int read;
        while ((read = journal.Read(ref position, batch)) > 0)
        {
            foreach (ref readonly var record in batch.AsSpan(0, read))
            {
                if (record.AdmissionSequence != id.Sequence || record.Boot != id.Boot
                    || record.Kind is not (RecordKind.Admitted or RecordKind.Settled)) continue;
                begun = Of(record, new CallFilter())!.Value.Call;
                if (record.Kind == RecordKind.Settled) return begun;
            }

            if (begun is null) return null;
        }

        return begun;
    }

    private async Task<ArchiveFile[]> FilesAsync(CallFilter filter, ulong from, ulong to) =>
        (await database.ReadAsync(db => ArchiveStore.FilesAsync(db))).Where(f => f.Journal == journal.Id
            && f.Next > from && f.Next <= to
            && f.MaxAt >= (filter.From ?? long.MinValue) && f.MinAt < (filter.To ?? long.MaxValue)).ToArray();

    /// <summary>Whether this is all that there is to say of the call; one that has only begun is put aside.</summary>
    private static bool Settled(in Found found, Dictionary<ulong, CallRecord> open)
    {
        if (!found.HasEnded)
        {
            open[found.Call.Id.Sequence] = found.Call;
            return false;
        }

        open.Remove(found.Call.Id.Sequence);
        return true;
    }

    private IEnumerable<Found> InFile(ArchiveFile file, CallFilter filter, string more = "")
    {
        using var db = DuckDb.Open(archive.Folder);
        using var command = db.CreateCommand();
        command.UseStreamingMode = true;
        command.CommandText =
            "select boot, coalesce(call, sequence), epoch_us(admitted_at), entitlement, period, consumer, " +
            "coalesce(credential, 0), operation, method, status, coalesce(billable, kind <> 'call'), coalesce(quantity, 0), latency_us, " +
            "kind <> 'call' or settled_after is not null " +
            $"from read_parquet({DuckDb.Text(Path.Combine(archive.Folder, file.Name))}) where {Where(filter)}{more}";
        using var reader = command.ExecuteReader();
        while (reader.Read())
        {
            yield return new Found(reader.GetBoolean(13), new CallRecord
            {
                Id = new RecordId(file.Journal, reader.GetFieldValue<uint>(0), (ulong)reader.GetInt64(1)),
                At = reader.GetInt64(2),
                Entitlement = reader.GetInt32(3),
                Period = reader.GetInt32(4),
                Consumer = reader.GetInt32(5),
                Credential = reader.GetInt32(6),
                Operation = reader.GetInt32(7),
                Method = reader.GetString(8),
                Status = reader.IsDBNull(9) ? null : reader.GetFieldValue<ushort>(9),
                Billable = reader.GetBoolean(10),
                Quantity = reader.GetBoolean(10) ? reader.GetInt64(11) : 0,
                LatencyMicros = reader.IsDBNull(12) ? null : reader.GetFieldValue<uint>(12),
            });
        }
    }

    /// <summary>Numbers alone: nothing in it is anybody's text.</summary>
    private static string Where(CallFilter filter)
    {
        var conditions = new List<string>
        {
            filter.Meter == UsageStore.CallsKey
                ? "kind = 'call'"
                : string.Create(CultureInfo.InvariantCulture, $"kind <> 'call' and meter = {filter.Meter}"),
        };
        if (filter.Terms is { } terms)
            conditions.Add(terms.Count == 0 ? "false" : $"({string.Join(" or ", terms.Select(t =>
                string.Create(CultureInfo.InvariantCulture, $"(entitlement = {t.Entitlement} and period = {t.Period})")))})");
        Among("entitlement", filter.Entitlements);
        Among("operation", filter.Operations);
        Among("consumer", filter.Consumers);
        Among("dimensions", filter.Dimensions);
        if (filter.From is { } from) conditions.Add($"admitted_at >= make_timestamptz({from})");
        if (filter.To is { } to) conditions.Add($"admitted_at < make_timestamptz({to})");
        if (filter.BillableOnly) conditions.Add("(kind <> 'call' or settled_after is null or billable)");
        return string.Join(" and ", conditions);

        void Among(string column, IReadOnlyList<int>? keys)
        {
            if (keys is not null)
                conditions.Add(keys.Count == 0 ? "false" : $"{column} in ({string.Join(", ", keys)})");
        }
    }

    /// <summary>The same question, asked of a record of the journal.</summary>
    private Found? Of(in JournalRecord record, CallFilter filter)
    {
        var call = record.Kind is RecordKind.Admitted or RecordKind.Settled;
        var a = record.Admission;
        if (record.Kind == 0 || (filter.Meter == UsageStore.CallsKey ? !call : call || record.Meter != filter.Meter)
            || filter.Terms?.Contains((a.Entitlement, a.Period)) == false
            || filter.Entitlements?.Contains(a.Entitlement) == false
            || filter.Operations?.Contains(a.Operation) == false || filter.Consumers?.Contains(a.Consumer) == false
            || filter.Dimensions?.Contains(record.Dimensions) == false
            || a.AdmittedAt < filter.From || a.AdmittedAt >= filter.To
            || (filter.BillableOnly && record.Kind == RecordKind.Settled && !record.Billable))
            return null;
        var ended = record.Kind != RecordKind.Admitted;
        return new Found(ended, new CallRecord
        {
            Id = new RecordId(journal.Id, record.Boot, record.AdmissionSequence),
            At = a.AdmittedAt,
            Entitlement = a.Entitlement,
            Period = a.Period,
            Consumer = a.Consumer,
            Credential = a.Credential,
            Operation = a.Operation,
            Method = MethodCode.NameOf(a.Method),
            Status = record.Kind == RecordKind.Settled ? record.Status : null,
            Billable = record.Billable,
            Quantity = record.Billable ? record.Quantity : 0,
            LatencyMicros = record.Kind == RecordKind.Settled ? record.LatencyMicros : null,
        });
    }

    private readonly record struct Found(bool HasEnded, CallRecord Call);
}
