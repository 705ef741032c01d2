using Dapper;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>The SQL of targets that are not counted any more.</summary>
internal static class ParkedStore
{
    /// <summary>Those that are parked, and those that were.</summary>
    public static Task<IReadOnlyList<ParkedTarget>> ReadAsync(Database database, long source) =>
        database.ReadAsync<IReadOnlyList<ParkedTarget>>(async db => 
            [.. (await db.QueryAsync<(string Target, long At, string Why, long ReleasedAt)>(
                "select target, at, why, released_at from parked_targets where source = @source order by target", new { source }))
                .Select(r => new ParkedTarget(r.Target, r.At, r.Why) { ReleasedAt = r.ReleasedAt })]);

    public static Task AddAsync(Database database, long source, IEnumerable<ParkedTarget> parked) =>
        database.WriteAsync(db => db.ExecuteAsync("insert into parked_targets (source, target, at, why) values " +
            "(@source, @Target, @At, @Why) on conflict (source, target) do update set at = excluded.at, why = excluded.why, " +
            "released_at = 0",
            parked.Select(p => new { source, p.Target, p.At, p.Why })));

    /// <summary>Their series begin again at their next samples after an instant.</summary>
    public static Task ReleaseAsync(Database database, long source, IReadOnlyCollection<ParkedTarget> released, long at) =>
        database.WriteAsync(async db =>
        {
            var names = released.Select(r => r.Target).ToHashSet(StringComparer.Ordinal);
            var series = await db.QueryAsync<(long Key, string Labels)>(
                "select key, labels from counter_series where source = @source", new { source });
            await db.ExecuteAsync("update counter_series set at = 0, value = 0 where key = @Key", series
                .Where(s => names.Contains(s.Labels) || (SeriesLabels.Of(s.Labels).Target is { } target && names.Contains(target)))
                .Select(s => new { s.Key }));
            await db.ExecuteAsync("update parked_targets set released_at = @at where source = @source and target = @Target",
                released.Select(r => new { source, r.Target, at }));
        });
}
