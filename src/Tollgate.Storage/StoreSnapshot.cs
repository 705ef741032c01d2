using System.Data.Common;
using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>Tables of a store as they are at one moment, copied into an embedded store.</summary>
public static class StoreSnapshot
{
    /// <summary>Copies all tables that both have into a store that is made for it.</summary>
    /// <param name="from">Usually a server.</param>
    /// <param name="path">A file that is not there yet.</param>
    /// <param name="without">Tables that are left empty.</param>
    public static async Task TakeAsync(Database from, string path, params string[] without)
    {
        await Database.Open(path).DisposeAsync();
        MakeSingle(path);
        IReadOnlyList<string> mine;
        using (var open = Connect(path))
            mine = Engine.NamesOf(open, "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' " +
                "and name <> 'SchemaVersions' order by name");
        await FillAsync(from, path, [.. mine.Except(without)]);
    }

    /// <summary>Replaces what is in these tables of an embedded store by what another has, all of one moment.</summary>
    internal static async Task FillAsync(Database from, string path, IReadOnlyList<string> tables)
    {
        await using var to = Connect(path);
        Execute(to, "pragma foreign_keys = off");
        Execute(to, "pragma synchronous = off");
        await from.ReadAsync(async db =>
        {
            await using var transaction = (SqliteTransaction)await to.BeginTransactionAsync();
            foreach (var table in tables) await CopyAsync(db, to, transaction, table);
            await transaction.CommitAsync();
            return 0;
        });
    }

    /// <summary>One file, with nothing beside it.</summary>
    internal static void MakeSingle(string path)
    {
        using var open = Connect(path);
        Execute(open, "pragma wal_checkpoint(truncate)");
        Execute(open, "pragma journal_mode = delete");
    }

    private static async Task CopyAsync(DbConnection from, SqliteConnection to, SqliteTransaction within, string table)
    {
        // a node of a newer version may have given the table more
        var names = Engine.NamesOf(to, $"select name from pragma_table_info('{table}') order by cid");
        await using var read = from.CreateCommand();
        read.CommandText = $"select {string.Join(", ", names)} from {table}";
        await using var rows = await read.ExecuteReaderAsync();
        await using var write = to.CreateCommand();
        write.Transaction = within;
        write.CommandText = $"delete from {table}";
        await write.ExecuteNonQueryAsync();
        write.CommandText = $"insert into {table} ({string.Join(", ", names)}) values " +
            $"({string.Join(", ", names.Select((_, i) => $"$p{i}"))})";
        var values = names.Select((_, i) => write.Parameters.AddWithValue($"$p{i}", DBNull.Value)).ToArray();
        while (await rows.ReadAsync())
        {
            for (var i = 0; i < values.Length; i++) values[i].Value = rows.GetValue(i);
            await write.ExecuteNonQueryAsync();
        }
    }

    private static SqliteConnection Connect(string path)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        connection.Open();
        return connection;
    }

    private static void Execute(SqliteConnection open, string sql)
    {
        using var command = open.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
