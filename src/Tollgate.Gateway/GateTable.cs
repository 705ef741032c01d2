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
public sealed class GateTable(Database database, Publisher publisher) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly ConcurrentDictionary<KeyHash, CredentialEntry> _credentials = new();
    private readonly ConcurrentDictionary<int, ConsumerEntry> _consumers = new();
    private volatile GateSnapshot _snapshot = GateSnapshot.Empty;

    public GateSnapshot Snapshot => _snapshot;

    public CredentialEntry? Find(ReadOnlySpan<byte> hash) =>
        _credentials.GetValueOrDefault(MemoryMarshal.Read<KeyHash>(hash));

    public ConsumerEntry? FindConsumer(int key) => _consumers.GetValueOrDefault(key);

    /// <summary>Reads every consumer, credential and entitlement, and compiles what is published.</summary>
    public async Task LoadAsync()
    {
        _snapshot = GateSnapshot.Compile(publisher.Current);
        await database.ReadAsync(async db =>
        {
            var entitlements = (await EntitlementStore.AllAsync(db)).ToLookup(e => (long)e.CustomerKey);
            foreach (var row in await db.QueryAsync<ConsumerRow>(
                "select key, id, username, custom_id, customer_key, managed_by, created_at from consumers"))
                Put(row, entitlements);
            foreach (var row in await db.QueryAsync<CredentialRow>(
                "select key, id, consumer_key, hash, hint, managed_by, created_at, expires_at, revoked_at " +
                "from credentials"))
                Put(row);
            return 0;
        });
    }

    /// <summary>Counts what was admitted before this process, so that a restart gives nobody a second window.</summary>
    public void Restore(IEnumerable<PastAdmissions> past)
    {
        foreach (var p in past)
        {
            if (!_consumers.TryGetValue(p.Consumer, out var consumer)) continue;
            var terms = Array.Find(consumer.Entitlements, e => e.Key == p.Entitlement);
            terms?.Counters.Restore(p.Unit, p.At, p.Admitted);
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

    public void Dispose() => _turn.Dispose();

    private Task CompileAsync()
    {
        _snapshot = GateSnapshot.Compile(publisher.Current);
        return Task.CompletedTask;
    }

    private async Task<int> ReloadCustomerAsync(DbConnection db, long customerKey)
    {
        var keys = await db.QueryAsync<long>(
            "select key from consumers where customer_key = @customerKey", new { customerKey });
        foreach (var key in keys.AsList()) await ReloadAsync(db, key);
        return 0;
    }

    private async Task<int> ReloadAsync(DbConnection db, long consumerKey)
    {
        var row = await ConsumerStore.FindAsync(db, consumerKey);
        var credentials = row is null ? [] : await ConsumerStore.CredentialsAsync(db, consumerKey);
        if (row is not null)
        {
            var terms = row.CustomerKey is { } customer ? await EntitlementStore.OfCustomerAsync(db, customer) : [];
            Put(row, terms.ToLookup(e => (long)e.CustomerKey));
        }

        if (!_consumers.TryGetValue((int)consumerKey, out var consumer)) return 0;
        var gone = consumer.Hashes;
        consumer.Hashes = [];
        foreach (var credential in credentials) Put(credential);
        foreach (var hash in gone.Except(consumer.Hashes))
        {
            // a key that moved to another consumer is that one's now
            if (_credentials.TryGetValue(hash, out var entry) && ReferenceEquals(entry.Consumer, consumer))
                _credentials.TryRemove(KeyValuePair.Create(hash, entry));
        }

        if (row is null) _consumers.TryRemove((int)consumerKey, out _);
        return 0;
    }

    private void Put(ConsumerRow row, ILookup<long, Entitlement> entitlements)
    {
        var entry = _consumers.GetOrAdd((int)row.Key, _ => new ConsumerEntry((int)row.Key, row.Id, row.Username, row.CustomId));
        entry.Entitle(row.CustomerKey is { } customer ? entitlements[customer] : []);
    }

    private void Put(CredentialRow row)
    {
        if (!_consumers.TryGetValue((int)row.ConsumerKey, out var consumer)) return;
        var hash = MemoryMarshal.Read<KeyHash>(row.Hash);
        consumer.Hashes = [.. consumer.Hashes, hash];
        _credentials[hash] = new CredentialEntry(
            (int)row.Key, row.Id, consumer, row.RevokedAt is not null, row.ExpiresAt ?? long.MaxValue);
    }
}

/// <summary>32 bytes of a hash as a key of the table, compared as four words.</summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct KeyHash(ulong A, ulong B, ulong C, ulong D)
{
    // the bytes of a keyed hash are random already
    public override int GetHashCode() => (int)A;
}
