using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>Reads records from a position on and moves it behind them; 0 when there is nothing (more).</summary>
internal delegate int ReadRecords(ref ulong position, Span<JournalRecord> into);

/// <summary>
/// Carries the journal into the rollups. One transaction holds the sums of a batch, the admissions that are still
/// open, the identities of the events that were counted, and the journal's new position: after a crash on either side
/// the batch either happened or it did not, and nothing is counted twice.
/// </summary>
public sealed partial class UsageDrain : IDisposable
{
    /// <summary>Records that are read at once.</summary>
    public const int BatchSize = 16_384;

    /// <summary>A transaction ends when it has so many records, or changes so many rows of the rollups: catching up
    /// after hours, the sums of many records are one row, and other writers still get their turn.</summary>
    private const int MostRecords = 128 * BatchSize;

    /// <inheritdoc cref="MostRecords"/>
    private const int MostRows = 65_536;

    /// <summary>And when it has so many records from outside: the other nodes wait with theirs meanwhile.</summary>
    private const int MostOutside = 8 * BatchSize;

    /// <summary>With more than this between two turns, they are taken once in <see cref="s_pace"/>: each transaction changes
    /// pages all over the identities of events and their sums, so that few large ones cost a fraction of many small ones.
    /// </summary>
    private const int ManyOutside = 1_024;

    private static readonly TimeSpan s_pace = TimeSpan.FromSeconds(1);

    /// <summary>Drained records are kept this long, business time: limits per second and minute are rebuilt from them.
    /// </summary>
    private const long KeepMicros = 2 * 60 * 1_000_000L;

    private readonly UsageJournal? _journal;
    private readonly uint _id;
    private readonly ReadRecords _read;
    private readonly Database _database;
    private readonly Clocks _clocks;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly EventIdentities _identities;
    private readonly EventAttribution _attribution;
    private readonly RecordedStamps? _recorded;
    private readonly Dictionary<ulong, Admission> _open = [];
    private readonly Queue<(long At, ulong Position)> _marks = new();
    private readonly JournalRecord[] _batch = new JournalRecord[BatchSize];

    // of the last batch: with a million keys it is some megabytes, which the next one takes over
    private readonly Dictionary<RollupKey, RollupSum> _sums = [];
    private ulong _position;
    private ulong _old;

    // of the last catching up: records from outside, and when it began; machine time
    private int _outside;
    private long _beganAt;

    // false after a write whose end was not heard of: it may have been committed
    private bool _known = true;

    // usage of nobody is stored, as far as this process knows
    private bool _waits = true;

    /// <param name="journal">What is drained.</param>
    /// <param name="database">What it is drained into.</param>
    /// <param name="clocks">Business time decides on which day an event's identity is remembered.</param>
    /// <param name="terms">Reads the stretches of terms of a customer, for usage from outside.</param>
    public UsageDrain(UsageJournal journal, Database database, Clocks clocks, ReadTerms terms)
        : this(journal.Id, journal.Read, database, clocks, terms) => _journal = journal;

    /// <summary>Drains the records of a journal out of something else than the journal.</summary>
    /// <param name="recorded">What became of records from outside before; null: it is found out.</param>
    internal UsageDrain(
        uint id, ReadRecords read, Database database, Clocks clocks, ReadTerms terms, RecordedStamps? recorded = null)
    {
        _recorded = recorded;
        _identities = new EventIdentities(seals: recorded is not null);
        _id = id;
        _read = read;
        _database = database;
        _clocks = clocks;
        _attribution = new EventAttribution(terms);
    }

    /// <summary>The id of the journal, as 8 hex digits.</summary>
    public string Journal => _id.ToString("x8");

    /// <summary>Hears of usage out of events once it is in the rollups: quantities × 10^scale of the meter.</summary>
    public Action<OutsideUsage, long>? OnOutsideUsage { get; set; }

    /// <summary>Everything before this is in the rollups.</summary>
    public ulong Position => Volatile.Read(ref _position);

    /// <summary>
    /// Takes up where the last process stopped: drains what it left, then closes its open admissions as unknown. They
    /// count against limits and bill nothing. Called before the first call is let in.
    /// </summary>
    /// <param name="archive">Where records are read from that this database has never seen and the journal does not have
    /// any more: the database was restored from a backup.</param>
    /// <exception cref="InvalidDataException">The journal has calls, and the database has never seen it: one of the two
    /// is somebody else's, and draining would bill these calls to whoever has their numbers now. Or records that it has
    /// not seen are nowhere.</exception>
    public async Task RecoverAsync(UsageArchive? archive = null)
    {
        var journal = _journal!;
        await _database.WriteAsync(async db =>
        {
            var position = await db.ExecuteScalarAsync<long?>(
                "select position from journals where id = @id", new { id = (long)_id });
            if (position is null && journal.Recovery.Records > 0)
                throw new InvalidDataException(
                    $"The journal holds {journal.Recovery.Records} records that {_database.Path} knows nothing of. " +
                    "Restore the database that belongs to it, or move the folder 'journal' away as well.");
            // with an archive it is written down there
            if (archive is null) await ArchiveStore.BootAsync(db, _id, journal.Boot, journal.BootFirst);
            if (position is not null) return;
            await db.ExecuteAsync("insert into journals (id, position, drained_at) values (@id, @first, @now)", new
            {
                id = (long)_id,
                first = checked((long)journal.FirstSequence),
                now = Catalog.Micros.Now(_clocks.Machine),
            });
        });
        await LoadAsync();
        if (archive is not null && _position < journal.FirstSequence) await CatchUpFromAsync(archive);
        await CatchUpAsync();
        // a node that began without its store has calls under way by now
        await CloseUnknownAsync(_open.Keys.Where(k => k >= journal.BootFirst).ToHashSet());
    }

    /// <summary>Drains all that there is from a position on, into rollups that hold what lies before. For admissions that
    /// are open at the end see <see cref="CloseUnknownAsync"/>.</summary>
    internal Task DrainFromAsync(ulong position)
    {
        _position = position;
        return CatchUpAsync();
    }

    /// <summary>Drains until nothing committed is left. Calls that are answered when this begins are in the store when
    /// it ends.</summary>
    public async Task CatchUpAsync()
    {
        OneWrite.RefuseInside("draining");
        await _turn.WaitAsync();
        try
        {
            (_outside, _beganAt) = (0, _clocks.Machine.GetTimestamp());
            while (await DrainBatchAsync(_read))
            {
            }

            if (_waits && _recorded is null && _attribution.IsStale) await AttributeAsync();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>The same, again and again: where many events come in, not more often than is good for them.</summary>
    public Task KeepUpAsync() => Volatile.Read(ref _outside) > ManyOutside
        && _clocks.Machine.GetElapsedTime(Volatile.Read(ref _beganAt)) < s_pace ? Task.CompletedTask : CatchUpAsync();

    /// <summary>Nothing is drained while the work runs; calls go on and wait in the journal.</summary>
    internal async Task<T> HoldAsync<T>(Func<Task<T>> work)
    {
        await _turn.WaitAsync();
        try
        {
            return await work();
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>A customer, consumer or subscription changed: usage that was nobody's may be somebody's now, and is
    /// looked at again at the next draining.</summary>
    public void Reattribute() => _attribution.Forget();

    /// <summary>Deletes segments of the journal that nothing needs any more: drained for two minutes, and archived.
    /// </summary>
    /// <param name="archived">Everything before it stands in the archive.</param>
    public void Truncate(ulong archived)
    {
        var horizon = Catalog.Micros.Now(_clocks.Business) - KeepMicros;
        lock (_marks)
        {
            while (_marks.TryPeek(out var mark) && mark.At < horizon)
            {
                _marks.Dequeue();
                _old = mark.Position;
            }

            _journal!.TruncateBefore(Math.Min(_old, archived));
        }
    }

    /// <summary>Makes the filters of days that are over, so that few of them are asked for an event. Draining goes on
    /// meanwhile.</summary>
    public Task SealEventsAsync(CancellationToken cancel) => EventFilters.SealAsync(
        _database, EventIdentities.DayOf(Catalog.Micros.Now(_clocks.Business)), cancel);

    public void Dispose() => _turn.Dispose();

    /// <summary>Drains up to where the journal begins out of the archive.</summary>
    private async Task CatchUpFromAsync(UsageArchive archive)
    {
        using var records = await archive.RecordsAsync(_position);
        while (await DrainBatchAsync(records.Read))
        {
        }
    }

    /// <summary>One transaction of records.</summary>
    /// <returns>Whether there may be more.</returns>
    private async Task<bool> DrainBatchAsync(ReadRecords read)
    {
        if (!_known) await LoadAsync();
        var (position, more) = (_position, true);
        if (ReadWhole(read, ref position, ref more) == 0) return false;
        var outside = new OutsideUsages();
        var batch = await WriteAsync(async db =>
        {
            // from the start again, should the store run this a second time
            (position, more) = (_position, true);
            outside.Clear();
            var sums = await RollupStore.BatchAsync(db, _id, _sums);
            var (records, others) = (0, 0);
            while (more && records < MostRecords && others < MostOutside && sums.Sums.Count < MostRows)
            {
                var count = ReadWhole(read, ref position, ref more);
                records += count;
                foreach (ref readonly var record in _batch.AsSpan(0, count)) sums.AddCall(record);
                others += await AddOutsideAsync(db, count, (sums, outside));
            }

            _outside += others;

            await RollupStore.AddAsync(db, sums, Catalog.Micros.Now(_clocks.Business));
            await OpenAdmissions.AddAsync(db, _id, sums.Opened);
            await OpenAdmissions.CloseAsync(db, _id, sums.Closed);
            await MoveAsync(db, _position, position);
            return sums;
        });
        foreach (var (sequence, admission) in batch.Opened) _open[sequence] = admission;
        foreach (var sequence in batch.Closed) _open.Remove(sequence);
        Volatile.Write(ref _position, position);
        Mark(position);
        outside.TellTo(OnOutsideUsage);
        return more;
    }

    /// <summary>Fills the batch with records of whole events.</summary>
    /// <param name="read">Where from.</param>
    /// <param name="position">Moved behind what was read.</param>
    /// <param name="more">False when nothing else is there now.</param>
    private int ReadWhole(ReadRecords read, ref ulong position, ref bool more)
    {
        var count = read(ref position, _batch);
        var whole = EventGroups.Whole(_batch.AsSpan(0, count), position);

        // a batch that was cut short is followed by another like a full one
        more = count == BatchSize;
        if (whole < count) position = _batch[whole].Sequence;
        return whole;
    }

    /// <summary>Reads where the store is: the position, and the admissions that wait for their settlement.</summary>
    private async Task LoadAsync()
    {
        await _database.ReadAsync(async db =>
        {
            var id = (long)_id;
            _position = (ulong)await db.ExecuteScalarAsync<long>(
                "select position from journals where id = @id", new { id });
            _open.Clear();
            foreach (var (sequence, admission) in await OpenAdmissions.ReadAsync(db, _id)) _open[sequence] = admission;
            return 0;
        });
        _known = true;
    }

    /// <summary>Nobody but who drains this journal compares these rows before writing, so it waits for no other writer.
    /// </summary>
    private async Task<T> WriteAsync<T>(Func<DbConnection, Task<T>> write)
    {
        _known = false;
        var result = await _database.WriteAsync(Turn.OfJournal(_id), write);
        _known = true;
        return result;
    }

    /// <summary>Notes how far it was drained by when; of one instant the first is enough, since a clock may stand.</summary>
    private void Mark(ulong position)
    {
        var now = Catalog.Micros.Now(_clocks.Business);
        lock (_marks)
            if (_marks.Count == 0 || _marks.Last().At != now) _marks.Enqueue((now, position));
    }

    /// <summary>Admissions of processes that are dead: they count against limits and bill nothing.</summary>
    /// <param name="underWay">Those that may still settle.</param>
    internal async Task CloseUnknownAsync(IReadOnlySet<ulong> underWay)
    {
        var dead = _open.Where(o => !underWay.Contains(o.Key)).ToArray();
        if (dead.Length == 0) return;
        await WriteAsync(async db =>
        {
            var sums = await RollupStore.BatchAsync(db, _id);
            foreach (var (_, admission) in dead) sums.AddUnknown(admission);
            await RollupStore.AddAsync(db, sums, Catalog.Micros.Now(_clocks.Business));
            await OpenAdmissions.CloseAsync(db, _id, dead.Select(o => o.Key));
            return 0;
        });
        foreach (var (sequence, _) in dead) _open.Remove(sequence);
    }

    /// <summary>Compares and sets: a batch that was committed, though its commit was never answered, is not taken
    /// twice.</summary>
    private async Task MoveAsync(DbConnection db, ulong from, ulong to)
    {
        var moved = await db.ExecuteAsync(
            "update journals set position = @to, drained_at = @now where id = @id and position = @from", new
            {
                id = (long)_id,
                from = checked((long)from),
                to = checked((long)to),
                now = Catalog.Micros.Now(_clocks.Machine),
            });
        if (moved == 0)
            throw new StorageException($"The journal {Journal} is not at {from} in {_database.Path} any more.");
    }
}
