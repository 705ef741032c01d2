using Dapper;
using Microsoft.Extensions.Time.Testing;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Config;

/// <summary>Applying files to a real database.</summary>
public sealed class FileApplyTests : IAsyncLifetime
{
    private const string First = """
        version: 1
        currency: USD
        apis:
          market:
            upstream: http://localhost:5000/
            operations: { data: GET /data, quote: "GET /quotes/{symbol}" }
        plans:
          free: { operations: [data], limits: [100/minute] }
          pro:
            name: Pro
            operations: ["*"]
            prices:
              base: { model: flat, amount: "49.00", every: month }
        """;

    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 1, 10, 0, 0, 0, TimeSpan.Zero));
    private readonly string _folder = Directory.CreateTempSubdirectory("tollgate-").FullName;
    private readonly Database _database;
    private readonly ConfigStore _store;
    private readonly FileApply _apply;

    public FileApplyTests()
    {
        _database = TestDatabase.Open(_folder);
        _store = new ConfigStore(_database, _clock);
        _apply = new FileApply(_database, _store, _clock);
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _database.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task The_first_apply_adds_everything_and_publishes_first_versions()
    {
        var applied = await Applied(First);
        Assert.Equal(["api market", "plan free", "plan pro"], Names(applied.Added));
        Assert.Equal(
            [("free", 1, true), ("pro", 1, true)], applied.Plans.Select(p => (p.Name, p.Version, p.IsNewVersion)));

        var rows = await _store.AllAsync();
        Assert.All(rows, r => Assert.Equal(ManagedBy.File, r.Manager));
        Assert.Equal(
            """{"upstream":"http://localhost:5000","operations":{"data":"GET /data","quote":"GET /quotes/{symbol}"}}""",
            rows.Single(r => r.Kind == ConfigKind.Api).Document);
        Assert.Equal("""{"name":"Pro","operations":["*"],"limits":[]}""", rows.Single(r => r.Name == "pro").Document);
        var version = (await VersionsOf("pro")).Single();
        Assert.Equal(
            new Price.Flat(49m, BillingTiming.Arrears) { Every = Tollgate.Catalog.Interval.Month },
            version.ToPlanVersion().Prices.Single().Price);
    }

    [Fact]
    public async Task What_was_applied_can_be_published()
    {
        await Applied(First);
        using var publisher = new Publisher(_database, new ChangeFeed());
        await publisher.RepublishAsync();
        Assert.Equal(2, publisher.Current.FindPlan("pro")!.Operations.Count);
        Assert.Equal(new Limit(100, WindowUnit.Minute), Assert.Single(publisher.Current.FindPlan("free")!.Limits));
        Assert.Equal("GET", Assert.Single(publisher.Current.Apis[0].Operations[0].Methods!));
    }

    [Fact]
    public async Task Applying_the_same_file_twice_changes_nothing()
    {
        await Applied(First);
        var before = await EverythingStored();
        _clock.Advance(TimeSpan.FromHours(1));
        var again = await Applied(First);
        Assert.True(again.IsUnchanged);
        Assert.Equal(["free", "pro"], again.Plans.Select(p => p.Name));
        Assert.Equal(before, await EverythingStored());
    }

    [Fact]
    public async Task Only_what_differs_is_touched()
    {
        await Applied(First);
        _clock.Advance(TimeSpan.FromHours(1));
        var applied = await Applied(First.Replace("100/minute", "200/minute", StringComparison.Ordinal));
        Assert.Equal(["plan free"], Names(applied.Changed));
        Assert.Empty(applied.Added);
        Assert.Empty(applied.Removed);
        Assert.Empty(applied.NewVersions);
        var rows = await _store.AllAsync();
        Assert.Equal(["free"], rows.Where(r => r.UpdatedAt != r.CreatedAt).Select(r => r.Name));
    }

    [Fact]
    public async Task A_changed_price_is_a_new_version_and_says_what_becomes_of_subscriptions()
    {
        await Applied(First);
        var applied = await Applied(First.Replace("49.00", "59.00", StringComparison.Ordinal) + "\n    migrate: now");
        var version = Assert.Single(applied.NewVersions);
        Assert.Equal(("pro", 2, Migration.Now), (version.Name, version.Version, version.Migrate));
        Assert.Equal(["49", "59"], (await VersionsOf("pro"))
            .Select(v => PriceWriter.Text(((Price.Flat)v.ToPlanVersion().Prices[0].Price).Amount)));
        Assert.Empty(applied.Changed);

        var again = await Applied(First.Replace("49.00", "59.0", StringComparison.Ordinal) + "\n    migrate: now");
        Assert.True(again.IsUnchanged);
        Assert.Contains(
            again.Plans, p => p is { Name: "pro", Version: 2, Migrate: Migration.Now, IsNewVersion: false });
    }

    [Fact]
    public async Task Another_currency_is_a_new_version_of_every_plan()
    {
        await Applied(First);
        var applied = await Applied(First.Replace("USD", "EUR", StringComparison.Ordinal));
        Assert.Equal(["free", "pro"], applied.NewVersions.Select(v => v.Name));
        Assert.Equal(["USD", "EUR"], (await VersionsOf("pro")).Select(v => v.Currency));
    }

    [Fact]
    public async Task What_is_gone_from_the_file_is_removed_and_what_others_made_stays()
    {
        await Applied(First);
        await Add(ConfigKind.Plan, "gold", ManagedBy.Kong);
        await Add(ConfigKind.Plan, "own", ManagedBy.Api);
        var applied = await Applied("version: 1\ncurrency: USD");
        Assert.Equal(["api market", "plan free", "plan pro"], Names(applied.Removed).Order(StringComparer.Ordinal));
        Assert.Equal(["gold", "own"], (await _store.AllAsync()).Select(r => r.Name).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData(3_600, true)]
    [InlineData(0, false)]
    [InlineData(-3_600, false)]
    public async Task A_plan_with_running_subscriptions_is_not_removed(int? endsInSeconds, bool runs)
    {
        var plan = (await Applied(First)).Plans.Single(p => p.Name == "pro");
        await Subscribe(plan, endsInSeconds is { } s ? Micros.Now(_clock) + s * Micros.PerSecond : null);
        var before = await EverythingStored();

        var refused = await _apply.ApplyAsync(Read("version: 1\ncurrency: USD"));
        Assert.Equal(!runs, refused.Ok);
        if (!runs) return;
        var problem = Assert.Single(refused.Problems);
        Assert.Equal(("plan_in_use", "plans.pro"), (problem.Code, problem.Field));
        Assert.Contains("'pro'", problem.Detail, StringComparison.Ordinal);
        Assert.Equal(before, await EverythingStored());
    }

    [Theory]
    [InlineData(ConfigKind.Plan, "pro", ManagedBy.Kong, "plans.pro")]
    [InlineData(ConfigKind.Plan, "free", ManagedBy.Api, "plans.free")]
    [InlineData(ConfigKind.Api, "market", ManagedBy.Api, "apis.market")]
    [InlineData(ConfigKind.Service, "market", ManagedBy.Kong, "apis.market")]
    public async Task A_name_that_another_side_holds_refuses_the_whole_file(
        string kind, string name, ManagedBy by, string field)
    {
        await Add(kind, name, by);
        var before = await EverythingStored();
        var problem = Assert.Single((await _apply.ApplyAsync(Read(First))).Problems);
        Assert.Equal(("managed_elsewhere", field), (problem.Code, problem.Field));
        Assert.Equal(before, await EverythingStored());
    }

    [Fact]
    public async Task An_operation_that_another_side_has_refuses_the_file()
    {
        const string document = """{"upstream":"http://x","operations":{"quote":"GET /q"}}""";
        await Add(ConfigKind.Api, "other", ManagedBy.Api, document);
        var problem = Assert.Single((await _apply.ApplyAsync(Read(First))).Problems);
        Assert.Equal(("managed_elsewhere", "apis.market.operations.quote"), (problem.Code, problem.Field));
    }

    [Fact]
    public async Task A_plan_that_comes_back_begins_with_a_first_version_of_its_own()
    {
        var first = (await Applied(First)).Plans.Single(p => p.Name == "pro");
        await Applied("version: 1\ncurrency: USD");
        _clock.Advance(TimeSpan.FromSeconds(1));
        var second = (await Applied(First)).Plans.Single(p => p.Name == "pro");
        Assert.NotEqual(first.PlanId, second.PlanId);
        Assert.Equal(1, second.Version);
        Assert.Single(await _database.ReadAsync(
            db => ConfigStore.VersionsAsync(db, first.PlanId), TestContext.Current.CancellationToken));
    }

    private static ConfigFile Read(string text) => ConfigFileReader.Read(text, "tollgate.yaml").Value;

    private async Task<AppliedFile> Applied(string text) => (await _apply.ApplyAsync(Read(text))).Value;

    private static IEnumerable<string> Names(IEnumerable<AppliedObject> objects) =>
        objects.Select(o => $"{o.Kind} {o.Name}");

    private Task<ConfigRow?> Add(
        string kind, string name, ManagedBy by, string document = """{"upstream":"http://x","operations":{}}""") =>
        _database.WriteAsync(db => _store.AddAsync(db, kind, name, by, document));

    private async Task<IReadOnlyList<PlanVersionRow>> VersionsOf(string plan)
    {
        var row = (await _store.FindAsync(ConfigKind.Plan, plan))!;
        var id = new Id<Plan>(Guid.ParseExact(row.Id, "N")).ToString();
        return await _database.ReadAsync(db => ConfigStore.VersionsAsync(db, id));
    }

    private Task Subscribe(AppliedPlan plan, long? endAt) => _database.WriteAsync(async db =>
    {
        await db.ExecuteAsync("insert into customers (key, id, name, currency, timezone, managed_by, created_at) " +
            "values (1, 'cus_1', 'acme', 'USD', 'UTC', 'api', 0)");
        await EntitlementStore.AddAsync(db, new Entitlement
        {
            Key = 0,
            SubscriptionId = "sub_1",
            CustomerKey = 1,
            PlanId = plan.PlanId,
            PlanVersion = plan.Version,
            Priority = 0,
            StartAt = 0,
            EndAt = endAt,
            Anchor = new LocalDate(2026, 1, 1),
            Timezone = "UTC",
        });
    });

    private Task<string> EverythingStored() => _database.ReadAsync(async db => string.Join('\n',
        (await ConfigStore.AllAsync(db)).Select(r => r.ToString())
        .Concat((await db.QueryAsync<string>("select plan_id || version || currency || prices || published_at " +
            "from plan_versions order by plan_id, version")))));
}
