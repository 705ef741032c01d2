using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Tollgate.Bench;

/// <summary>Fills the store of a stopped server with identities of events, as if it had drained them in 35 days.</summary>
internal static class KnownIds
{
    private const int Days = 35, AtOnce = 250_000;

    /// <summary>Random identities in as many sorted pieces as a drain would have written them, so that pages are as full.
    /// </summary>
    /// <returns>Bytes that the store has grown by.</returns>
    public static async Task<long> FillAsync(string store, long ids, CancellationToken stop)
    {
        var before = new FileInfo(store).Length;
        var today = (int)(TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalDays;
        await using var db = new SqliteConnection($"Data Source={store};Pooling=false");
        await db.OpenAsync(stop);
        await RunAsync(db, "pragma synchronous = off", stop);
        await RunAsync(db, "pragma cache_size = -1048576", stop);
        for (var day = today - Days + 1; day <= today; day++)
        {
            await RunAsync(db, $"create table if not exists event_ids_{day} (high bigint not null, low bigint not null, " +
                "journal bigint not null, sequence bigint not null, duplicates bigint not null, primary key (high, low)) " +
                "without rowid", stop);
            await RunAsync(db, $"insert into event_days (day) values ({day}) on conflict do nothing", stop);
            for (var left = ids / Days; left > 0; left -= AtOnce)
                await RunAsync(db, string.Create(CultureInfo.InvariantCulture,
                    $"insert into event_ids_{day} with recursive n(i) as (select 1 union all select i + 1 from n where i < ") +
                    $"{Math.Min(left, AtOnce)}) select random(), random(), 2863311530, 1800000000000000 + {left} + i, 0 from n " +
                    "order by 1", stop);
        }

        await RunAsync(db, "pragma wal_checkpoint(truncate)", stop);
        return new FileInfo(store).Length - before;
    }

    private static async Task RunAsync(SqliteConnection db, string sql, CancellationToken stop)
    {
        await using var command = db.CreateCommand();
        command.CommandText = sql;
        command.CommandTimeout = 0;
        await command.ExecuteNonQueryAsync(stop);
    }
}
