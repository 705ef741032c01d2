using DuckDB.NET.Data;

namespace Tollgate.Metering;

/// <summary>A DuckDB in memory that reads and writes the archive's files, bounded in threads and memory.</summary>
internal static class DuckDb
{
    private const string Memory = "512MB";

    /// <summary>Instants are those of UTC; what does not fit into the memory goes to the folder.</summary>
    public static DuckDBConnection Open(string spill)
    {
        var connection = new DuckDBConnection("DataSource=:memory:");
        try
        {
            connection.Open();
            Run(connection, "set threads = 1; set memory_limit = '" + Memory + "'; set timezone = 'UTC'; " +
                $"set temp_directory = {Text(Path.Combine(spill, ".spill"))}; set preserve_insertion_order = true");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>A text literal.</summary>
    public static string Text(string text) => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'";

    public static string List(IEnumerable<string> texts) => $"[{string.Join(", ", texts.Select(Text))}]";

    public static void Run(DuckDBConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
