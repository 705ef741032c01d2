using Microsoft.Data.Sqlite;

namespace Tollgate.Storage;

/// <summary>A table as SQLite describes it.</summary>
/// <param name="Keys">The columns of its primary key.</param>
internal sealed record StoreTable(string Name, IReadOnlyList<string> Columns, IReadOnlyList<string> Keys)
{
    public string ColumnList => string.Join(", ", Columns);

    public string KeyList => string.Join(", ", Keys.Count > 0 ? Keys : Columns);

    /// <summary>All of ours, those that others refer to first. What belongs to one store only stays out.</summary>
    public static IReadOnlyList<StoreTable> All(SqliteConnection db)
    {
        var tables = Engine.NamesOf(db,
            "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' " +
            "and name not in ('SchemaVersions', 'copies') order by name");
        var ordered = new List<StoreTable>();
        foreach (var table in tables) Add(db, table, ordered);
        return ordered;
    }

    private static void Add(SqliteConnection db, string name, List<StoreTable> ordered)
    {
        if (ordered.Exists(t => t.Name == name)) return;
        foreach (var parent in Engine.NamesOf(db, $"select distinct \"table\" from pragma_foreign_key_list('{name}')"))
        {
            if (parent != name) Add(db, parent, ordered);
        }

        ordered.Add(new StoreTable(
            name,
            Engine.NamesOf(db, $"select name from pragma_table_info('{name}') order by cid"),
            Engine.NamesOf(db, $"select name from pragma_table_info('{name}') where pk > 0 order by pk")));
    }
}
