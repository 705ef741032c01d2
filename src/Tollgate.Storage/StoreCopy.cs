using System.Data.Common;
using Microsoft.Data.Sqlite;
using Npgsql;
using NpgsqlTypes;

namespace Tollgate.Storage;

/// <summary>How far a copy is.</summary>
/// <param name="Rows">Of this table in the source.</param>
/// <param name="Checked">True: these were compared; false: they were written.</param>
public sealed record CopyProgress(string Table, long Done, long Rows, bool Checked);

/// <summary>
/// Copies the embedded store into an empty PostgreSQL: table by table, a batch and the note of how far it came in one
/// transaction, so that a copy that was stopped anywhere goes on where it was. At the end every value of every row is
/// read back from both and compared.
/// </summary>
public sealed class StoreCopy : IAsyncDisposable
{
    private const int BatchRows = 5_000;

    private readonly SqliteConnection _from;
    private readonly PostgresEngine _to;
    private readonly string _source;
    private readonly IReadOnlyList<StoreTable> _tables;

    private StoreCopy(SqliteConnection from, PostgresEngine to, string source, IReadOnlyList<StoreTable> tables) =>
        (_from, _to, _source, _tables) = (from, to, source, tables);

    /// <summary>Opens both, migrates both to this version, and checks that the target is empty or holds the beginning of
    /// a copy from this source.</summary>
    /// <param name="file">The embedded store; no server may be running on it.</param>
    /// <exception cref="StorageException">What stands in the way.</exception>
    public static async Task<StoreCopy> OpenAsync(string file, string where, CancellationToken cancel)
    {
        if (!File.Exists(file)) throw new StorageException($"There is no {file} to copy.");
        await Database.Open(file).DisposeAsync();
        await Database.Open(where).DisposeAsync();
        var from = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = file, Pooling = false }.ToString());
        var to = (PostgresEngine)Engine.Of(where);
        var copy = (StoreCopy?)null;
        try
        {
            await from.OpenAsync(cancel);
            // one state for the whole copy
            Execute(from, "begin");
            var tables = StoreTable.All(from);
            await MakeMissingAsync(from, to, tables, cancel);
            NumberRows(from);
            copy = new StoreCopy(from, to, SourceOf(from), tables);
            await copy.ClaimAsync(cancel);
            return copy;
        }
        catch
        {
            await from.DisposeAsync();
            await to.DisposeAsync();
            throw;
        }
    }

    /// <summary>Copies what is missing, then compares everything. Done twice, it only compares.</summary>
    /// <returns>Rows copied, over all runs.</returns>
    /// <exception cref="StorageException">A value differs: table, row and column are in the message.</exception>
    public async Task<long> RunAsync(Action<CopyProgress> report, CancellationToken cancel)
    {
        foreach (var table in _tables) await CopyAsync(table, report, cancel);
        await using var connection = await _to.Source.OpenConnectionAsync(cancel);
        foreach (var name in Engine.NamesOf(connection, PostgresKeys.Tables))
            PostgresKeys.Advance(connection, name, GivenKeys(name));
        long rows = 0;
        foreach (var table in _tables) rows += await CompareAsync(table, connection, report, cancel);
        await NoteAsync(connection, "", rows, copied: true, cancel);
        return rows;
    }

    public async ValueTask DisposeAsync()
    {
        await _from.DisposeAsync();
        await _to.DisposeAsync();
    }

    /// <summary>A table whose rows have no numbers is read from a copy, in the order of its keys, that has them: it stands
    /// before the table of the same name.</summary>
    private static void NumberRows(SqliteConnection from)
    {
        foreach (var name in Engine.NamesOf(from,
            "select name from sqlite_master where type = 'table' and lower(sql) like '%without rowid%' order by name"))
        {
            var keys = Engine.NamesOf(from, $"select name from pragma_table_info('{name}') where pk > 0 order by pk");
            Execute(from, $"create temp table {name} as select * from main.{name} order by {string.Join(", ", keys)}");
        }
    }

    /// <summary>Tables that no migration makes: the identities of events have one for each day.</summary>
    private static async Task MakeMissingAsync(
        SqliteConnection from, PostgresEngine to, IReadOnlyList<StoreTable> tables, CancellationToken cancel)
    {
        var present = to.Tables().ToHashSet();
        await using var connection = await to.Source.OpenConnectionAsync(cancel);
        foreach (var table in tables.Where(t => !present.Contains(t.Name)))
        {
            var made = Engine.NamesOf(from, $"select sql from sqlite_master where type = 'table' and name = '{table.Name}'")[0];
            // how SQLite lays rows out is its own affair
            made = made.Replace("without rowid", "", StringComparison.OrdinalIgnoreCase);
            Execute(connection, PostgresDialect.Translate(made + "\n"));
        }
    }

    /// <summary>The target is ours: it is empty but for what migrations put there, or we began with it before.</summary>
    private async Task ClaimAsync(CancellationToken cancel)
    {
        await using var connection = await _to.Source.OpenConnectionAsync(cancel);
        await using var transaction = await connection.BeginTransactionAsync(cancel);
        var known = Engine.NamesOf(connection, "select source from copies where name = ''");
        if (known.Count > 0 && known[0] != _source)
            throw new StorageException($"{_to.Name} holds a copy of another store. Copy into an empty database.");
        var ended = Engine.NamesOf(connection, "select 'x' from copies where name = '' and copied = 1");
        if (known.Count > 0 && ended.Count > 0 && Engine.NamesOf(connection, "select 'x' from journals where seen_at > 0").Count > 0)
            throw new StorageException($"{_to.Name} was copied into before, and nodes have used it since.");
        if (known.Count == 0)
        {
            var seeded = Seeded();
            foreach (var table in _tables)
            {
                if (Count(connection, table.Name) > seeded.GetValueOrDefault(table.Name))
                    throw new StorageException(
                        $"{_to.Name} is not empty: {table.Name} has rows. Copy into an empty database.");
            }

            foreach (var table in _tables.Reverse()) Execute(connection, $"delete from {table.Name}");
            await NoteAsync(connection, "", 0, copied: false, cancel);
        }

        await transaction.CommitAsync(cancel);
    }

    private async Task CopyAsync(StoreTable table, Action<CopyProgress> report, CancellationToken cancel)
    {
        var (last, copied) = await ReachedAsync(table, cancel);
        var rows = Count(_from, table.Name);
        var done = copied ? rows : Count(_from, $"{table.Name} where rowid <= {last}");
        while (!copied)
        {
            await using var connection = await _to.Source.OpenConnectionAsync(cancel);
            await using var transaction = await connection.BeginTransactionAsync(cancel);
            var (count, reached) = await WriteBatchAsync(table, connection, last, cancel);
            copied = count < BatchRows;
            await NoteAsync(connection, table.Name, reached, copied, cancel);
            await transaction.CommitAsync(cancel);
            (last, done) = (reached, done + count);
            report(new CopyProgress(table.Name, done, rows, Checked: false));
        }
    }

    private async Task<(int Count, long Last)> WriteBatchAsync(
        StoreTable table, NpgsqlConnection connection, long last, CancellationToken cancel)
    {
        await using var select = _from.CreateCommand();
        select.CommandText = $"select rowid, {table.ColumnList} from {table.Name} where rowid > {last} " +
            $"order by rowid limit {BatchRows}";
        await using var reader = await select.ExecuteReaderAsync(cancel);
        await using var writer = await connection.BeginBinaryImportAsync(
            $"copy {table.Name} ({table.ColumnList}) from stdin (format binary)", cancel);
        var count = 0;
        while (await reader.ReadAsync(cancel))
        {
            last = reader.GetInt64(0);
            await writer.StartRowAsync(cancel);
            for (var i = 0; i < table.Columns.Count; i++)
                await WriteAsync(writer, reader, i + 1, $"{table.Name}.{table.Columns[i]}, row {last}", cancel);
            count++;
        }

        await writer.CompleteAsync(cancel);
        return (count, last);
    }

    private static Task WriteAsync(
        NpgsqlBinaryImporter writer, SqliteDataReader reader, int column, string place, CancellationToken cancel) =>
        reader.GetValue(column) switch
        {
            DBNull => writer.WriteNullAsync(cancel),
            long number => writer.WriteAsync(number, NpgsqlDbType.Bigint, cancel),
            string text when text.Contains('\0', StringComparison.Ordinal) =>
                throw new StorageException($"{place} holds a zero character, which PostgreSQL cannot keep."),
            string text => writer.WriteAsync(text, NpgsqlDbType.Text, cancel),
            byte[] bytes => writer.WriteAsync(bytes, NpgsqlDbType.Bytea, cancel),
            var other => throw new StorageException($"{place} holds a {other.GetType().Name}."),
        };

    private async Task<long> CompareAsync(
        StoreTable table, NpgsqlConnection connection, Action<CopyProgress> report, CancellationToken cancel)
    {
        var sql = $"select {table.ColumnList} from {table.Name} order by {table.KeyList}";
        await using var ours = _from.CreateCommand();
        ours.CommandText = sql;
        await using var theirs = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await using var left = await ours.ExecuteReaderAsync(cancel);
        await using var right = await theirs.ExecuteReaderAsync(cancel);
        var rows = Count(_from, table.Name);
        for (long done = 0; ; done++)
        {
            var (more, other) = (await left.ReadAsync(cancel), await right.ReadAsync(cancel));
            if (more != other)
                throw new StorageException($"{table.Name} has {(more ? "fewer" : "more")} rows in {_to.Name}: " +
                    "one of the two has changed since. Copy into an empty database.");
            if (!more || done % BatchRows == 0) report(new CopyProgress(table.Name, done, rows, Checked: true));
            if (!more) return done;
            for (var i = 0; i < table.Columns.Count; i++)
            {
                if (!Same(left.GetValue(i), right.GetValue(i)))
                    throw new StorageException(
                        $"{table.Name}.{table.Columns[i]} of the row {done + 1} by {table.KeyList} differs in {_to.Name}: " +
                        "one of the two has changed since. Copy into an empty database.");
            }
        }
    }

    private static bool Same(object left, object right) =>
        left is byte[] a && right is byte[] b ? a.AsSpan().SequenceEqual(b) : left.Equals(right);

    private async Task<(long Last, bool Copied)> ReachedAsync(StoreTable table, CancellationToken cancel)
    {
        await using var command = _to.Source.CreateCommand("select last_row, copied from copies where name = $1");
        command.Parameters.AddWithValue(table.Name);
        await using var reader = await command.ExecuteReaderAsync(cancel);
        return await reader.ReadAsync(cancel) ? (reader.GetInt64(0), reader.GetInt64(1) == 1) : (long.MinValue, false);
    }

    private async Task NoteAsync(
        NpgsqlConnection connection, string table, long last, bool copied, CancellationToken cancel)
    {
        await using var command = new NpgsqlCommand(
            "insert into copies (name, source, last_row, copied) values ($1, $2, $3, $4) " +
            "on conflict (name) do update set last_row = excluded.last_row, copied = excluded.copied", connection);
        command.Parameters.AddWithValue(table);
        command.Parameters.AddWithValue(_source);
        command.Parameters.AddWithValue(last);
        command.Parameters.AddWithValue(copied ? 1L : 0L);
        await command.ExecuteNonQueryAsync(cancel);
    }

    /// <summary>How many rows migrations alone put into each table.</summary>
    private static Dictionary<string, long> Seeded()
    {
        var folder = Directory.CreateTempSubdirectory("tollgate-copy-");
        try
        {
            var file = Path.Combine(folder.FullName, "empty.db");
            Database.Open(file).DisposeAsync().AsTask().GetAwaiter().GetResult();
            using var empty = new SqliteConnection($"Data Source={file};Pooling=False");
            empty.Open();
            return StoreTable.All(empty).ToDictionary(t => t.Name, t => Count(empty, t.Name));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Keys that were given to rows since deleted are not given again after the copy either.</summary>
    private long GivenKeys(string table)
    {
        var given = Engine.NamesOf(_from, $"select cast(seq as text) from sqlite_sequence where name = '{table}'");
        return given.Count == 0 ? 0 : long.Parse(given[0], System.Globalization.CultureInfo.InvariantCulture);
    }

    /// <summary>Tells one store from another: when its first migration ran, and on what.</summary>
    private static string SourceOf(SqliteConnection from) => Engine.NamesOf(from,
        "select cast(Applied as text) || ' ' || (select coalesce(min(id), 0) from journals) from SchemaVersions " +
        "order by SchemaVersionID limit 1")[0];

    private static long Count(DbConnection db, string from)
    {
        using var command = db.CreateCommand();
        command.CommandText = $"select count(*) from {from}";
        return (long)command.ExecuteScalar()!;
    }

    private static void Execute(DbConnection db, string sql)
    {
        using var command = db.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
