using Microsoft.Extensions.Logging;
using Prometheus;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.Admin;
using Tollgate.Config.File;
using Tollgate.Gateway;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Web;

namespace Tollgate;

/// <summary>
/// The rooms put together over one data folder, without any port: everything that a process owns, opened in the order
/// in which it is needed and closed in reverse.
/// </summary>
public sealed partial class TollgateNode : IAsyncDisposable
{
    private static readonly TimeSpan s_drainEvery = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_archiveEvery = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_beatEvery = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_billEvery = TimeSpan.FromSeconds(10);

    private const int ManyCredentials = 50_000;

    private static readonly JournalOptions s_journal = new();

    private readonly CancellationTokenSource _stopping = new();
    private readonly ILogger _log;
    private readonly List<Task> _loops = [];
    private readonly WorkThreads _background = new("background", 16);
    private readonly Peers _peers;
    private readonly BillingMetrics _billingMetrics;
    private readonly Counter _reloads;
    private readonly Gauge _refusing;

    // replaced whole by each run
    private IReadOnlySet<Problem> _parked = new HashSet<Problem>();

    private TollgateNode(TollgateOptions options, Clocks clocks, Opened opened, ILogger log)
    {
        Options = options;
        Clocks = clocks;
        _log = log;
        (Database, Journal, Keys) = opened;
        Feed = new ChangeFeed(clocks.Machine);
        Publisher = new Publisher(Database, Feed);
        Drain = new UsageDrain(Journal, Database, clocks, EntitlementStore.OfCustomerAsync);
        Archive = new UsageArchive(
            Journal, Database, clocks, Path.Combine(options.Data, DataFolder.Archive), options.Archive);
        Calls = new CallSearch(Archive, Journal, Database);
        Table = new GateTable(Database, Publisher, clocks.Business, Drain.CatchUpAsync)
        {
            Addresses = new AddressBudget(options.MaxAddresses), Secrets = new TokenSecrets(Keys),
        };
        Intake = new EventIntake(Journal, Database, clocks.Business, new EventOptions());
        Counters = new CounterIntake(Journal, Database, Drain, clocks, log);
        Config = new ConfigStore(Database, clocks.Business);
        Consumers = new ConsumerStore(Database, clocks.Business);
        AdminTokens = new AdminTokenStore(Database, Keys, clocks.Business);
        Audit = new AuditLog(Database, clocks.Business);
        Customers = new CustomerStore(Database, clocks.Business);
        Subscriptions = new SubscriptionStore(Database, clocks.Business);
        Billing = new BillingRun(Database, row => row.ToPlanVersion(), Drain.CatchUpAsync,
            new BillingOptions { CollectionWindow = options.CollectionWindow, LookBack = options.LatePeriods })
        {
            Others = () => _peers!.OthersAsync(),
        };
        Files = new ConfigFiles(Database, Config, Publisher, Feed, Subscriptions, Audit, clocks.Business, Billing);
        Registry = Metrics.NewCustomRegistry();
        _billingMetrics = new BillingMetrics(Registry);
        var metrics = Metrics.WithCustomRegistry(Registry);
        _reloads = metrics.CreateCounter(
            "tollgate_config_reloads_total", "Times that the configuration file was read again, by outcome.", "outcome");
        _refusing = metrics.CreateGauge(
            "tollgate_config_refused", "1 while the configuration file has faults, and what was read before it is in force.");
        _tableBehind = metrics.CreateGauge("tollgate_table_behind",
            "1 while the table that a node of several keeps, to start by without its store, lacks a change.");
        if (!Database.IsEmbedded) _tableBehind.Set(1);
        _peers = new Peers(this, log);
        GateMetrics = new GateMetrics(Registry);
        Table.Unrecorded = new UnrecordedCalls(Database, GateMetrics, Journal.Id);
        GateMetrics.Watch(Registry, Table.Addresses);
        LedgerMetrics.Register(Registry, Journal, Drain, Archive);
        LedgerMetrics.Register(Registry, Counters);
        LedgerMetrics.Register(Registry, Intake);
    }

    /// <summary>Where requests of the admin port are served.</summary>
    internal WorkThreads AdminThreads { get; } = new("admin", 16);

    public TollgateOptions Options { get; }

    public Clocks Clocks { get; }

    public Database Database { get; }

    public UsageJournal Journal { get; }

    public ApiKeys Keys { get; }

    public ChangeFeed Feed { get; }

    public Publisher Publisher { get; }

    public GateTable Table { get; }

    public UsageDrain Drain { get; }

    public UsageArchive Archive { get; }

    public CallSearch Calls { get; }

    public EventIntake Intake { get; }

    /// <summary>Usage that is read from Prometheus.</summary>
    public CounterIntake Counters { get; }

    public ConfigStore Config { get; }

    public ConsumerStore Consumers { get; }

    public AdminTokenStore AdminTokens { get; }

    public AuditLog Audit { get; }

    public CustomerStore Customers { get; }

    public SubscriptionStore Subscriptions { get; }

    public BillingRun Billing { get; }

    /// <summary>What the file changed at this start; none without a file.</summary>
    public AppliedFile? Applied { get; private set; }

    public SystemCurrency Currency { get; } = new();

    public CollectorRegistry Registry { get; }

    public GateMetrics GateMetrics { get; }

    /// <summary>
    /// Opens the data folder, applies the file, and loads the gate. When it throws, nothing is running; a file with a
    /// fault has changed nothing.
    /// </summary>
    /// <exception cref="StartupException">What is wrong, in words for the operator.</exception>
    /// <param name="options">How it is started.</param>
    /// <param name="log">What an operator should hear.</param>
    /// <param name="machine">Machine time; the system's when null.</param>
    /// <param name="check">What of a file only the caller knows to be impossible.</param>
    public static async Task<TollgateNode> OpenAsync(
        TollgateOptions options, ILogger log, TimeProvider? machine = null,
        Func<ConfigFile, IEnumerable<Problem>>? check = null)
    {
        machine ??= TimeProvider.System;
        CheckSharing(options);
        var file = options.ConfigFile is { } path ? Read(path) : null;
        if (file is { Ok: false }) throw new StartupException(string.Join(Environment.NewLine, file.Problems));
        var clocks = new Clocks(
            options.TestClock is { } start ? new TestClock(start.ToUniversalTime()) : machine, machine);
        var node = new TollgateNode(options, clocks, Opened.Open(options, machine), log);
        node.Files.Check = f => [.. WithoutKeys(f), .. WithoutCertificates(f), .. check?.Invoke(f) ?? []];
        try
        {
            await node.StartAsync(file?.Value);
            return node;
        }
        catch (Exception e) when (e is StorageException or InvalidDataException)
        {
            await node.DisposeAsync();
            throw new StartupException(e.Message, e);
        }
        catch
        {
            await node.DisposeAsync();
            throw;
        }
    }

    /// <summary>The background work that business time brings: draining, then issuing what is due. Also what a move
    /// of the test clock waits for.</summary>
    public async Task WorkAsync()
    {
        // first, so that a billing run that fails does not let the journal grow
        Drain.Truncate(Archive.Archived);
        var report = await Billing.RunAsync(await _peers.HorizonAsync(Micros.Now(Clocks.Business)), _stopping.Token);
        if (_billingMetrics.Note(report) is > 0 and var late)
            _log.LogWarning("Billing: usage of {Count} periods came too late for any invoice; see GET /v1/late_usage.", late);
        foreach (var customer in await Billing.HoldAsync(Micros.Now(Clocks.Business)))
            await Feed.AnnounceAsync(new Change.OfCustomer((int)customer));
        foreach (var customer in await Billing.CreditAsync(Micros.Now(Clocks.Business)))
        {
            await Feed.AnnounceAsync(new Change.OfCustomer((int)customer));
            await Billing.ToldAsync(customer);
        }

        foreach (var customer in await SpendCaps.RenewAsync(Database, Micros.Now(Clocks.Business)))
        {
            await Feed.AnnounceAsync(new Change.OfCustomer((int)customer));
            await SpendCaps.ToldAsync(Database, customer);
        }

        var before = Interlocked.Exchange(ref _parked, report.Parked.ToHashSet());
        foreach (var problem in report.Parked.Where(p => !before.Contains(p)))
            _log.LogError("Billing: not invoiced until it is mended: {Problem}", problem);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        for (var i = 0; i < _loops.Count; i++) await _loops[i]; // one of them may begin others
        await EndSharingAsync();
        if (_loops.Count > 0 && Database.IsAttached && await GuardAsync("draining at the stop", Drain.CatchUpAsync))
            await GuardAsync("leaving the store", _peers.LeaveAsync);
        if (_loops.Count > 0 && _joined && _tableChanged) await GuardAsync("keeping the table of the gate", KeepTableAsync);
        _tableFile?.Dispose();
        if (_loops.Count > 0) await GuardAsync("counting unrecorded calls", NoteUnrecordedAsync);
        Counters.Dispose();
        Journal.Dispose();
        Drain.Dispose();
        Archive.Dispose();
        Publisher.Dispose();
        _reloading.Dispose();
        Table.Dispose();
        await Database.DisposeAsync();
        _background.Dispose();
        AdminThreads.Dispose();
        _stopping.Dispose();
    }

    private async Task StartAsync(ReadConfig? file)
    {
        foreach (var finding in Journal.Recovery.Findings) _log.LogWarning("Journal: {Finding}", finding);
        if (Database.IsAttached) await StartOnStoreAsync(file);
        else await StartOnTableAsync();
        Drain.OnOutsideUsage = Table.Count;
        Feed.Listen(Table.OnChangeAsync);
        TakeSources();
        Feed.Listen(change =>
        {
            TableChanged();
            Drain.Reattribute();
            if (change is not Change.Publication) return Task.CompletedTask;
            TakeSources();
            return TakeCurrencyAsync();
        });
        Loop("flushing the journal", s_journal.FlushInterval, FlushAsync);
        if (Database.IsAttached) BeginWork();
        else _loops.Add(ReachStoreAsync());
        if (!Database.IsEmbedded) Loop("looking how old the news is", s_lookEvery, LookAsync);
        await FetchKeysAsync();
        Loop("fetching keys of issuers", s_beatEvery, FetchKeysAsync);
    }

    private async Task StartOnStoreAsync(ReadConfig? file)
    {
        await Installation.CheckAsync(Database, Keys);
        await Archive.StartAsync();
        await Drain.RecoverAsync(Archive);
        await _peers.BeginAsync(_stopping.Token);
        if (file is not null) await ApplyAtStartAsync(file);
        await TakeCurrencyAsync();
        await Publisher.RepublishAsync();
        await BeginSharingAsync(leases => _peers.MakeKnownAsync(leases, _stopping.Token));
        await Table.LoadAsync();
        await Table.RestoreAsync(Journal);
        if (Table.Credentials >= ManyCredentials) GiveBackMemory();
    }

    /// <summary>What reading a large store has left behind: some hundred megabytes that nobody needs again, and that the
    /// collector would keep for later.</summary>
    private static void GiveBackMemory() => GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);

    /// <summary>What is done again and again with the store.</summary>
    private void BeginWork()
    {
        Loop("draining", s_drainEvery, Drain.KeepUpAsync);
        Loop("reading counters", s_beatEvery, () => Counters.ReadAsync(_stopping.Token));
        Loop("making filters of events", s_archiveEvery, () => Drain.SealEventsAsync(_stopping.Token), atOnce: true);
        Loop("archiving calls", s_archiveEvery, () => Archive.RunAsync(Drain.Position), atOnce: true);
        _loops.Add(_peers.FollowAsync(_stopping.Token));
        Loop("a sign of life", s_beatEvery, _peers.BeatAsync);
        Loop("counting unrecorded calls", s_beatEvery, NoteUnrecordedAsync);
        Loop("billing", s_billEvery, WorkAsync);
        if (!Database.IsEmbedded) Loop("keeping the table of the gate", s_beatEvery, KeepTableAsync);
        _loops.Add(WatchAsync());
    }

    /// <summary>Begins a piece of work that <see cref="LoopAsync"/> repeats, on threads of its own.</summary>
    private void Loop(string what, TimeSpan every, Func<Task> work, bool atOnce = false) =>
        _loops.Add(_background.RunAsync(() => LoopAsync(what, every, work, atOnce)));

    /// <summary>Which events and counters are usage, out of what is published.</summary>
    private void TakeSources()
    {
        Intake.Types = EventTypesOf.Published(Publisher.Current);
        Counters.Sources = CounterSourcesOf.Published(Publisher.Current);
    }

    private Task FlushAsync()
    {
        Journal.Flush();
        return Task.CompletedTask;
    }

    /// <summary>Runs a piece of work again and again until the stop. A failure is said once when it begins and once
    /// when it ends; the work goes on, since the disk or the database may come back.</summary>
    /// <param name="what">For the log.</param>
    /// <param name="every">Machine time.</param>
    /// <param name="work">May fail.</param>
    /// <param name="atOnce">Also right away: a process that never lives as long does its part too.</param>
    private async Task LoopAsync(string what, TimeSpan every, Func<Task> work, bool atOnce = false)
    {
        using var timer = new PeriodicTimer(every, Clocks.Machine);
        var failing = false;
        try
        {
            if (atOnce) failing = !await GuardAsync(what, work);
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                var failed = !await GuardAsync(failing ? null : what, work);
                if (failing && !failed) _log.LogInformation("{What} works again.", what);
                failing = failed;
            }
        }
        catch (OperationCanceledException)
        {
            // the stop
        }
    }

    /// <param name="what">Null when the failure was said already.</param>
    private async Task<bool> GuardAsync(string? what, Func<Task> work)
    {
        try
        {
            await work();
            return true;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            if (what is not null) _log.LogError(e, "{What} failed; trying again.", what);
            return false;
        }
    }

    /// <summary>What a data folder holds, opened; a folder is one process's.</summary>
    private sealed record Opened(Database Database, UsageJournal Journal, ApiKeys Keys)
    {
        public static Opened Open(TollgateOptions options, TimeProvider machine)
        {
            try
            {
                DataFolder.Create(options.Data);
                return OpenIn(options, machine);
            }
            catch (Exception e) when (e is StorageException or IOException or InvalidDataException
                or UnauthorizedAccessException)
            {
                throw new StartupException(e.Message, e);
            }
        }

        /// <summary>A node that has run before can begin without its server.</summary>
        private static Database Reach(string server, string folder)
        {
            try
            {
                return Database.Open(server);
            }
            catch (StoreAwayException) when (HasTable(folder))
            {
                return Database.OpenLater(server);
            }
        }

        private static Opened OpenIn(TollgateOptions options, TimeProvider machine)
        {
            var folder = options.Data;
            var journal = UsageJournal.Open(
                Path.Combine(folder, DataFolder.Journal),
                s_journal.Within(options.JournalBytes) with { Durability = options.Durability }, machine);
            Database? database = null;
            try
            {
                database = options.Database is { } server ? Reach(server, folder)
                    : Database.Open(Path.Combine(folder, DataFolder.Store));
                return new Opened(database, journal, ApiKeys.Open(Path.Combine(folder, DataFolder.InstallKey)));
            }
            catch
            {
                database?.DisposeAsync().AsTask().GetAwaiter().GetResult();
                journal.Dispose();
                throw;
            }
        }
    }
}
