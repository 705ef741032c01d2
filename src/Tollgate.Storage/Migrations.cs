using System.Reflection;
using DbUp;
using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>The SQL files beside this class, run once each in the order of their names; forward only.</summary>
internal static class Migrations
{
    private static readonly string[] s_scripts = Assembly.GetExecutingAssembly().GetManifestResourceNames()
        .Where(n => n.EndsWith(".sql", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToArray();

    /// <exception cref="StorageException">A newer version wrote the file, or a script failed (and left nothing).</exception>
    public static void Apply(string connection, string path)
    {
        RefuseForeign(connection, path);
        var upgrade = DeployChanges.To.SqliteDatabase(connection)
            .WithScriptsEmbeddedInAssembly(Assembly.GetExecutingAssembly())
            .WithVariablesDisabled()
            .WithTransactionPerScript()
            .LogToNowhere()
            .Build()
            .PerformUpgrade();
        if (!upgrade.Successful)
            throw new StorageException($"{path} could not be migrated: {upgrade.Error.Message}", upgrade.Error);
    }

    /// <summary>A database of somebody else, or of a newer Tollgate, is left as it is.</summary>
    private static void RefuseForeign(string connection, string path)
    {
        using var open = new SqliteConnection(connection);
        open.Open();
        var tables = Names(open, "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'");
        if (tables.Count == 0) return;
        if (!tables.Contains("SchemaVersions"))
            throw new StorageException($"{path} is a database, but not Tollgate's (its first table is {tables[0]}). " +
                "Point --data at another folder.");
        var newer = Names(open, "select ScriptName from SchemaVersions").Except(s_scripts).ToArray();
        if (newer.Length > 0)
            throw new StorageException($"{path} was written by a newer Tollgate (it knows {newer[0]}). " +
                "Run that version, or restore a backup of before the upgrade.");
    }

    private static List<string> Names(SqliteConnection open, string sql)
    {
        using var command = open.CreateCommand();
        command.CommandText = sql;
        using var reader = command.ExecuteReader();
        var names = new List<string>();
        while (reader.Read()) names.Add(reader.GetString(0));
        return names;
    }
}
