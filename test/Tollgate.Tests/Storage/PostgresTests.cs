using System.Data.Common;
using Dapper;
using Npgsql;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>What PostgreSQL must do as SQLite does it. The stores' own tests run on it too, with
/// <c>TOLLGATE_TEST_DATABASE=postgres</c>.</summary>
public sealed class PostgresTests
{
    public static bool IsInstalled => PostgresServer.IsInstalled;

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Nodes_that_start_together_on_an_empty_database_migrate_it_once()
    {
        var where = PostgresServer.Shared.Empty();
        var nodes = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => Database.Open(where))));
        var columns = await nodes[0].ReadAsync(async db => (await db.QueryAsync<string>(
            "select table_name || '.' || column_name from information_schema.columns " +
            "where table_schema = 'public' and table_name not in ('schemaversions', 'changes')")).Order(StringComparer.Ordinal).ToList());
        foreach (var node in nodes) await node.DisposeAsync();

        using var folder = new TempFolder();
        await using var embedded = Database.Open(Path.Combine(folder.Path, "tollgate.db"));
        var expected = await embedded.ReadAsync(async db => (await db.QueryAsync<string>(
            "select m.name || '.' || c.name from sqlite_master m join pragma_table_info(m.name) c " +
            "where m.type = 'table' and m.name not like 'sqlite_%' and m.name <> 'SchemaVersions'"))
            .Order(StringComparer.Ordinal).ToList());
        Assert.Equal(expected, columns);
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_database_of_a_newer_version_or_of_somebody_else_is_refused()
    {
        var where = PostgresServer.Shared.Empty();
        await (await OpenAsync(where)).WriteAsync(db => db.ExecuteAsync(
            "insert into schemaversions (scriptname, applied) values ('9999_from_the_future.sql', now())"));
        var newer = Assert.ThrowsAny<StorageException>(() => Database.Open(where));
        Assert.Contains("9999_from_the_future.sql", newer.Message, StringComparison.Ordinal);

        var foreign = PostgresServer.Shared.Empty();
        await using (var other = NpgsqlDataSource.Create(foreign))
        await using (var command = other.CreateCommand("create table accounts (id int)"))
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        Assert.Contains("accounts", Assert.Throws<StorageException>(() => Database.Open(foreign)).Message,
            StringComparison.Ordinal);
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_migration_does_not_wait_long_for_who_reads_a_table_so_that_others_go_on()
    {
        var where = PostgresServer.Shared.Empty();
        await using var old = Database.Open(where);
        // as the version before has it
        await old.WriteAsync(db => db.ExecuteAsync(
            "delete from schemaversions where scriptname like '%.0241_open_usage.sql'; " +
            "alter table balances drop column of_open_usage"));
        await old.ReadAsync(async db =>
        {
            // a backup holds every table for as long as it takes
            await db.ExecuteScalarAsync<long>("select count(*) from balances");
            var busy = Assert.Throws<StorageException>(() => Database.Open(where));
            Assert.Contains("0241_open_usage.sql", busy.Message, StringComparison.Ordinal);
            Assert.Contains("a backup", busy.Message, StringComparison.Ordinal);
            // nobody waits behind it any more
            return await old.ReadAsync(other => other.ExecuteScalarAsync<long>("select count(*) from balances"));
        });
        await using (var newer = Database.Open(where))
            Assert.Contains(newer.Migrated, m => m == "0241_open_usage.sql");
        Assert.Equal(0, await old.ReadAsync(db => db.ExecuteScalarAsync<long>(
            "select count(*) from balances where of_open_usage = 0")));
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Writers_on_several_nodes_take_turns_so_that_what_is_compared_stays_true()
    {
        var (one, other) = await TwoNodesAsync();
        await one.WriteAsync(db => db.ExecuteAsync("insert into number_series (year, last) values (2026, 0)"));
        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => (i % 2 == 0 ? one : other).WriteAsync(async db =>
        {
            var last = await db.ExecuteScalarAsync<long>("select last from number_series where year = 2026");
            await db.ExecuteAsync("update number_series set last = @next where year = 2026", new { next = last + 1 });
        })));
        Assert.Equal(40, await other.ReadAsync(db => db.ExecuteScalarAsync<long>("select last from number_series")));
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_writer_with_a_turn_of_its_own_does_not_wait_for_the_others()
    {
        var (one, other) = await TwoNodesAsync();
        await one.WriteAsync(async db =>
        {
            await other.WriteAsync(Turn.OfJournal(7), inner => inner.ExecuteAsync(
                "insert into number_series (year, last) values (2026, 0)"), TestContext.Current.CancellationToken);
            Assert.Equal(1, await db.ExecuteScalarAsync<long>("select count(*) from number_series"));
        }, TestContext.Current.CancellationToken);
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task However_many_writers_wait_for_one_that_takes_long_readers_find_a_connection()
    {
        await using var database = await OpenAsync(PostgresServer.Shared.Empty());
        var (began, end) = (new TaskCompletionSource(), new TaskCompletionSource());
        var first = database.WriteAsync(async _ =>
        {
            began.SetResult();
            await end.Task;
        }, TestContext.Current.CancellationToken);
        await began.Task;
        var others = Enumerable.Range(1, 30).Select(year => database.WriteAsync(db => db.ExecuteAsync(
            "insert into number_series (year, last) values (@year, 0)", new { year }))).ToArray();
        Assert.Equal(0, await database.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from number_series")));
        Assert.False(first.IsCompleted);
        end.SetResult();
        await Task.WhenAll([first, .. others]);
        Assert.Equal(30, await database.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from number_series")));
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task All_reads_in_one_see_one_state_and_a_write_that_throws_leaves_nothing()
    {
        var (one, other) = await TwoNodesAsync();
        var counts = await one.ReadAsync(async db =>
        {
            var first = await db.ExecuteScalarAsync<long>("select count(*) from number_series");
            await other.WriteAsync(d => d.ExecuteAsync("insert into number_series (year, last) values (2026, 0)"));
            return (first, await db.ExecuteScalarAsync<long>("select count(*) from number_series"));
        }, TestContext.Current.CancellationToken);
        Assert.Equal((0, 0), counts);

        await Assert.ThrowsAsync<InvalidOperationException>(() => one.WriteAsync(async db =>
        {
            await db.ExecuteAsync("delete from number_series");
            throw new InvalidOperationException();
        }));
        Assert.Equal(1, await one.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from number_series")));
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Lists_sort_orders_and_generated_keys_mean_what_they_mean_on_SQLite()
    {
        using var folder = new TempFolder();
        await using var embedded = Database.Open(Path.Combine(folder.Path, "tollgate.db"));
        await using var shared = await OpenAsync(PostgresServer.Shared.Empty());
        var (expected, found) = (await ReadBackAsync(embedded), await ReadBackAsync(shared));
        Assert.Equal(expected, found);
        Assert.Equal("B:1 a:2 é:3 | a:2 é:3 |  | 4", expected);
    }

    [Theory]
    [InlineData("postgresql://me:p%40ss@db.example:6432/shop?sslmode=verify-full", true)]
    [InlineData("postgres://localhost/shop", true)]
    [InlineData("Host=/var/run/postgresql;Database=shop", true)]
    [InlineData("data/tollgate.db", false)]
    [InlineData("", false)]
    public void An_address_is_told_from_a_path(string where, bool isServer) =>
        Assert.Equal(isServer, Database.IsServer(where));

    [Theory]
    [InlineData("postgresql://me:hunter2@127.0.0.1:1/shop?no_such_setting=1")]
    [InlineData("Host=127.0.0.1;Password=hunter2;Port=many")]
    [InlineData("postgresql://me:hunter2@127.0.0.1:1/shop?timeout=1")]
    public void What_cannot_be_opened_is_said_without_the_password(string where)
    {
        var said = Assert.ThrowsAny<StorageException>(() => Database.Open(where));
        Assert.DoesNotContain("hunter2", said.ToString(), StringComparison.Ordinal);
    }

    private static async Task<string> ReadBackAsync(Database database)
    {
        await database.WriteAsync(async db =>
        {
            foreach (var name in (string[])["B", "a", "é", "last"]) await AddAsync(db, name);
            await db.ExecuteAsync("delete from consumers where username = 'last'");
        });
        // the key of what was deleted is never given again
        var next = await database.WriteAsync(db => AddAsync(db, "next")) - 1;
        await database.WriteAsync(db => db.ExecuteAsync("delete from consumers where username = 'next'"));
        return await database.ReadAsync(async db => string.Join(" | ",
            await NamesAsync(db, "order by username", []),
            await NamesAsync(db, "where key in @keys order by key", [2, 3]),
            await NamesAsync(db, "where key in @keys order by key", []), next));
    }

    private static Task<long> AddAsync(DbConnection db, string name) => db.ExecuteScalarAsync<long>(
        "insert into consumers (id, username, managed_by, created_at) values (@name, @name, 'api', 0) returning key",
        new { name });

    private static async Task<string> NamesAsync(DbConnection db, string rest, long[] keys) => string.Join(' ',
        (await db.QueryAsync<(string Name, long Key)>($"select username, key from consumers {rest}", new { keys }))
        .Select(row => $"{row.Name}:{row.Key}"));

    private static async Task<(Database One, Database Other)> TwoNodesAsync()
    {
        var where = PostgresServer.Shared.Empty();
        return (await OpenAsync(where), await OpenAsync(where));
    }

    private static Task<Database> OpenAsync(string where) => Task.Run(() => Database.Open(where));
}
