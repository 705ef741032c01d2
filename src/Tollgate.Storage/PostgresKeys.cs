using System.Data.Common;
using System.Globalization;

namespace Tollgate.Storage;

/// <summary>The generators of integer keys. A row that brought its own key leaves its generator behind.</summary>
internal static class PostgresKeys
{
    /// <summary>Tables whose <c>key</c>, or other first column, is generated.</summary>
    public const string Tables =
        "select table_name from information_schema.columns " +
        "where table_schema = current_schema() and is_identity = 'YES' order by table_name";

    /// <summary>Moves the generator of a table past every key in it, and past a number; never back.</summary>
    public static void Advance(DbConnection db, string table, long atLeast)
    {
        using var command = db.CreateCommand();
        command.CommandText =
            "select column_name from information_schema.columns where table_schema = current_schema() " +
            $"and is_identity = 'YES' and table_name = '{table}'";
        var column = (string)command.ExecuteScalar()!;
        command.CommandText = $"select pg_get_serial_sequence('\"{table}\"', '{column}')";
        var sequence = (string)command.ExecuteScalar()!;
        command.CommandText =
            $"select setval('{sequence}', greatest({atLeast.ToString(CultureInfo.InvariantCulture)}, " +
            $"(select case when is_called then last_value else 0 end from {sequence}), " +
            $"coalesce((select max({column}) from \"{table}\"), 0), 1), " +
            $"greatest({atLeast.ToString(CultureInfo.InvariantCulture)}, " +
            $"(select case when is_called then last_value else 0 end from {sequence}), " +
            $"coalesce((select max({column}) from \"{table}\"), 0)) > 0)";
        command.ExecuteNonQuery();
    }
}
