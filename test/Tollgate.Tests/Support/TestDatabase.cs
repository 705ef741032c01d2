using System.Data.Common;
using System.Text.RegularExpressions;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Tests.Support;

/// <summary>The engine that tests run on: SQLite, or with <c>TOLLGATE_TEST_DATABASE=postgres</c> a private PostgreSQL.
/// The same tests, so that both engines mean the same.</summary>
internal static class TestDatabase
{
    public static bool OnPostgres { get; } = Environment.GetEnvironmentVariable("TOLLGATE_TEST_DATABASE") switch
    {
        null or "" or "sqlite" => false,
        "postgres" => true,
        var other => throw new InvalidOperationException($"TOLLGATE_TEST_DATABASE is sqlite or postgres, not {other}."),
    };

    private static readonly Lazy<byte[]> s_empty = new(() =>
    {
        using var folder = new TempFolder();
        var file = Path.Combine(folder.Path, "empty.db");
        Database.Open(file).DisposeAsync().AsTask().GetAwaiter().GetResult();
        return File.ReadAllBytes(file);
    });

    /// <summary>The store of a test's folder.</summary>
    public static Database Open(string folder) =>
        Database.Open(ServerOf(folder) ?? Migrated(Path.Combine(folder, "tollgate.db")));

    /// <summary>Makes an embedded store with all tables and no rows, if there is none: migrated once, then copied for each
    /// test.</summary>
    /// <returns>The file.</returns>
    public static string Migrated(string file)
    {
        if (File.Exists(file)) return file;
        DataFolder.Create(Path.GetDirectoryName(file)!);
        File.WriteAllBytes(file, s_empty.Value);
        return file;
    }

    public const string NeedsTheFile = "looks into the file of the embedded store";

    /// <summary>From now on the store refuses such rows, as a full disk would; an ordinary SQL condition on the row.
    /// </summary>
    public static Task BreakAsync(DbConnection db, string table, string condition = "1 = 1") => db.ExecuteAsync(OnPostgres
        ? $"alter table {table} add constraint broken check (not ({condition})) not valid"
        : $"create trigger broken before insert on {table} when {Regex.Replace(condition, "([a-z_]+) =", "new.$1 =")} " +
            "begin select raise(abort, 'broken'); end");

    public static Task MendAsync(DbConnection db, string table) => db.ExecuteAsync(OnPostgres
        ? $"alter table {table} drop constraint broken"
        : "drop trigger broken");

    /// <summary>What a node over this folder is started with: null for the file in it.</summary>
    public static string? ServerOf(string folder) => OnPostgres ? PostgresServer.Shared.For(folder) : null;
}
