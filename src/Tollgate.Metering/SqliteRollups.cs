using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Tollgate.Metering;

/// <summary>
/// The same statement as everywhere, by SQLite's own calls: parameters are bound by their number and nothing is boxed.
/// Through ADO.NET each of them is looked up by its name for each row, which takes longer than the row itself.
/// </summary>
internal static class SqliteRollups
{
    /// <summary>Runs the statement once for each row, inside the transaction of the connection.</summary>
    /// <param name="db">Within a transaction.</param>
    /// <param name="sql">With as many parameters as a row has values, in their order.</param>
    /// <param name="rows">How many.</param>
    /// <param name="fill">Writes the values of a row.</param>
    /// <param name="columns">How many values a row has.</param>
    /// <exception cref="SqliteException">A row was refused; the transaction is to be rolled back.</exception>
    public static void Run(SqliteConnection db, string sql, int rows, FillRow fill, int columns)
    {
        Span<long> values = stackalloc long[columns];
        Check(db, raw.sqlite3_prepare_v2(db.Handle, sql, out var statement));
        using (statement)
        {
            for (var row = 0; row < rows; row++)
            {
                fill(row, values);
                for (var i = 0; i < columns; i++) Check(db, raw.sqlite3_bind_int64(statement, i + 1, values[i]));
                var done = raw.sqlite3_step(statement);
                if (done != raw.SQLITE_DONE) throw Refused(db, done);
                Check(db, raw.sqlite3_reset(statement));
            }
        }
    }

    /// <summary>Runs the statement once for each row of at most four values, inside the transaction of the connection.</summary>
    /// <returns>The rows that it found, when it is a question, or that it has written.</returns>
    /// <exception cref="SqliteException">A row was refused; the transaction is to be rolled back.</exception>
    public static List<int> Which(SqliteConnection db, string sql, int rows, FillRow fill, int columns)
    {
        var which = new List<int>();
        Span<long> values = stackalloc long[4];
        Check(db, raw.sqlite3_prepare_v2(db.Handle, sql, out var statement));
        using (statement)
        {
            for (var row = 0; row < rows; row++)
            {
                fill(row, values);
                for (var i = 0; i < columns; i++) Check(db, raw.sqlite3_bind_int64(statement, i + 1, values[i]));
                var done = raw.sqlite3_step(statement);
                if (done is not (raw.SQLITE_DONE or raw.SQLITE_ROW)) throw Refused(db, done);
                var question = raw.sqlite3_column_count(statement) > 0;
                if (question ? done == raw.SQLITE_ROW : raw.sqlite3_changes(db.Handle) > 0) which.Add(row);
                Check(db, raw.sqlite3_reset(statement));
            }
        }

        return which;
    }

    private static void Check(SqliteConnection db, int result)
    {
        if (result != raw.SQLITE_OK) throw Refused(db, result);
    }

    private static SqliteException Refused(SqliteConnection db, int result) => new(
        raw.sqlite3_errmsg(db.Handle).utf8_to_string(), result & 0xFF, raw.sqlite3_extended_errcode(db.Handle));
}

/// <summary>Writes the values of a row, by its number.</summary>
internal delegate void FillRow(int row, Span<long> values);
