using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// Carries the journal into the rollups. One transaction holds the sums of a batch, the admissions that are still
/// open, and the journal's new position: after a crash on either side the batch either happened or it did not, and
/// nothing is counted twice.
/// </summary>
public sealed class UsageDrain : IDisposable
{
    /// <summary>Records in one transaction, at most.</summary>
    public const int BatchSize = 16_384;

    /// <summary>Drained records are kept this long, business time: limits per second and minute are rebuilt from them.
    /// </summary>
    private const long KeepMicros = 2 * 60 * 1_000_000L;

    private readonly UsageJournal _journal;
    private readonly Database _database;
    private readonly Clocks _clocks;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Dictionary<ulong, Admission> _open = [];
    private readonly Queue<(long At, ulong Position)> _marks = new();
    private readonly JournalRecord[] _batch = new JournalRecord[BatchSize];
    private ulong _position;

    // false after a write whose end was not heard of: it may have been committed
    private bool _known = true;

    public UsageDrain(UsageJournal journal, Database database, Clocks clocks)
    {
        _journal = journal;
        _database = database;
        _clocks = clocks;
    }

    /// <summary>The id of the journal, as 8 hex digits.</summary>
    public string Journal => _journal.Id.ToString("x8");

    /// <summary>
    /// Takes up where the last process stopped: drains what it left, then closes its open admissions as unknown. They
    /// count against limits and bill nothing. Called before the first call is let in.
    /// </summary>
    /// <exception cref="InvalidDataException">The journal has calls, and the database has never seen it: one of the two
    /// is somebody else's, and draining would bill these calls to whoever has their numbers now.</exception>
    public async Task RecoverAsync()
    {
        await _database.WriteAsync(async db =>
        {
            var position = await db.ExecuteScalarAsync<long?>(
                "select position from journals where id = @id", new { id = (long)_journal.Id });
            if (position is null && _journal.Recovery.Records > 0)
                throw new InvalidDataException(
                    $"The journal holds {_journal.Recovery.Records} records that {_database.Path} knows nothing of. " +
                    "Restore the database that belongs to it, or move the folder 'journal' away as well.");
            if (position is not null) return;
            await db.ExecuteAsync("insert into journals (id, position, drained_at) values (@id, @first, @now)", new
            {
                id = (long)_journal.Id,
                first = checked((long)_journal.FirstSequence),
                now = Catalog.Micros.Now(_clocks.Machine),
            });
        });
        await LoadAsync();
        await CatchUpAsync();
        if (_open.Count > 0) await CloseUnknownAsync();
    }

    /// <summary>Drains until nothing committed is left. Calls that are answered when this begins are in the store when
    /// it ends.</summary>
    public async Task CatchUpAsync()
    {
        await _turn.WaitAsync();
        try
        {
            while (await DrainBatchAsync() == BatchSize)
            {
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Deletes segments of the journal that nothing needs any more.</summary>
    public void Truncate()
    {
        var horizon = Catalog.Micros.Now(_clocks.Business) - KeepMicros;
        lock (_marks)
        {
            while (_marks.TryPeek(out var mark) && mark.At < horizon)
            {
                _marks.Dequeue();
                _journal.TruncateBefore(mark.Position);
            }
        }
    }

    public void Dispose() => _turn.Dispose();

    private async Task<int> DrainBatchAsync()
    {
        if (!_known) await LoadAsync();
        var position = _position;
        var count = _journal.Read(ref position, _batch);
        if (count == 0) return 0;
        var sums = new Dictionary<RollupKey, Sums>();
        var opened = new Dictionary<ulong, Admission>();
        var closed = new List<ulong>();
        foreach (ref readonly var record in _batch.AsSpan(0, count))
        {
            Add(sums, record);
            if (record.Kind == RecordKind.Admitted) opened[record.Sequence] = record.Admission;
            else if (!opened.Remove(record.AdmissionSequence)) closed.Add(record.AdmissionSequence);
        }

        await WriteAsync(async db =>
        {
            await MoveAsync(db, _position, position);
            await UpsertAsync(db, sums);
            await OpenAsync(db, opened);
            foreach (var sequence in closed)
                await db.ExecuteAsync("delete from open_admissions where journal = @id and sequence = @sequence",
                    new { id = (long)_journal.Id, sequence = (long)sequence });
        });
        foreach (var (sequence, admission) in opened) _open[sequence] = admission;
        foreach (var sequence in closed) _open.Remove(sequence);
        _position = position;
        Mark(position);
        return count;
    }

    /// <summary>Reads where the store is: the position, and the admissions that wait for their settlement.</summary>
    private async Task LoadAsync()
    {
        await _database.ReadAsync(async db =>
        {
            var id = (long)_journal.Id;
            _position = (ulong)await db.ExecuteScalarAsync<long>(
                "select position from journals where id = @id", new { id });
            _open.Clear();
            foreach (var row in await db.QueryAsync<OpenRow>(
                "select sequence, entitlement, period, consumer, operation, method, admitted_at from open_admissions " +
                "where journal = @id", new { id }))
                _open[(ulong)row.Sequence] = row.Admission;
            return 0;
        });
        _known = true;
    }

    /// <summary>Nobody but who drains this journal compares these rows before writing, so it waits for no other writer.
    /// </summary>
    private async Task WriteAsync(Func<DbConnection, Task> write)
    {
        _known = false;
        await _database.WriteAsync(Turn.OfJournal(_journal.Id), async db => { await write(db); return 0; });
        _known = true;
    }

    /// <summary>Notes how far it was drained by when; of one instant the first is enough, since a clock may stand.</summary>
    private void Mark(ulong position)
    {
        var now = Catalog.Micros.Now(_clocks.Business);
        lock (_marks)
            if (_marks.Count == 0 || _marks.Last().At != now) _marks.Enqueue((now, position));
    }

    private async Task CloseUnknownAsync()
    {
        var sums = new Dictionary<RollupKey, Sums>();
        foreach (var admission in _open.Values)
        {
            var key = RollupKey.Of(admission);
            sums[key] = sums.GetValueOrDefault(key) with { Unknown = sums.GetValueOrDefault(key).Unknown + 1 };
        }

        await WriteAsync(async db =>
        {
            await UpsertAsync(db, sums);
            await db.ExecuteAsync(
                "delete from open_admissions where journal = @id", new { id = (long)_journal.Id });
        });
        _open.Clear();
    }

    private static void Add(Dictionary<RollupKey, Sums> sums, in JournalRecord record)
    {
        var key = RollupKey.Of(record.Admission);
        var sum = sums.GetValueOrDefault(key);
        sums[key] = record.Kind == RecordKind.Admitted
            ? sum with { Admitted = sum.Admitted + 1 }
            : sum with { Quantity = checked(sum.Quantity + (record.Billable ? record.Quantity : 0)) };
    }

    private static async Task UpsertAsync(DbConnection db, Dictionary<RollupKey, Sums> sums)
    {
        if (sums.Count == 0) return;
        await using var command = db.CreateCommand();
        command.CommandText =
            "insert into rollups (entitlement, period, consumer, meter, operation, method, bucket, admitted, quantity, " +
            "unknown) values (@e, @p, @c, @m, @o, @v, @b, @a, @q, @u) " +
            "on conflict (entitlement, period, consumer, meter, operation, method, bucket) do update set " +
            "admitted = rollups.admitted + excluded.admitted, quantity = rollups.quantity + excluded.quantity, " +
            "unknown = rollups.unknown + excluded.unknown";
        string[] names = ["e", "p", "c", "m", "o", "v", "b", "a", "q", "u"];
        var parameters = names.Select(name => Parameter(command, "@" + name)).ToArray();
        // in one order on every node, so that two drains never wait for each other's rows
        foreach (var (key, sum) in sums.OrderBy(s => s.Key))
        {
            long[] values =
            [
                key.Entitlement, key.Period, key.Consumer, UsageStore.CallsKey, key.Operation, key.Method, key.Bucket,
                sum.Admitted, sum.Quantity, sum.Unknown,
            ];
            for (var i = 0; i < values.Length; i++) parameters[i].Value = values[i];
            await command.ExecuteNonQueryAsync();
        }
    }

    private static DbParameter Parameter(DbCommand command, string name)
    {
        var parameter = command.CreateParameter();
        parameter.ParameterName = name;
        parameter.DbType = System.Data.DbType.Int64;
        command.Parameters.Add(parameter);
        return parameter;
    }

    private Task OpenAsync(DbConnection db, Dictionary<ulong, Admission> opened) => db.ExecuteAsync(
        "insert into open_admissions (journal, sequence, entitlement, period, consumer, operation, method, " +
        "admitted_at) values (@journal, @sequence, @Entitlement, @Period, @Consumer, @Operation, @Method, " +
        "@AdmittedAt)",
        opened.Select(o => new
        {
            journal = (long)_journal.Id,
            sequence = (long)o.Key,
            o.Value.Entitlement,
            o.Value.Period,
            o.Value.Consumer,
            o.Value.Operation,
            Method = (int)o.Value.Method,
            o.Value.AdmittedAt,
        }));

    /// <summary>Compares and sets: a batch that was committed, though its commit was never answered, is not taken
    /// twice.</summary>
    private async Task MoveAsync(DbConnection db, ulong from, ulong to)
    {
        var moved = await db.ExecuteAsync(
            "update journals set position = @to, drained_at = @now where id = @id and position = @from", new
            {
                id = (long)_journal.Id,
                from = checked((long)from),
                to = checked((long)to),
                now = Catalog.Micros.Now(_clocks.Machine),
            });
        if (moved == 0)
            throw new StorageException($"The journal {Journal} is not at {from} in {_database.Path} any more.");
    }

    private readonly record struct RollupKey(
        int Entitlement, int Period, int Consumer, int Operation, byte Method, long Bucket) : IComparable<RollupKey>
    {
        public int CompareTo(RollupKey other) =>
            (Entitlement, Period, Consumer, Operation, Method, Bucket).CompareTo(
                (other.Entitlement, other.Period, other.Consumer, other.Operation, other.Method, other.Bucket));

        public static RollupKey Of(in Admission a) => new(
            a.Entitlement, a.Period, a.Consumer, a.Operation, a.Method, a.AdmittedAt - (a.AdmittedAt % UsageStore.Bucket));
    }

    private readonly record struct Sums(long Admitted, long Quantity, long Unknown);

    private sealed record OpenRow(
        long Sequence, long Entitlement, long Period, long Consumer, long Operation, long Method, long AdmittedAt)
    {
        public Admission Admission => new()
        {
            AdmittedAt = AdmittedAt,
            Entitlement = (int)Entitlement,
            Period = (int)Period,
            Consumer = (int)Consumer,
            Operation = (int)Operation,
            Credential = 0,
            Method = (byte)Method,
        };
    }
}
