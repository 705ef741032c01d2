using System.Data.Common;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>A subscription that moves to another version of its plan.</summary>
/// <param name="At">Microseconds UTC; access and money change at this instant.</param>
/// <param name="Invoice">The bill of that instant as JSON, for the first of a preview; null when nothing is billed then.
/// </param>
public sealed record MovedSubscription(string Subscription, long At, string? Invoice);

/// <summary>What a migration did, or would do.</summary>
/// <param name="Customers">Whose entitlements changed, to be announced.</param>
public sealed record MigrationOutcome(IReadOnlyList<MovedSubscription> Moved, IReadOnlyList<long> Customers);

/// <summary>
/// Moves running subscriptions to a version of their plan: all at once, or each when what it has paid for is over. The
/// move is a change of terms like any other, so the old fees are given back and the new ones charged by the day. Asked
/// twice, it moves nobody twice.
/// </summary>
public sealed class PlanMigration(Database database, BillingRun billing, SubscriptionStore subscriptions)
{
    /// <summary>Bills that a preview draws up.</summary>
    public const int MostDrafts = 100;

    /// <summary>In one transaction: all move, or none.</summary>
    public Task<MigrationOutcome> ApplyAsync(string planId, int version, Migration when, long now) =>
        database.WriteAsync(db => ApplyAsync(db, (planId, version), when, now));

    /// <summary>The same in a transaction of the caller.</summary>
    public Task<MigrationOutcome> ApplyAsync(DbConnection db, (string PlanId, int Version) to, Migration when, long now) =>
        MoveAsync(db, to, when, now, drafts: 0);

    /// <summary>The migration itself, rolled back: it cannot say anything else.</summary>
    public async Task<MigrationOutcome> PreviewAsync(string planId, int version, Migration when, long now)
    {
        MigrationOutcome? outcome = null;
        try
        {
            await database.WriteAsync(async db =>
            {
                outcome = await MoveAsync(db, (planId, version), when, now, MostDrafts);
                throw new RolledBackException();
            });
        }
        catch (RolledBackException)
        {
            // nothing is written
        }

        return outcome!;
    }

    private async Task<MigrationOutcome> MoveAsync(
        DbConnection db, (string PlanId, int Version) to, Migration when, long now, int drafts)
    {
        var moved = new List<MovedSubscription>();
        var customers = new HashSet<long>();
        foreach (var row in when == Migration.Never ? [] : await subscriptions.RunningOnPlanAsync(db, to.PlanId))
        {
            var at = when == Migration.Now ? Math.Max(now, row.StartAt) : await billing.PaidPeriodEndAsync(db, row, now);
            if (row.EndAt <= at || !await SubscriptionStore.MigrateAsync(db, row, to, at)) continue;
            customers.Add(row.CustomerKey);
            var draft = moved.Count < drafts ? await billing.DraftAtAsync(db, row.Id, at, now) : null;
            moved.Add(new MovedSubscription(row.Id, at, draft is { Ok: true } ? draft.Value : null));
        }

        return new MigrationOutcome(moved, [.. customers]);
    }

    private sealed class RolledBackException : Exception;
}
