using System.Data.Common;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.Admin;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Web;

/// <summary>A configuration file that was read, with its text.</summary>
/// <param name="Name">Without a path: it is told to callers and kept.</param>
public sealed record ReadConfig(string Name, string Text, ConfigFile File);

/// <summary>What applying a file changes, or has changed.</summary>
/// <param name="Moved">Customers of whom subscriptions move to another version, now or at their renewal. Also without a new version:
/// a file may say later that those on older ones move.</param>
public sealed record ConfigChange(AppliedFile Applied, IReadOnlyList<VersionChange> Versions, int Moved);

/// <summary>A plan that gets another version of its terms.</summary>
/// <param name="Before">The version until now; null for the first.</param>
/// <param name="Running">Subscriptions that run on the plan.</param>
/// <param name="Moves">Whether and when they move to the new version.</param>
public sealed record VersionChange(string Plan, PlanVersionRow? Before, PlanVersionRow After, int Running, Migration Moves);

/// <summary>
/// Applies configuration files with all that follows from it: the file's text is kept, plans get versions, subscriptions
/// move when the file says so, each object is in the audit log, and the gate decides by the new state. In one
/// transaction: whole or not at all.
/// </summary>
public sealed class ConfigFiles(
    Database database, ConfigStore store, Publisher publisher, ChangeFeed feed, SubscriptionStore subscriptions,
    AuditLog audit, TimeProvider business, BillingRun billing)
{
    private readonly PlanMigration _migration = new(database, billing, subscriptions);

    private readonly FileApply _apply = new(database, store, business);
    private readonly PlanCurrencies _currencies = new(database, subscriptions);

    /// <summary>What only the process knows: APIs that it cannot serve.</summary>
    public Func<ConfigFile, IEnumerable<Problem>> Check { get; set; } = _ => [];

    /// <summary>What applying would change: it is done, and rolled back, so the two cannot differ.</summary>
    public async Task<Result<ConfigChange>> DiffAsync(ConfigFile file, bool takeOver)
    {
        try
        {
            return await database.WriteAsync<Result<ConfigChange>>(async db =>
            {
                var change = await ChangeAsync(db, file, takeOver);
                return change.Ok ? throw new DryRunException(change.Value.Change) : Refused(change.Problems);
            });
        }
        catch (DryRunException done)
        {
            return done.Change;
        }
    }

    /// <summary>Applies a file; when it returns, calls are decided by it. Inside of <see cref="OneWrite"/> that is so
    /// once it is committed.</summary>
    /// <param name="read">The file.</param>
    /// <param name="actor">As the audit log says it.</param>
    /// <param name="action">What was done, for the audit log.</param>
    /// <param name="takeOver">Names that another side holds become the file's.</param>
    public async Task<Result<ConfigChange>> ApplyAsync(ReadConfig read, string actor, string action, bool takeOver)
    {
        var result = await database.WriteAsync(async db =>
        {
            var changed = await ChangeAsync(db, read.File, takeOver);
            if (!changed.Ok) return changed;
            await KeepAsync(db, read, actor);
            foreach (var o in ObjectsOf(changed.Value.Change.Applied))
                await audit.AddAsync(db, actor, action, $"/v1/{o.Kind}s/{o.Name}", (o.Before, o.After));
            foreach (var v in changed.Value.Change.Versions)
                await audit.AddAsync(db, actor, action, $"/v1/plans/{v.Plan}/versions", (TextOf(v.Before), TextOf(v.After)));
            return changed;
        });
        if (!result.Ok) return Refused(result.Problems);
        var (change, moved) = result.Value;
        if (!change.Applied.IsUnchanged) await publisher.RepublishAsync();
        foreach (var customer in moved) await feed.AnnounceAsync(new Change.OfCustomer((int)customer));
        return change;
    }

    /// <summary>The file that was applied last, whoever brought it; null before the first.</summary>
    public Task<StoredFile?> StoredAsync() => database.ReadAsync(StoredFile.FindAsync);

    private async Task<Result<Changed>> ChangeAsync(DbConnection db, ConfigFile file, bool takeOver)
    {
        Problem[] problems = [.. Check(file), .. await _currencies.CheckAsync(db, file)];
        if (problems.Length > 0) return Result<Changed>.Refused(problems);
        var applied = await _apply.ApplyAsync(db, file, takeOver);
        if (!applied.Ok) return Result<Changed>.Refused(applied.Problems);
        var running = await EntitlementStore.RunningPlansAsync(db, Micros.Now(business));
        var versions = new List<VersionChange>();
        foreach (var plan in applied.Value.NewVersions)
        {
            versions.Add(new VersionChange(plan.Name,
                await ConfigStore.FindVersionAsync(db, plan.PlanId, plan.Version - 1),
                (await ConfigStore.FindVersionAsync(db, plan.PlanId, plan.Version))!,
                running.GetValueOrDefault(plan.PlanId), plan.Migrate));
        }

        var moved = new HashSet<long>();
        foreach (var plan in applied.Value.Plans.Where(p => p.Migrate != Migration.Never))
            moved.UnionWith((await _migration.ApplyAsync(
                db, (plan.PlanId, plan.Version), plan.Migrate, Micros.Now(business))).Customers);
        return new Changed(new ConfigChange(applied.Value, versions, moved.Count), moved);
    }

    private async Task KeepAsync(DbConnection db, ReadConfig read, string actor)
    {
        var hash = StoredFile.HashOf(read.Text);
        if (await StoredFile.FindAsync(db) is { } kept && kept.Hash == hash && kept.Name == read.Name) return;
        await StoredFile.KeepAsync(db, new StoredFile(
            read.Name, read.Text, hash, read.File.Currency.Code, actor, Micros.Now(business)));
    }

    private static IEnumerable<AppliedObject> ObjectsOf(AppliedFile file) =>
        file.Added.Concat(file.Changed).Concat(file.Removed);

    private static string? TextOf(PlanVersionRow? version) => version is null ? null
        : System.Text.Json.JsonSerializer.Serialize(V1.CatalogueApi.View(version), Answers.Json);

    private static Result<ConfigChange> Refused(IReadOnlyList<Problem> problems) => Result<ConfigChange>.Refused(problems);

    private sealed record Changed(ConfigChange Change, IReadOnlySet<long> Moved);

    private sealed class DryRunException(ConfigChange change) : Exception
    {
        public ConfigChange Change { get; } = change;
    }
}
