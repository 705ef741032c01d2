using System.Data.Common;
using System.Text.Json;
using Dapper;
using NodaTime;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>A real database in a folder of its own, with what billing needs: written by the stores where they exist,
/// rollups by SQL as the drain leaves them.</summary>
public sealed class Books : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tollgate-billing-").FullName;
    private int _plans;

    public Books() => Database = TestDatabase.Open(_folder);

    public Database Database { get; }

    public Func<Task> CatchUp { get; set; } = () => Task.CompletedTask;

    public InvoiceStore Invoices => new(Database);

    public BillingRun Run(BillingOptions? options = null) =>
        new(Database, ReadVersion, () => CatchUp(), options ?? new BillingOptions());

    public Task<BillingReport> BillAsync(long now, BillingOptions? options = null) =>
        Run(options).RunAsync(now, TestContext.Current.CancellationToken);

    public SubscriptionChanges Changes(long now) => new(Database, new Clock(now), Run());

    public GrantStore Grants => new(Database, new Clock(0));

    public TimeProvider ClockAt(long now) => new Clock(now);

    public Task TermsAsync(SubscriptionRow subscription, CustomerTerms terms) =>
        Database.WriteAsync(db => terms.SetAsync(db, subscription.CustomerKey));

    public Task GrantAsync(
        SubscriptionRow subscription, string kind, long cents, int priority = 0, long? expiresAt = null) =>
        Database.WriteAsync(db => Grants.AddAsync(db, new NewGrant(
            subscription.CustomerKey, kind, new Money(cents, Currency.Usd), kind)
        {
            Priority = priority,
            EffectiveAt = 0,
            ExpiresAt = expiresAt,
        }));

    public Task PayAsync(SubscriptionRow subscription, long cents, long at) => Database.WriteAsync(
        db => new PaymentStore(Database, new Clock(at)).AddAsync(db, new NewPayment(
            subscription.CustomerKey, null, new Money(cents, Currency.Usd), null, null)));

    /// <summary>The postings of each entry sum to zero, and each customer owes what is open, or has credit.</summary>
    public async Task AssertBalancedAsync()
    {
        Assert.Empty(await ReadAsync(db => db.QueryAsync<string>(
            "select entry from postings group by entry having sum(amount) <> 0")));
        var (owed, open) = (
            await ReadAsync(db => db.ExecuteScalarAsync<long>(
                "select cast(coalesce(sum(amount), 0) as bigint) from postings where account = 'customer'")),
            await ReadAsync(db => db.ExecuteScalarAsync<long>(
                "select cast(coalesce(sum(amount_due - settled), 0) as bigint) from invoices where status = 'issued'")));
        // credit is used before anything stays open
        Assert.Equal(Math.Max(owed, 0), open);
    }

    public AddOnStore AddOns => new(Database, new Clock(0));

    public Task<CustomerRow> CustomerAsync(string name, string currency = "USD", string zone = "UTC", long at = 0) =>
        Database.WriteAsync(async db => (await new CustomerStore(Database, new Clock(at))
            .AddAsync(db, name, Currency.Of(currency), zone, ManagedBy.Api))!);

    /// <summary>Publishes the next version of a plan, as <c>base flat 49.00 arrears; data per_unit 0.01 data,quote</c>.
    /// </summary>
    public Task<PublishedPlan> PlanAsync(string name, string prices, string currency = "USD") =>
        Database.WriteAsync(async db =>
        {
            var store = new ConfigStore(Database, new Clock(0));
            var row = await ConfigStore.FindAsync(db, ConfigKind.Plan, name)
                ?? (await store.AddAsync(db, ConfigKind.Plan, name, ManagedBy.File, "{}"))!;
            var id = new Id<Plan>(Guid.ParseExact(row.Id, "N")).ToString();
            return new PublishedPlan
            {
                Id = id,
                Name = name,
                DisplayName = name,
                ManagedBy = ManagedBy.File,
                Operations = new HashSet<int>(),
                Limits = [],
                Version = await store.AddVersionAsync(db, id, currency, JsonSerializer.Serialize(prices)),
                CreatedAt = _plans++,
            };
        });

    public Task<SubscriptionRow> SubscribeAsync(CustomerRow customer, PublishedPlan plan, long at) =>
        Database.WriteAsync(async db => (await new SubscriptionStore(Database, new Clock(at), ReadVersion)
            .StartAsync(db, new NewSubscription(customer, plan.Id, ManagedBy.Api) { StartAt = at })).Value);

    public Task<SubscriptionRow> SubscribeAsync(NewSubscription wanted, long at) =>
        Database.WriteAsync(async db => (await new SubscriptionStore(Database, new Clock(at), ReadVersion)
            .StartAsync(db, wanted)).Value);

    public Task MigrateAsync(PublishedPlan plan, long at) =>
        Database.WriteAsync(db => SubscriptionStore.MigrateAsync(db, plan.Id, plan.Version, at));

    public async Task EndAsync(string subscription, long at)
    {
        var row = await new SubscriptionStore(Database, new Clock(at), ReadVersion).FindAsync(subscription);
        await Database.WriteAsync(db => SubscriptionStore.EndAsync(db, row!, at));
    }

    /// <summary>Billable calls of an operation at an instant, stamped as the gate stamps them.</summary>
    public Task UseAsync(string subscription, string operation, long calls, long at) => Database.WriteAsync(async db =>
    {
        var terms = (await EntitlementStore.OfSubscriptionAsync(db, subscription))
            .LastOrDefault(t => t.StartAt <= at && (t.EndAt is null || t.EndAt > at));
        Assert.True(terms is { Hold: not Hold.Paused }, "The gate would have refused this call.");
        var period = terms.Calendar.IndexAt(Micros.ToInstant(at));
        await RollUpAsync(terms.Key, period, operation, calls, at);

        async Task RollUpAsync(int entitlement, int index, string name, long quantity, long instant)
        {
            var keys = await ConfigStore.OperationKeysAsync(db, [("market", name, "/api/v1/" + name)]);
            await db.ExecuteAsync(
                "insert into rollups (entitlement, period, consumer, meter, operation, method, bucket, admitted, " +
                "quantity, unknown) values (@entitlement, @index, 0, @meter, @operation, 1, @bucket, @quantity, " +
                "@quantity, 0) on conflict (entitlement, period, consumer, meter, operation, method, dimensions, bucket) " +
                "do update set admitted = rollups.admitted + @quantity, quantity = rollups.quantity + @quantity",
                new
                {
                    entitlement,
                    index,
                    meter = UsageStore.CallsKey,
                    operation = keys[("market", name)],
                    bucket = instant - instant % UsageStore.Bucket,
                    quantity,
                });
        }
    });

    public async Task<IReadOnlyList<InvoiceRow>> IssuedAsync() => await Invoices.ListAsync(null, 0, 100_000);

    public Task<T> ReadAsync<T>(Func<DbConnection, Task<T>> read) =>
        Database.ReadAsync(read, TestContext.Current.CancellationToken);

    public Task SqlAsync(string sql) => Database.WriteAsync(db => db.ExecuteAsync(sql));

    /// <summary>What stands in for the reader of plan documents: the text that <see cref="PlanAsync"/> stored.</summary>
    public static PlanVersion ReadVersion(PlanVersionRow row) => new(
        row.PlanId, (int)row.Version, Currency.Of(row.Currency),
        Prices(JsonSerializer.Deserialize<string>(row.Prices)!));

    public static IReadOnlyList<PriceComponent> Prices(string text) =>
        text.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(line =>
        {
            var words = line.Split(' ');
            if (words[1][0] == '{') return Document(words[0], line[(words[0].Length + 1)..]);
            return words[1] switch
            {
                "flat" => new PriceComponent(words[0], null, null, new Price.Flat(decimal.Parse(words[2]),
                    words[3] == "advance" ? BillingTiming.Advance : BillingTiming.Arrears)
                {
                    Every = words.Length > 4 ? Intervals.Find(words[4]) : null,
                }),
                _ => new PriceComponent(words[0], UsageStore.Calls, words.Length < 4 || words[3] == "*" ? null : words[3].Split(','),
                    new Price.PerUnit(decimal.Parse(words[2]))),
            };
        }).ToArray();

    /// <summary>A price document of JSON.</summary>
    private static PriceComponent Document(string name, string json)
    {
        var read = PriceReader.Read(JsonTree.Read($$"""{"{{name}}":{{json}}}""").Value);
        Assert.True(read.Ok, string.Join("; ", read.Problems));
        return read.Value.Single();
    }

    /// <summary>Local time in a zone, <c>2026-01-10</c> or <c>2026-01-10T14:30</c>, as microseconds UTC.</summary>
    public static long At(string local, string zone = "UTC")
    {
        var time = NodaTime.Text.LocalDateTimePattern.CreateWithInvariantCulture("uuuu-MM-dd'T'HH:mm")
            .Parse(local.Length == 10 ? local + "T00:00" : local).Value;
        return Micros.Of(time.InZoneLeniently(DateTimeZoneProviders.Tzdb[zone]).ToInstant());
    }

    public async ValueTask DisposeAsync()
    {
        await Database.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private sealed class Clock(long micros) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => Micros.ToDateTimeOffset(micros);
    }
}
