using System.Data.Common;
using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>The few words in which the engines differ, for tables that are made while the program runs.</summary>
public static class Sql
{
    /// <summary>After the columns of a table that is only ever asked by its primary key: SQLite then keeps the rows in
    /// the key itself instead of beside it.</summary>
    public static string Clustered(DbConnection db) => db is SqliteConnection ? " without rowid" : "";
}
