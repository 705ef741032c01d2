using System.Data.Common;
using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>The few words in which the engines differ, for tables that are made while the program runs.</summary>
public static class Sql
{
    /// <summary>After the columns of a table that is only ever asked by its primary key: SQLite then keeps the rows in
    /// the key itself instead of beside it.</summary>
    public static string Clustered(DbConnection db) => db is SqliteConnection ? " without rowid" : "";

    /// <summary>For a transaction that changes very many rows: SQLite then keeps up to 128 MiB of pages in memory for this
    /// connection, instead of 2, and writes each of them once.</summary>
    public static async Task WidenAsync(DbConnection db)
    {
        if (db is not SqliteConnection) return;
        await using var command = db.CreateCommand();
        command.CommandText = "pragma cache_size = -131072";
        await command.ExecuteNonQueryAsync();
    }
}
