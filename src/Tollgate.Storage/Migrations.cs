using System.Reflection;

namespace Tollgate.Storage;

/// <summary>The SQL files beside this class, run once each in the order of their names; forward only. Where the engines
/// must differ, a file ends in <c>.sqlite.sql</c> or <c>.postgres.sql</c> and runs on that one alone.</summary>
internal static class Migrations
{
    private const string Prefix = "Tollgate.Storage.Migrations.";

    private static readonly string[] s_scripts = Assembly.GetExecutingAssembly().GetManifestResourceNames()
        .Where(n => n.EndsWith(".sql", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToArray();

    /// <exception cref="StorageException">A newer version wrote the store, or a script failed (and left nothing).</exception>
    public static IReadOnlyList<string> Apply(Engine engine)
    {
        // nodes that start together: one migrates, the others find it done
        using var turn = engine.LockMigrations();
        RefuseForeign(engine);
        var upgrade = engine.Migrator()
            .WithScriptsEmbeddedInAssembly(Assembly.GetExecutingAssembly(), name => IsFor(engine, name))
            .WithVariablesDisabled()
            .WithTransactionPerScript()
            .LogToNowhere()
            .Build()
            .PerformUpgrade();
        if (!upgrade.Successful)
            throw new StorageException($"{engine.Name} could not be migrated: " +
                $"{upgrade.ErrorScript?.Name.Replace(Prefix, "", StringComparison.Ordinal)}: " +
                $"{engine.WhyFailed(upgrade.Error) ?? upgrade.Error.Message}", upgrade.Error);
        if (upgrade.Scripts.Any()) engine.AfterMigrations();
        return [.. upgrade.Scripts.Select(s => s.Name.Replace(Prefix, "", StringComparison.Ordinal))];
    }

    private static bool IsFor(Engine engine, string script) =>
        script.EndsWith(".sql", StringComparison.Ordinal)
        && !script.EndsWith(engine is SqliteEngine ? ".postgres.sql" : ".sqlite.sql", StringComparison.Ordinal);

    /// <summary>A database of somebody else, or of a newer Tollgate, is left as it is.</summary>
    private static void RefuseForeign(Engine engine)
    {
        var tables = engine.Tables();
        if (tables.Count == 0) return;
        if (!tables.Contains(engine.JournalTable))
            throw new StorageException($"{engine.Name} is a database, but not Tollgate's (its first table is " +
                $"{tables[0]}). {(engine is SqliteEngine ? "Point --data at another folder." : "Name another one.")}");
        var newer = engine.Names($"select ScriptName from {engine.JournalTable}").Except(s_scripts).ToArray();
        if (newer.Length > 0)
            throw new StorageException($"{engine.Name} was written by a newer Tollgate (it knows {newer[0]}). " +
                "Run that version, or restore a backup of before the upgrade.");
    }
}
