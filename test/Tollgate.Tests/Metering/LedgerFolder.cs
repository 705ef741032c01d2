using Dapper;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Metering;

/// <summary>A data folder with the smallest segments, so that a few dozen calls fill one: journal, store and archive
/// put together as a node does, without a node.</summary>
internal sealed class LedgerFolder : IAsyncDisposable
{
    /// <summary>Calls that fill a segment.</summary>
    public const int CallsInSegment = JournalHome.SmallSlots / 2;

    private UsageJournal? _journal;
    private Database? _database;
    private int _calls;

    public string Path { get; } = Directory.CreateTempSubdirectory("ledger-").FullName;

    public string ArchiveFolder => System.IO.Path.Combine(Path, "archive");

    public string JournalFolder => System.IO.Path.Combine(Path, "journal");

    public string Store => System.IO.Path.Combine(Path, "tollgate.db");

    public FakeTimeProvider Clock { get; } = new(new DateTimeOffset(2026, 1, 10, 0, 0, 0, TimeSpan.Zero));

    public Clocks Clocks => new(Clock, Clock);

    public UsageJournal Journal => _journal!;

    public Database Database => _database!;

    public UsageArchive Archive { get; private set; } = null!;

    public UsageDrain Drain { get; private set; } = null!;

    public async Task OpenAsync(ArchiveOptions? archive = null)
    {
        Clock.Advance(TimeSpan.FromSeconds(1));
        _journal = UsageJournal.Open(JournalFolder, JournalHome.Small with { KeepSealedSegments = 0 }, Clock);
        _database = Database.Open(TestDatabase.Migrated(Store));
        Archive = new UsageArchive(_journal, _database, Clocks, ArchiveFolder, archive ?? new ArchiveOptions());
        Drain = new UsageDrain(_journal, _database, Clocks, NoTermsAsync);
        await SqlAsync("insert into operation_keys (key, api, operation, endpoint) values (1, 'shop', 'one', '/v1/one'), " +
            "(2, 'shop', 'two', '/v1/two'), (3, 'shop', 'three', '/v1/three'), (4, 'shop', 'four', '/v1/four') " +
            "on conflict do nothing");
        await Archive.StartAsync();
        await Drain.RecoverAsync(Archive);
    }

    public async Task CloseAsync()
    {
        if (_journal is null) return;
        Archive.Dispose();
        Drain.Dispose();
        _journal.Dispose();
        await _database!.DisposeAsync();
        (_journal, _database) = (null, null);
    }

    /// <summary>The process dies: its files are as they were, and nothing settles the calls that are under way.</summary>
    public async Task KillAsync(params (ulong Sequence, Admission Admission)[] underWay)
    {
        var left = Directory.CreateTempSubdirectory("killed-").FullName;
        foreach (var file in Directory.GetFiles(JournalFolder).Where(f => !f.EndsWith(".lock", StringComparison.Ordinal)))
            File.Copy(file, System.IO.Path.Combine(left, System.IO.Path.GetFileName(file)));
        var store = System.IO.Path.Combine(left, "store");
        SqliteCopy.Take(Store, store);
        foreach (var call in underWay) Settle(call);
        await CloseAsync();
        SqliteConnection.ClearAllPools();
        Directory.Delete(JournalFolder, recursive: true);
        foreach (var suffix in new[] { "", "-wal", "-shm" }) File.Delete(Store + suffix);
        File.Move(store, Store);
        Directory.Move(left, JournalFolder);
    }

    /// <summary>Calls of ten consumers, a second apart, each fifth refused by the upstream.</summary>
    public void Call(int calls)
    {
        for (var i = 0; i < calls; i++)
        {
            Clock.Advance(TimeSpan.FromSeconds(1));
            Settle(Admit());
        }
    }

    public (ulong Sequence, Admission Admission) Admit()
    {
        while (!Journal.TryReserve()) Thread.Yield();
        var number = _calls++;
        var admission = new Admission
        {
            AdmittedAt = Micros.Now(Clock),
            Entitlement = 1 + (number % 3),
            Period = number % 2,
            Consumer = 1 + (number % 10),
            Operation = 1 + (number % 4),
            Credential = 1 + (number % 10),
            Method = (byte)(1 + (number % 3)),
        };
        return (Journal.AppendAdmitted(admission).Sequence, admission);
    }

    public void Settle((ulong Sequence, Admission Admission) call) => Journal.AppendSettled(new Settlement
    {
        AdmissionSequence = call.Sequence,
        Admission = call.Admission,
        Status = call.Admission.Consumer % 5 == 0 ? (ushort)503 : (ushort)200,
        Billable = call.Admission.Consumer % 5 != 0,
        Quantity = 1,
        LatencyMicros = 100 + (uint)call.Sequence % 1_000,
    });

    /// <summary>Drains, lets two minutes pass, archives, and deletes what was archived.</summary>
    public async Task ArchiveAsync()
    {
        await Drain.CatchUpAsync();
        await Archive.RunAsync(Drain.Position);
        Clock.Advance(TimeSpan.FromMinutes(3));
        Drain.Truncate(Archive.Archived);
    }

    public Task<Verified> VerifyAsync() => new Verification(Path, Clocks, NoTermsAsync).RunAsync();

    /// <summary>Admitted and billable calls of all rollups.</summary>
    public async Task<(long Admitted, long Quantity, long Unknown)> SumsAsync()
    {
        await Drain.CatchUpAsync();
        return await Database.ReadAsync(db => db.QuerySingleAsync<(long, long, long)>(
            "select cast(coalesce(sum(admitted), 0) as bigint), cast(coalesce(sum(quantity), 0) as bigint), " +
            "cast(coalesce(sum(unknown), 0) as bigint) from rollups"));
    }

    public Task SqlAsync(string sql) => Database.WriteAsync(db => db.ExecuteAsync(sql));

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        SqliteConnection.ClearAllPools();
        Directory.Delete(Path, recursive: true);
    }

    private static Task<IReadOnlyList<Entitlement>> NoTermsAsync(System.Data.Common.DbConnection db, long customer) =>
        Task.FromResult<IReadOnlyList<Entitlement>>([]);
}
