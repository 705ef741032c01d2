using System.Collections.Concurrent;
using System.Data.Common;
using System.Runtime.InteropServices;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// All that the gate decides by, in memory: the snapshot of what is published, and the table of keys. Loaded at
/// start-up, then kept by the change feed; with the database down the gate goes on with what it has.
/// </summary>
/// <param name="catchUp">Carries what the journal holds into the store.</param>
/// <param name="business">For the windows of quotas that begin to be counted.</param>
public sealed partial class GateTable(
    Database database, Publisher publisher, TimeProvider business, Func<Task> catchUp) : IDisposable
{
    private readonly EntryPages<CustomerEntry> _customers = new();
    private readonly EntryPages<ConsumerEntry> _consumers = new();
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly ConcurrentDictionary<int, Pool> _alone = new();
    private KeyTable _credentials = new();
    private volatile GateSnapshot _snapshot = GateSnapshot.Empty;

    /// <summary>Client addresses that are counted for themselves, over all subscriptions; the rest of a subscription
    /// shares one count.</summary>
    public AddressBudget Addresses { get; init; } = new(AddressBudget.Usual);

    /// <summary>Of limits that nodes share; set before <see cref="LoadAsync"/>. Null where each counts for itself.</summary>
    public Leases? Leases { get; set; }

    /// <summary>Of balances that nodes share; set together with <see cref="Leases"/>.</summary>
    public SharedPurses? Purses
    {
        get;
        set
        {
            field = value;
            if (value is null) return;
            value.JoinAsync = RejoinAsync;
            value.Leases.Pools = () => Pools;
            value.Leases.FindIdle = tag => tag.StartsWith(SharedPurse.TagStart, StringComparison.Ordinal)
                && int.TryParse(tag.AsSpan(SharedPurse.TagStart.Length), out var key) ? FindCustomer(key)?.Shared : null;
        }
    }

    /// <summary>Whether what others change has not been heard for too long; each plan says what then happens.</summary>
    public bool IsStale { get; set; }

    /// <summary>Calls that pass though they cannot be written down; null: none does.</summary>
    public UnrecordedCalls? Unrecorded { get; set; }

    public GateSnapshot Snapshot => _snapshot;

    public CredentialEntry? Find(ReadOnlySpan<byte> hash) =>
        _credentials.Find(MemoryMarshal.Read<KeyHash>(hash));

    /// <summary>How many credentials there are.</summary>
    public int Credentials => _credentials.Count;

    public CustomerEntry? FindCustomer(int key) => _customers.Find(key);

    public ConsumerEntry? FindConsumer(int key) => _consumers.Find(key);

    private IEnumerable<Pool> Pools => _customers.Values.SelectMany(c => c.Entitlements)
        .Where(e => !e.Holder.IsEmpty).Select(e => e.Holder.Pool).Concat(_alone.Values);

    /// <summary>Where calls of a consumer with limits of its own are counted that belong to no subscription.</summary>
    internal Pool PoolOf(ConsumerEntry consumer) => _alone.GetOrAdd(consumer.Key,
        static (_, of) => new Pool(of.Table.Addresses, of.Consumer.Id, of.Table.Leases), (Table: this, Consumer: consumer));

    /// <summary>Counts what was admitted and billed before this process, so that a restart gives nobody a second window.
    /// Call it once, after <see cref="LoadAsync"/> and before the first call.</summary>
    /// <param name="journal">Has the last minutes.</param>
    /// <param name="copy">Read in place of the store, which is away: it knows what balances there are.</param>
    public async Task RestoreAsync(UsageJournal journal, Database? copy = null)
    {
        var now = Micros.Now(business);
        await new Restoring(copy ?? database, journal, _snapshot, now)
        {
            Alone = key => FindConsumer(key) is { } consumer ? PoolOf(consumer) : null,
        }.RunAsync([.. _customers.Values]);
        var loading = new PurseLoading(copy ?? database, copy is null ? catchUp : () => Task.CompletedTask, _snapshot, now, Purses)
        {
            IsOfCopy = copy is not null,
        };
        var store = copy ?? database;
        var balances = await store.ReadAsync(BalanceStore.AllAsync);
        foreach (var key in balances.Select(b => b.CustomerKey).Union(await store.ReadAsync(UnitGrantStore.CustomersAsync)))
            await loading.LoadAsync(CustomerOf(key), CustomerOf(key).Entitlements);
    }

    /// <summary>Counts what came from outside, and is in the store by now, in the quotas of the subscription.</summary>
    public void Count(OutsideUsage usage, long units)
    {
        if (FindCustomer(usage.Customer) is not { } customer) return;
        if (Array.Find(customer.Entitlements, e => e.Key == usage.Entitlement) is not { } entry) return;
        if (!entry.Holder.IsEmpty) entry.Holder.Pool.Count(usage.Meter, usage.Operation, usage.Bucket, new Spent(0, units));
        if (entry.Prices is not { } prices || _snapshot.FindMeter(usage.Meter)?.Meter is not { IsAdditive: true } meter) return;
        var charge = new Charge(entry.Key, usage.Period, prices, _snapshot.NameOf(usage.Operation) ?? "", 0)
        {
            Era = entry.Era,
            At = usage.Bucket,
        };
        var sequence = Purses?.Stored ?? 0;
        while (customer.Purse is { } purse && !purse.TryCount(charge, new More(meter.Name, meter.Unscaled(units)), sequence))
        {
            // another one is in force by now
        }
    }

    /// <summary>Takes a change over from the store; when it returns, calls are decided by it. Changes take turns, so
    /// that what was read first can never overwrite what was read later.</summary>
    public async Task OnChangeAsync(Change change)
    {
        await _turn.WaitAsync();
        try
        {
            await (change switch
            {
                Change.Publication => CompileAsync(),
                Change.OfConsumer c => database.ReadAsync(db => ReloadAsync(db, c.Key)),
                Change.OfCustomer c => database.ReadAsync(db => ReloadCustomerAsync(db, c.Key)),
                _ => throw new InvalidOperationException($"The gate does not know the change {change.GetType().Name}."),
            });
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose()
    {
        _turn.Dispose();
        Tokens.Dispose();
    }

    private Task CompileAsync()
    {
        var published = publisher.Current;
        Prepare(published);
        _snapshot = GateSnapshot.Compile(published, Tokens);
        return Task.CompletedTask;
    }

    /// <summary>What was used stays; a quota that nothing counted so far begins with what the store knows.</summary>
    private async Task<int> ReloadCustomerAsync(DbConnection db, long customerKey)
    {
        await EntitleAsync(db, (int)customerKey);
        var keys = await db.QueryAsync<long>(
            "select key from consumers where customer_key = @customerKey", new { customerKey });
        foreach (var key in keys.AsList()) await ReloadAsync(db, key, entitle: false);
        return 0;
    }

    private async Task EntitleAsync(DbConnection db, int customerKey)
    {
        var customer = CustomerOf(customerKey);
        var entries = customer.Compile(await EntitlementStore.OfCustomerAsync(db, customerKey));
        var seeding = new QuotaSeeding(database, catchUp, _snapshot, Micros.Now(business));
        await seeding.SeedAsync(entries);
        await new PurseLoading(database, catchUp, _snapshot, Micros.Now(business), Purses).LoadAsync(customer, entries);
        customer.Entitle(entries);
        seeding.Forget();
    }

    private async Task RejoinAsync(int customer)
    {
        await _turn.WaitAsync();
        try
        {
            await database.ReadAsync(async db =>
            {
                await EntitleAsync(db, customer);
                return 0;
            });
        }
        finally
        {
            _turn.Release();
        }
    }

    private CustomerEntry CustomerOf(int key) => _customers.GetOrAdd(key, k => new CustomerEntry(k, this));

    private async Task<int> ReloadAsync(DbConnection db, long consumerKey, bool entitle = true)
    {
        var row = await ConsumerStore.FindAsync(db, consumerKey);
        var credentials = row is null ? [] : await ConsumerStore.CredentialsAsync(db, consumerKey);
        // what was revoked is refused before anything else is asked of the store
        var known = FindConsumer((int)consumerKey) is not null;
        if (known) Replace((int)consumerKey, credentials);
        if (row is not null)
        {
            if (entitle && row.CustomerKey is { } customer) await EntitleAsync(db, (int)customer);
            Put(row);
        }

        if (!known) Replace((int)consumerKey, credentials);
        ReplaceSigners(consumerKey, row is null ? [] : await TokenCredentialStore.OfConsumerAsync(db, consumerKey));
        ReplaceGroups(consumerKey, row is null ? [] : await AccessGroupStore.OfConsumerAsync(db, consumerKey));
        if (row is null && _consumers.Find((int)consumerKey) is { } gone)
        {
            _consumers.Remove(gone.Key);
            _alone.TryRemove(gone.Key, out _);
            _names?.Remove(gone);
        }

        return 0;
    }

    /// <summary>Puts the credentials of a consumer in the place of those that it had: what one change costs, however many
    /// others there are.</summary>
    public void Replace(int consumerKey, IReadOnlyList<CredentialRow> credentials)
    {
        if (_consumers.Find(consumerKey) is not { } consumer) return;
        var before = consumer.Credentials;
        consumer.Credentials = null;
        foreach (var credential in credentials) Put(credential);
        // those that are still there have others in their places; a key that moved to another consumer is that one's now
        for (var gone = before; gone is not null; gone = gone.Next) _credentials.Remove(gone);
    }

    private void Put(ConsumerRow row) => Put((int)row.Key, row.Id, row.Username, row.CustomId, row.CustomerKey);

    private void Put(int key, string id, string username, string? customId, long? customer)
    {
        var entry = _consumers.GetOrAdd(key, k => new ConsumerEntry(k, id, username, customId));
        if (entry.Username != username || entry.CustomId != customId)
        {
            _names?.Remove(entry);
            entry.Rename(username, customId);
        }

        _names?.Put(entry);
        entry.Customer = customer is { } payer ? CustomerOf((int)payer) : null;
    }

    private void Put(CredentialRow row)
    {
        if (_consumers.Find((int)row.ConsumerKey) is { } consumer)
            Put(consumer, row.Hash, (int)row.Key, row.Id, row.RevokedAt is not null, row.ExpiresAt, row.SubscriptionId);
    }

    private void Put(
        ConsumerEntry consumer, byte[] hash, int key, string id, bool revoked, long? expiresAt, string? subscription)
    {
        var entry = CredentialEntry.New(key, MemoryMarshal.Read<KeyHash>(hash), id, consumer, revoked,
            expiresAt ?? long.MaxValue, subscription);
        entry.Next = consumer.Credentials;
        consumer.Credentials = entry;
        _credentials.Put(entry);
    }
}

/// <summary>32 bytes of a hash as a key of the table, compared as four words.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct KeyHash(ulong A, ulong B, ulong C, ulong D)
{
    // the bytes of a keyed hash are random already
    public override int GetHashCode() => (int)A;
}
