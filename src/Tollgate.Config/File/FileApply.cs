using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Config.File;

/// <summary>What applying a file has done; all of it is committed.</summary>
/// <param name="Plans">Every plan of the file, with the version that it is on now.</param>
public sealed record AppliedFile(
    IReadOnlyList<AppliedObject> Added, IReadOnlyList<AppliedObject> Changed, IReadOnlyList<AppliedObject> Removed,
    IReadOnlyList<AppliedPlan> Plans)
{
    /// <summary>The versions that were published by this.</summary>
    public IEnumerable<AppliedPlan> NewVersions => Plans.Where(p => p.IsNewVersion);

    /// <summary>Nothing differs from what was stored, so nothing has to be published again.</summary>
    public bool IsUnchanged => Added.Count + Changed.Count + Removed.Count == 0 && !NewVersions.Any();
}

/// <param name="Kind">One of <see cref="ConfigKind"/>.</param>
/// <param name="Before">The stored document, JSON; null for what is new.</param>
/// <param name="After">Null for what is gone.</param>
public sealed record AppliedObject(string Kind, string Name, string? Before, string? After)
{
    /// <summary>Which side managed it before, where the file took it over; else null.</summary>
    public ManagedBy? TakenFrom { get; init; }
}

/// <summary>
/// A plan of the file. When it says <see cref="Migration.Now"/>, running subscriptions on older versions are to be
/// moved to this one, whether it is new or not: so a move that a crash prevented happens at the next apply.
/// </summary>
public sealed record AppliedPlan(string Name, string PlanId, int Version, bool IsNewVersion, Migration Migrate);

/// <summary>Makes what is stored equal to a file: whole or not at all, and only what files made before.</summary>
public sealed class FileApply(Database database, ConfigStore store, TimeProvider clock)
{
    /// <summary>Applies the file in one transaction. The second time it changes nothing. The caller then publishes and
    /// moves subscriptions.</summary>
    /// <returns>Problems, and nothing applied, when a name is held by another side (<c>managed_elsewhere</c>) or a
    /// plan that is gone from the file has running subscriptions (<c>plan_in_use</c>), or a meter would mean something
    /// else (<c>meter_changed</c>).</returns>
    public Task<Result<AppliedFile>> ApplyAsync(ConfigFile file) => database.WriteAsync(db => ApplyAsync(db, file));

    /// <summary>The same inside of a transaction of the caller's.</summary>
    /// <param name="db">The transaction.</param>
    /// <param name="file">What is to be stored.</param>
    /// <param name="takeOver">Names that another side holds become the file's.</param>
    public async Task<Result<AppliedFile>> ApplyAsync(DbConnection db, ConfigFile file, bool takeOver = false)
    {
        var changes = FileChanges.Between(await ConfigStore.AllAsync(db), file, takeOver);
        var running = await EntitlementStore.RunningPlansAsync(db, Micros.Now(clock));
        Problem[] problems =
        [
            .. changes.Clashes, .. changes.Removed.SelectMany(r => InUse(r, running)),
            .. await MeterKeys.ClashesAsync(db, file.Meters),
        ];
        if (problems.Length > 0) return Result<AppliedFile>.Refused(problems);

        foreach (var row in changes.Removed) await ConfigStore.DeleteAsync(db, row);
        foreach (var (row, wanted) in changes.Changed)
        {
            if (row.Manager != ManagedBy.File) await ConfigStore.HandOverAsync(db, row, ManagedBy.File);
            await store.UpdateAsync(db, row, wanted.Document);
        }

        foreach (var wanted in changes.Added)
        {
            _ = await store.AddAsync(db, wanted.Kind, wanted.Name, ManagedBy.File, wanted.Document)
                ?? throw new InvalidOperationException($"There are two of the {wanted.Kind} {wanted.Name}.");
        }

        return new AppliedFile(
            [.. changes.Added.Select(w => new AppliedObject(w.Kind, w.Name, null, w.Document))],
            [.. changes.Changed.Select(c => new AppliedObject(c.Row.Kind, c.Row.Name, c.Row.Document, c.Wanted.Document)
            {
                TakenFrom = c.Row.Manager == ManagedBy.File ? null : c.Row.Manager,
            })],
            [.. changes.Removed.Select(r => new AppliedObject(r.Kind, r.Name, r.Document, null))],
            await PublishVersionsAsync(db, file));
    }

    private static IEnumerable<Problem> InUse(ConfigRow removed, IReadOnlyDictionary<string, int> running)
    {
        if (removed.Kind != ConfigKind.Plan) yield break;
        if (!running.TryGetValue(Publication.PlanIdOf(removed), out var count)) yield break;
        yield return new Problem(Code.PlanInUse, $"The plan '{removed.Name}' is gone from the file, and {count} of " +
            "its subscriptions run. Keep it in the file until they are cancelled or changed to another plan.",
            $"plans.{removed.Name}");
    }

    private async Task<AppliedPlan[]> PublishVersionsAsync(DbConnection db, ConfigFile file)
    {
        var ids = (await ConfigStore.AllAsync(db)).Where(r => r.Kind == ConfigKind.Plan)
            .ToDictionary(r => r.Name, Publication.PlanIdOf);
        var newest = await ConfigStore.LatestVersionsAsync(db);
        var plans = new List<AppliedPlan>();
        foreach (var plan in file.Plans)
        {
            var (id, prices, currency) = (ids[plan.Name], PriceWriter.Write(plan.Prices), file.Currency.Code);
            var (quotas, terms) = (QuotaWriter.Write(plan.Quotas), PlanTermsWriter.Write(plan.Terms));
            var version = newest.GetValueOrDefault(id);
            var published = version == 0 ? null : await ConfigStore.FindVersionAsync(db, id, version);
            var isNew = published is null || published.Currency != currency || published.Prices != prices
                || published.Quotas != quotas || published.Terms != terms;
            if (isNew) version = await store.AddVersionAsync(db, id, currency, prices, quotas, terms);
            plans.Add(new AppliedPlan(plan.Name, id, version, isNew, plan.Migrate));
        }

        return [.. plans];
    }
}
