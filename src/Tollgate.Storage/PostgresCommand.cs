using System.Diagnostics.CodeAnalysis;
using System.Text.RegularExpressions;
using Npgsql;

namespace Tollgate.Storage;

/// <summary>A command of <see cref="PostgresConnection"/>: what it passes on is Npgsql's, except for a list without
/// members.</summary>
internal sealed partial class PostgresCommand(PostgresConnection connection, NpgsqlCommand inner)
    : CommandBefore(connection, inner)
{
    [AllowNull]
    public override string CommandText
    {
        get => base.CommandText;
        set => base.CommandText = value is null ? "" : WithoutEmptyLists(value);
    }

    /// <summary>Dapper writes an empty list as a query for one value of no type, which PostgreSQL takes for text.</summary>
    private static string WithoutEmptyLists(string sql) => !sql.Contains("WHERE 1 = 0)", StringComparison.Ordinal)
        ? sql
        : EmptyList().Replace(sql, m => m.Groups[1].Success ? " <> all('{}')" : " = any('{}')");

    [GeneratedRegex(@"\s+(not\s+)?in\s+\(SELECT @\w+ WHERE 1 = 0\)", RegexOptions.IgnoreCase)]
    private static partial Regex EmptyList();
}
