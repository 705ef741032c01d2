using Dapper;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>Fills the store of a stopped server with identities of events, as if it had drained them in 35 days.</summary>
internal static class KnownIds
{
    private const int Days = 35, AtOnce = 65_536;

    /// <summary>Random identities in parts as large as a drain makes them, each in several sorted pieces, so that pages are as
    /// full; all but the last parts of today and yesterday with their filters.</summary>
    /// <returns>Bytes that the store has grown by.</returns>
    public static async Task<long> FillAsync(string store, long ids, CancellationToken stop)
    {
        await using var database = Database.Open(store);
        var before = await BytesAsync(database);
        var today = (int)(TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalDays;
        for (var day = today - Days + 1; day <= today; day++)
        {
            var last = (EventPart?)null;
            for (var left = ids / Days; left > 0; left -= last.Identities)
                last = await PartAsync(database, EventPart.Next(last, day), Math.Min(left, EventPart.Rows), day < today - 1, stop);
        }

        return await BytesAsync(database) - before;
    }

    private static Task<EventPart> PartAsync(Database database, int number, long rows, bool isOver, CancellationToken stop) =>
        database.WriteAsync(Storage.Turn.OfEvents, async db =>
        {
            await Sql.WidenAsync(db);
            await EventPart.CreateAsync(db, number);
            for (var done = 0L; done < rows; done += AtOnce)
                await db.ExecuteAsync($"insert into {EventIdentities.TableOf(number)} (high, low, journal, sequence, duplicates) " +
                    $"select h, l, 2863311530, {1_800_000_000_000_000 + number * 1_000_000L + done} + i, 0 from " +
                    $"({Random(database.IsEmbedded, Math.Min(AtOnce, rows - done))}) as r order by h, l");
            await EventPart.GrowAsync(db, number, rows);
            if (isOver || rows == EventPart.Rows) await EventFilters.SealAsync(db, number);
            return new EventPart(number, rows, -1);
        }, stop);

    /// <summary>Rows of two random numbers and their own.</summary>
    private static string Random(bool embedded, long rows) => embedded
        ? $"with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) select random() as h, random() as l, i from n"
        : "select ('x' || substr(m, 1, 16))::bit(64)::bigint as h, ('x' || substr(m, 17))::bit(64)::bigint as l, i " +
            $"from (select md5(random()::text || i) as m, i from generate_series(1, {rows}) as n (i)) as r";

    private static Task<long> BytesAsync(Database database) => database.ReadAsync(db => db.ExecuteScalarAsync<long>(database.IsEmbedded
        ? "select p.page_count * s.page_size from pragma_page_count p, pragma_page_size s"
        : "select pg_database_size(current_database())"));
}
