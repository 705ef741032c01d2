using System.Data.Common;
using Dapper;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

public sealed class StoreCopyTests : IDisposable
{
    private const int Consumers = 6_000;

    private readonly TempFolder _folder = new();
    private readonly string _where = PostgresServer.IsInstalled ? PostgresServer.Shared.Empty() : "";

    public static bool IsInstalled => PostgresServer.IsInstalled;

    private string File => Path.Combine(_folder.Path, "tollgate.db");

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_copy_that_was_stopped_half_way_goes_on_and_every_row_is_there_once()
    {
        await FillAsync();
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => CopyAsync(progress =>
        {
            if (progress is { Table: "consumers", Checked: false }) stop.Cancel();
        }, stop.Token));
        Assert.Equal(5_000, await AskAsync<long>("select count(*) from consumers"));

        var rows = await CopyAsync();
        Assert.Equal(Consumers, await AskAsync<long>("select count(*) from consumers"));
        Assert.True(rows > Consumers);
        Assert.Equal(rows, await CopyAsync()); // nothing left to do, and nothing done twice
        Assert.Equal("é 'quoted' \"too\"", await AskAsync<string>("select username from consumers where key = 7"));
        Assert.Equal((byte[])[0, 255, 7], await AskAsync<byte[]>("select hash from credentials where id = 'k1'"));
        Assert.Null(await AskAsync<string?>("select custom_id from consumers where key = 7"));
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Every_table_is_copied_also_those_that_the_running_server_made()
    {
        await using (var embedded = Database.Open(File))
            await embedded.WriteAsync(async db =>
            {
                var day = EventIdentities.TableOf(20_000);
                await db.ExecuteAsync($"create table {day} (high bigint not null, low bigint not null, journal bigint not null, " +
                    $"sequence bigint not null, duplicates bigint not null, primary key (high, low)){Sql.Clustered(db)}");
                await db.ExecuteAsync($"insert into {day} values (1, 2, 3, 4, 5)");
                await db.ExecuteAsync("insert into event_days (day) values (20000)");
            });
        var seen = new HashSet<string>();
        await CopyAsync(progress => seen.Add(progress.Table));
        Assert.Equal(5, await AskAsync<long>("select duplicates from event_ids_20000"));
        await using var copied = Database.Open(File);
        var tables = await copied.ReadAsync(async db => (await db.QueryAsync<string>(
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")).ToHashSet());
        // the first two are each store's own: which migrations have run, and what was copied into it
        Assert.Equal(["SchemaVersions", "copies"], tables.Except(seen).Order(StringComparer.Ordinal));
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Keys_of_deleted_rows_are_not_given_again_after_the_copy()
    {
        await FillAsync();
        await using (var embedded = Database.Open(File))
            await embedded.WriteAsync(
                db => db.ExecuteAsync("delete from consumers where key = @Consumers", new { Consumers }));
        await CopyAsync();
        await using var shared = Database.Open(_where);
        Assert.Equal(Consumers + 1, await shared.WriteAsync(db => AddAsync(db, "next")));
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_value_that_differs_is_found_and_named()
    {
        await FillAsync();
        await CopyAsync();
        await using (var shared = Database.Open(_where))
            await shared.WriteAsync(db => db.ExecuteAsync("update consumers set managed_by = 'kong' where key = 5999"));
        var said = await Assert.ThrowsAsync<StorageException>(() => CopyAsync());
        Assert.Contains("consumers.managed_by of the row 5999 by key", said.Message, StringComparison.Ordinal);
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_database_with_rows_of_its_own_is_refused_and_left_as_it_is()
    {
        await FillAsync();
        await using (var shared = Database.Open(_where)) await shared.WriteAsync(db => AddAsync(db, "theirs"));
        var said = await Assert.ThrowsAsync<StorageException>(() => CopyAsync());
        Assert.Contains("consumers has rows", said.Message, StringComparison.Ordinal);
        Assert.Equal("theirs", await AskAsync<string>("select username from consumers"));
    }

    public void Dispose() => _folder.Dispose();

    private async Task FillAsync()
    {
        await using var embedded = Database.Open(File);
        await embedded.WriteAsync(async db =>
        {
            await db.ExecuteAsync(
                "with recursive n (i) as (select 1 union all select i + 1 from n where i < @Consumers) " +
                "insert into consumers (id, username, managed_by, created_at) " +
                "select 'con_' || i, 'c' || i, 'api', i * 1000000 from n", new { Consumers });
            await db.ExecuteAsync("update consumers set username = @name where key = 7", new { name = "é 'quoted' \"too\"" });
            await db.ExecuteAsync("insert into credentials (id, consumer_key, hash, hint, managed_by, created_at) " +
                "values ('k1', 7, @hash, 'tg_…', 'api', 0)", new { hash = (byte[])[0, 255, 7] });
        });
    }

    private async Task<long> CopyAsync(Action<CopyProgress>? report = null, CancellationToken cancel = default)
    {
        await using var copy = await StoreCopy.OpenAsync(File, _where, cancel);
        return await copy.RunAsync(report ?? (_ => { }), cancel);
    }

    private async Task<T?> AskAsync<T>(string sql)
    {
        await using var shared = Database.Open(_where);
        return await shared.ReadAsync(db => db.ExecuteScalarAsync<T>(sql));
    }

    private static Task<long> AddAsync(DbConnection db, string name) => db.ExecuteScalarAsync<long>(
        "insert into consumers (id, username, managed_by, created_at) values (@name, @name, 'api', 0) returning key",
        new { name });
}
