using Tollgate.Storage;

namespace Tollgate.Tests.Storage;

public sealed class WatchedTablesTests
{
    // the first never changes, the second is looked at once a second; the others get rows only when new objects are published
    private static readonly string[] s_unwatched = ["installation", "journals", "meter_keys", "operation_keys"];

    [Fact]
    public void Every_table_that_the_gate_is_loaded_from_is_watched_for_changes_of_other_nodes() => Assert.Equal(
        TollgateNode.GateTables.Except(s_unwatched).Order(StringComparer.Ordinal),
        PostgresChanges.Watched.Order(StringComparer.Ordinal));
}
