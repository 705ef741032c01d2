using System.Data.Common;
using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>The few words in which the engines differ, for tables that are made while the program runs.</summary>
public static class Sql
{
    // of PostgreSQL
    private const string LockNotAvailable = "55P03";

    /// <summary>After the columns of a table that is only ever asked by its primary key: SQLite then keeps the rows in
    /// the key itself instead of beside it.</summary>
    public static string Clustered(DbConnection db) => db is SqliteConnection ? " without rowid" : "";

    /// <summary>For a transaction that changes very many rows: SQLite then keeps more pages in memory for this connection
    /// than 2 MiB, and writes each of them once.</summary>
    /// <param name="db">Left as it is when it is no SQLite.</param>
    /// <param name="mebibytes">At most.</param>
    public static async Task WidenAsync(DbConnection db, int mebibytes = 128)
    {
        if (db is not SqliteConnection) return;
        await using var command = db.CreateCommand();
        command.CommandText = $"pragma cache_size = -{mebibytes * 1_024}";
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Waits, inside a transaction, for another turn than the one that it began with, and has it until it ends. The
    /// embedded store has one writer, who has them all.</summary>
    /// <exception cref="StorageException">Somebody has held it for as long as writers wait.</exception>
    public static async Task TakeTurnAsync(DbConnection db, Turn turn)
    {
        if (db is SqliteConnection) return;
        await using var command = db.CreateCommand();
        command.CommandText = $"select pg_advisory_xact_lock({turn.Kind}, {turn.Key})";
        try
        {
            await command.ExecuteNonQueryAsync();
        }
        catch (DbException e) when (e.SqlState == LockNotAvailable)
        {
            throw new StorageException("The store is busy: another node has held this turn for as long as writers wait.", e);
        }
    }
}
