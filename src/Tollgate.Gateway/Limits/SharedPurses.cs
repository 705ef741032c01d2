using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>By what this node shares the balances of its customers with others.</summary>
/// <param name="drained">Everything before this record of the journal is in the store.</param>
public sealed class SharedPurses(
    SharedCounters counters, Leases leases, UsageJournal journal, Func<ulong> drained, TimeProvider machine)
{
    /// <summary>A node that gave no sign of life for so long holds nothing that it could still use; microseconds.</summary>
    private const long Alive = 5 * Micros.PerSecond;

    /// <summary>The name of this node in cells: a restarted one goes on with its journal.</summary>
    internal string Journal { get; } = $"{journal.Id}";

    internal long JournalId => journal.Id;

    internal SharedCounters Counters => counters;

    internal Leases Leases => leases;

    internal ulong Next => journal.NextSequence;

    /// <summary>The last record that the store has.</summary>
    internal ulong Stored => drained() - 1;

    internal long AliveSince => Micros.Now(machine) - Alive;

    /// <summary>Takes the base of a customer over, or makes one. Set by the table.</summary>
    internal Func<int, Task> JoinAsync { get; set; } = _ => Task.CompletedTask;

    internal IEnumerable<HeldRow> SharesOfOthers(IReadOnlyDictionary<string, string> shares) =>
        shares.Where(s => s.Key != Journal).SelectMany(s => PurseShare.Read(s.Value));
}
