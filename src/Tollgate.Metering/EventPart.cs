using System.Data.Common;
using Dapper;

namespace Tollgate.Metering;

/// <summary>
/// A table of identities of events. A day begins with one; when it is full it gets its filter and is never written to again,
/// and the day goes on in another. So an event that is new changes pages of a small table, however many came before it.
/// </summary>
/// <param name="Number">Of the table.</param>
/// <param name="Identities">How many were written to it since it was made by this version or a newer one.</param>
/// <param name="Filtered">How many its filter knows; -1 without one.</param>
internal sealed record EventPart(int Number, long Identities, long Filtered)
{
    /// <summary>Of the first parts of a day: 24 MB in SQLite, which a drain keeps in memory.</summary>
    public const int Rows = 524_288;

    // days end before 2,932,897, with the year 9999
    private const int Step = 4_000_000;

    public int Day => DayOf(Number);

    public bool IsSealed => Filtered >= 0;

    public static int DayOf(long number) => (int)(number % Step);

    /// <summary>The part of a day that follows this one; of a day without any it is the day.</summary>
    public static int Next(EventPart? last, int day) => last is null ? day : last.Number + Step;

    /// <summary>A part of a very large day is a quarter of what the day has: parts to ask grow with its logarithm.</summary>
    public static long RowsOf(long ofDay, int rows) => Math.Max(rows, ofDay / 4);

    /// <summary>Makes its table.</summary>
    public static async Task CreateAsync(DbConnection db, int number)
    {
        await db.ExecuteAsync($"create table if not exists {EventIdentities.TableOf(number)} (high bigint not null, " +
            "low bigint not null, journal bigint not null, sequence bigint not null, duplicates bigint not null, " +
            $"primary key (high, low)){Storage.Sql.Clustered(db)}");
        await db.ExecuteAsync("insert into event_days (day) values (@number) on conflict do nothing", new { number });
    }

    /// <summary>Notes how many more it has.</summary>
    public static Task GrowAsync(DbConnection db, int number, long by) => db.ExecuteAsync(
        "update event_days set identities = identities + @by where day = @number", new { number, by });
}
