using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>
/// Looks at a configuration file before it is applied: prices in a currency in which those who run on a plan do not
/// pay would make bills of two currencies, which nobody can issue; and who cannot move to a version stays in the way of it.
/// </summary>
public sealed class PlanCurrencies(Database database, SubscriptionStore subscriptions)
{
    /// <summary>A problem for each plan of the file that changes its currency, or moves its subscriptions now, while
    /// customers who pay in another one run on it.</summary>
    public Task<IReadOnlyList<Problem>> CheckAsync(ConfigFile file) => database.ReadAsync(db => CheckAsync(db, file));

    /// <summary>The same inside of a transaction of the caller's.</summary>
    public async Task<IReadOnlyList<Problem>> CheckAsync(DbConnection db, ConfigFile file)
    {
        var problems = new List<Problem>();
        foreach (var plan in file.Plans.Where(p => p.Prices.Count > 0))
        {
            if (await CheckAsync(db, plan, file.Currency.Code) is { } problem) problems.Add(problem);
            problems.AddRange(await CheckMoveAsync(db, plan));
        }

        return problems;
    }

    /// <summary>Those who run on a plan move to its new version, if there will be one and it says so.</summary>
    private async Task<IEnumerable<Problem>> CheckMoveAsync(DbConnection db, FilePlan plan)
    {
        if (plan.Migrate == Migration.Never
            || await ConfigStore.FindAsync(db, ConfigKind.Plan, plan.Name) is not { } stored) return [];
        var id = Publication.PlanIdOf(stored);
        var newest = await ConfigStore.FindVersionAsync(db, id, (await ConfigStore.LatestVersionsAsync(db)).GetValueOrDefault(id));
        if (newest is not null && newest.Prices == PriceWriter.Write(plan.Prices) && newest.Quotas == QuotaWriter.Write(plan.Quotas))
            return [];
        return (await MigrationChecks.FaultsAsync(db, id, plan.Prices, plan.Quotas, subscriptions.Now))
            .Select(p => p with { Field = $"plans.{plan.Name}.{p.Field}" });
    }

    private async Task<Problem?> CheckAsync(DbConnection db, FilePlan plan, string currency)
    {
        if (await ConfigStore.FindAsync(db, ConfigKind.Plan, plan.Name) is not { } stored) return null;
        var id = Publication.PlanIdOf(stored);
        var version = (await ConfigStore.LatestVersionsAsync(db)).GetValueOrDefault(id);
        var changes = await ConfigStore.FindVersionAsync(db, id, version) is { } newest && newest.Currency != currency;
        if (!changes && plan.Migrate == Migration.Never) return null;
        var others = (await subscriptions.CurrenciesOfPlanAsync(db, id))
            .Where(c => c != currency && !plan.Terms.Currencies.ContainsKey(c)).Order().ToArray();
        return others.Length == 0 ? null : new Problem("currency_differs",
            $"The file's prices are in {currency}, and customers who pay in {string.Join(", ", others)} run on the " +
            $"plan '{plan.Name}'. Keep its currency, or give {currency} a plan of its own.", $"plans.{plan.Name}");
    }
}
