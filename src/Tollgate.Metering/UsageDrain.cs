using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>
/// Carries the journal into the rollups. One transaction holds the sums of a batch, the admissions that are still
/// open, the identities of the events that were counted, and the journal's new position: after a crash on either side
/// the batch either happened or it did not, and nothing is counted twice.
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
    private readonly EventIdentities _identities = new();
    private readonly EventAttribution _attribution;
    private readonly Dictionary<ulong, Admission> _open = [];
    private readonly Queue<(long At, ulong Position)> _marks = new();
    private readonly JournalRecord[] _batch = new JournalRecord[BatchSize];
    private ulong _position;

    // false after a write whose end was not heard of: it may have been committed
    private bool _known = true;

    // usage of nobody is stored, as far as this process knows
    private bool _waits = true;

    /// <param name="journal">What is drained.</param>
    /// <param name="database">What it is drained into.</param>
    /// <param name="clocks">Business time decides on which day an event's identity is remembered.</param>
    /// <param name="terms">Reads the stretches of terms of a customer, for usage from outside.</param>
    public UsageDrain(UsageJournal journal, Database database, Clocks clocks, ReadTerms terms)
    {
        _journal = journal;
        _database = database;
        _clocks = clocks;
        _attribution = new EventAttribution(terms);
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

            if (_waits && _attribution.IsStale) await AttributeAsync();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>A customer, consumer or subscription changed: usage that was nobody's may be somebody's now, and is
    /// looked at again at the next draining.</summary>
    public void Reattribute() => _attribution.Forget();

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
        var whole = EventGroups.Whole(_batch.AsSpan(0, count), position);
        if (whole < count) position = _batch[whole].Sequence;
        if (whole == 0) return 0;
        var dropped = new List<int>();
        var batch = await WriteAsync(async db =>
        {
            await MoveAsync(db, _position, position);
            var sums = new RollupBatch(await RollupStore.AggregationsAsync(db));
            foreach (ref readonly var record in _batch.AsSpan(0, whole)) sums.AddCall(record);
            await AddEventsAsync(db, whole, sums, dropped);
            await RollupStore.AddAsync(db, sums);
            await OpenAsync(db, sums.Opened);
            foreach (var sequence in sums.Closed)
                await db.ExecuteAsync("delete from open_admissions where journal = @id and sequence = @sequence",
                    new { id = (long)_journal.Id, sequence = (long)sequence });
            return sums;
        });
        _identities.Forget(dropped);
        foreach (var (sequence, admission) in batch.Opened) _open[sequence] = admission;
        foreach (var sequence in batch.Closed) _open.Remove(sequence);
        _position = position;
        Mark(position);

        // a batch that was cut short is followed by another like a full one
        return whole < count && count == BatchSize ? BatchSize : whole;
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
    private async Task<T> WriteAsync<T>(Func<DbConnection, Task<T>> write)
    {
        _known = false;
        var result = await _database.WriteAsync(Turn.OfJournal(_journal.Id), write);
        _known = true;
        return result;
    }

    /// <summary>Adds the events of the batch that were not counted before to their owners' sums; what is nobody's is
    /// set aside.</summary>
    private async Task AddEventsAsync(DbConnection db, int count, RollupBatch sums, List<int> dropped)
    {
        var groups = EventGroups.Find(_batch.AsSpan(0, count));
        if (groups.Count == 0) return;
        var today = EventIdentities.DayOf(Catalog.Micros.Now(_clocks.Business));
        var fresh = await _identities.TakeAsync(db, _journal.Id, today, groups, dropped);
        await _attribution.LearnAsync(db, fresh.Select(g => _batch[g.First].Subject));
        var nobodys = new List<UnattributedRow>();
        foreach (var group in fresh)
        {
            foreach (ref readonly var record in _batch.AsSpan(group.First, group.Count))
            {
                var row = UnattributedRow.Of(_journal.Id, record);
                if (_attribution.Of(record.Subject, row.OccurredAt) is { } whose)
                    sums.AddUnits(row.RowOf(whose), row.Quantity, row.OccurredAt);
                else
                    nobodys.Add(row);
            }
        }

        if (nobodys.Count == 0) return;
        await UnattributedStore.AddAsync(db, nobodys);
        _waits = true;
    }

    /// <summary>Looks again at usage that was nobody's; what is somebody's now moves into the sums.</summary>
    private async Task AttributeAsync()
    {
        var subjects = await _database.ReadAsync(UnattributedStore.SubjectsAsync);
        foreach (var subject in subjects)
        {
            long? after = 0;
            while (after is { } last) after = await AttributeAsync(subject, last);
        }

        _waits = subjects.Count > 0;
        if (!_waits) return;

        // nothing is read before the next change: these subjects are known to be nobody's
        await _database.ReadAsync(async db => { await _attribution.LearnAsync(db, []); return 0; });
    }

    /// <returns>The last sequence that was looked at; null at the end.</returns>
    private Task<long?> AttributeAsync(int subject, long after) => _database.WriteAsync<long?>(async db =>
    {
        await _attribution.LearnAsync(db, [subject]);
        var rows = await UnattributedStore.OfSubjectAsync(db, subject, after, BatchSize);
        var sums = new RollupBatch(await RollupStore.AggregationsAsync(db));
        var moved = new List<UnattributedRow>();
        foreach (var row in rows)
        {
            if (_attribution.Of(subject, row.OccurredAt) is not { } whose) continue;
            sums.AddUnits(row.RowOf(whose), row.Quantity, row.OccurredAt);
            moved.Add(row);
        }

        await RollupStore.AddAsync(db, sums);
        await UnattributedStore.DeleteAsync(db, moved);
        return rows.Count < BatchSize ? null : rows[^1].Sequence;
    });

    /// <summary>Notes how far it was drained by when; of one instant the first is enough, since a clock may stand.</summary>
    private void Mark(ulong position)
    {
        var now = Catalog.Micros.Now(_clocks.Business);
        lock (_marks)
            if (_marks.Count == 0 || _marks.Last().At != now) _marks.Enqueue((now, position));
    }

    private async Task CloseUnknownAsync()
    {
        await WriteAsync(async db =>
        {
            var sums = new RollupBatch(await RollupStore.AggregationsAsync(db));
            foreach (var admission in _open.Values) sums.AddUnknown(admission);
            await RollupStore.AddAsync(db, sums);
            await db.ExecuteAsync(
                "delete from open_admissions where journal = @id", new { id = (long)_journal.Id });
            return 0;
        });
        _open.Clear();
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
