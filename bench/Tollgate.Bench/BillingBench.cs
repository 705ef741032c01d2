using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Dapper;
using NodaTime;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Bench;

/// <summary>
/// A month of many customers, each with usage of twenty meters at prices of three models: the run that invoices all of
/// them, the same run once more, and drafts of the running month.
/// </summary>
internal static class BillingBench
{
    private const int Meters = 20, Previews = 1_000, WarmUp = 200, Tiers = 20;

    // four months before: usage of three periods may still come late
    private static readonly long s_begin = Micros.Of(Instant.FromUtc(2025, 9, 1, 0, 0));
    private static readonly long s_start = Micros.Of(Instant.FromUtc(2026, 1, 1, 0, 0));
    private static readonly long s_end = Micros.Of(Instant.FromUtc(2026, 2, 1, 0, 0));

    public static Command Create()
    {
        var customers = new Option<int>("--customers") { Description = "Each with a subscription", DefaultValueFactory = _ => 100_000 };
        var output = new Option<string>("--out")
        {
            Description = "Folder of the report, from the repository's root; '-' for none",
            DefaultValueFactory = _ => "bench/results",
        };
        var command = new Command("billing", "Seconds for the invoices of a month, and milliseconds for a draft") { customers, output };
        command.SetAction((parsed, stop) => RunAsync(
            Math.Max(parsed.GetValue(customers), Previews), parsed.GetValue(output)!, stop));
        return command;
    }

    private static async Task<int> RunAsync(int customers, string output, CancellationToken stop)
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-billing-").FullName;
        try
        {
            await using var database = Database.Open(Path.Combine(folder, "tollgate.db"));
            await FillAsync(database, customers);
            var run = new BillingRun(
                database, row => row.ToPlanVersion(), () => Task.CompletedTask, new BillingOptions { CollectionWindow = TimeSpan.Zero });
            var (before, spent) = (Memory(), Environment.CpuUsage.TotalTime);
            var (first, issued) = await TimeAsync(() => run.RunAsync(s_end, stop));
            spent = Environment.CpuUsage.TotalTime - spent;
            var peak = Memory();
            var (again, more) = await TimeAsync(() => run.RunAsync(s_end, stop));
            var drafts = await PreviewsAsync(database, run, customers);
            var rating = NanosecondsPerTier();
            var lines = await database.ReadAsync(db => db.ExecuteScalarAsync<long>(
                "select cast(sum(json_array_length(document, '$.lines')) as bigint) from invoices"), stop);
            var row = string.Create(CultureInfo.InvariantCulture,
                $"| {customers:N0} | {issued.Issued:N0} | {lines:N0} | {first:N1} | {spent.TotalSeconds:N1} | " +
                $"{again:N2}, {more.Issued} issued | " +
                $"{drafts.Median:N2} | {drafts.Late:N2} | {drafts.Worst:N2} | {rating:N0} | {before:N0} → {peak:N0} |");
            Console.WriteLine(row);
            if (output != "-") await ReportAsync(customers, output, row, stop);
            return issued.Issued == customers && more.Issued == 0 ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task ReportAsync(int customers, string output, string row, CancellationToken stop)
    {
        var machine = await Machine.DescribeAsync(stop);
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        Directory.CreateDirectory(Repository.Path(output));
        await File.WriteAllTextAsync(Repository.Path(Path.Combine(output, $"{today}-billing.md")),
            string.Create(CultureInfo.InvariantCulture, $"""
            # Invoices of a month, {today}

            `dotnet dev.cs billing --customers {customers}` on {machine.Cores} × {machine.Cpu},
            {machine.System}, {machine.Dotnet}, revision {machine.Revision}. Other work ran on the machine at the same time.

            Each customer has one subscription, in its fifth month, to a plan of {Meters} prices, each of a meter of its own
            (per unit, graduated in three tiers, packages), and usage of all of them in two quarters of an hour of January. The store
            is SQLite on the disk as it is shipped (WAL, `synchronous = full`). The run issues everything that is due; the same
            run once more finds nothing. A draft is the running month of one customer, read, rated and written as JSON: what
            `GET /v1/invoices/preview` does, {Previews:N0} of them after {WarmUp} that are not counted. Rating is a graduated price
            of {Tiers} tiers, all of them reached, as a bill rates it.

            | customers | invoices | lines | run, s | its CPU, s | again, s | draft, median ms | p99 | worst | ns per tier | memory, MB |
            |---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
            {row}

            """), stop);
    }

    private static async Task FillAsync(Database database, int customers)
    {
        var plan = await database.WriteAsync(async db =>
        {
            var config = new ConfigStore(database, TimeProvider.System);
            var row = (await config.AddAsync(db, ConfigKind.Plan, "pro", ManagedBy.Api, "{}"))!;
            var id = Publication.PlanIdOf(row);
            await config.AddVersionAsync(db, id, "USD", PriceWriter.Write([.. Enumerable.Range(1, Meters).Select(PriceOf)]));
            for (var meter = 1; meter <= Meters; meter++)
                await db.ExecuteAsync("insert into meter_keys (key, name, aggregation, scale) values (@key, @name, 'sum', 0)",
                    new { key = 1 + meter, name = "meter" + meter });
            return id;
        });
        const string count = "with recursive n(i) as (values (1) union all select i + 1 from n where i < @customers) ";
        await database.WriteAsync(async db =>
        {
            await db.ExecuteAsync(count + "insert into customers (key, id, name, currency, timezone, managed_by, created_at) " +
                "select i, 'cus_' || printf('%032x', i), 'customer ' || i, 'USD', 'UTC', 'api', @s_start from n",
                new { customers, s_start });
            await db.ExecuteAsync(count + "insert into subscriptions (key, id, customer_key, plan_id, priority, anchor, timezone, " +
                "start_at, managed_by, created_at, next_bill_at, waits) " +
                "select i, 'sub_' || printf('%032x', i), i, @plan, 0, '2025-09-01', 'UTC', @s_begin, 'api', @s_begin, @s_end, 1 from n",
                new { customers, plan, s_begin, s_end });
            await db.ExecuteAsync(count + "insert into entitlements (key, subscription_id, customer_key, plan_id, plan_version, " +
                "priority, anchor, timezone, start_at) " +
                "select i, 'sub_' || printf('%032x', i), i, @plan, 1, 0, '2025-09-01', 'UTC', @s_begin from n",
                new { customers, plan, s_begin });
            // two buckets of January, and one of February of those whose drafts are asked for
            await db.ExecuteAsync(count + "insert into rollups (entitlement, period, consumer, meter, operation, method, bucket, " +
                "admitted, quantity, unknown) " +
                "select i, p.period, 0, m.key, 0, 0, @s_start + p.at, 0, (i * 7919 + m.key * 104729) % 5000, 0 " +
                "from n, (select 4 as period, 0 as at union all select 4, 900000000 union all select 5, 2678400000000) p, " +
                "meter_keys m where m.key > 1 and (p.period = 4 or i <= @Previews)", new { customers, s_start, Previews });
        });
    }

    private static PriceComponent PriceOf(int meter) => new("price" + meter, "meter" + meter, null, (meter % 3) switch
    {
        0 => new Price.PerUnit(0.0123m),
        1 => new Price.Graduated([new Tier(100, 0.05m, 0), new Tier(1_000, 0.02m, 1), new Tier(null, 0.01m, 5)]),
        _ => new Price.Package(100, 1.25m),
    });

    /// <summary>The best of some rounds, since others are at work beside.</summary>
    private static double NanosecondsPerTier()
    {
        const int times = 2_000;
        var tiers = Enumerable.Range(1, Tiers).Select(i => new Tier(i == Tiers ? null : i * 100, decimal.Round(1m / i, 12), 0)).ToArray();
        var plan = new PlanVersion("plan", 1, Currency.Usd, [new PriceComponent("price", "meter", null, new Price.Graduated(tiers))]);
        UsedStretch[] used = [new(plan, Proration.Whole, [new Usage("meter", "", Tiers * 100 + 0.5m)])];
        var best = double.MaxValue;
        for (var round = 0; round < 20; round++)
        {
            var began = TimeProvider.System.GetTimestamp();
            for (var i = 0; i < times; i++)
                if (PeriodRating.Rate(used).Count != 1) throw new BenchException("A price of tiers is one line.");
            best = Math.Min(best, TimeProvider.System.GetElapsedTime(began).TotalNanoseconds / times / Tiers);
        }

        return best;
    }

    private static async Task<(double Median, double Late, double Worst)> PreviewsAsync(Database database, BillingRun run, int customers)
    {
        var store = new CustomerStore(database, TimeProvider.System);
        var period = InvoicePeriod.Read("2026-02", DateTimeZone.Utc).Value;
        var times = new List<double>();
        for (var n = 0; n < WarmUp + Previews; n++)
        {
            var i = 1 + n % Math.Min(Previews, customers);
            var customer = (await store.OfKeyAsync(i))!;
            var (seconds, draft) = await TimeAsync(() => run.PreviewAsync(customer, period, s_end + Micros.PerDay));
            if (draft.Value.Count != 1) throw new BenchException($"{customer.Name} has {draft.Value.Count} drafts.");
            if (n >= WarmUp) times.Add(seconds * 1_000);
        }

        times.Sort();
        return (times[times.Count / 2], times[times.Count * 99 / 100], times[^1]);
    }

    private static async Task<(double Seconds, T Result)> TimeAsync<T>(Func<Task<T>> work)
    {
        var began = TimeProvider.System.GetTimestamp();
        var result = await work();
        return (TimeProvider.System.GetElapsedTime(began).TotalSeconds, result);
    }

    private static long Memory()
    {
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64 / (1024 * 1024);
    }
}
