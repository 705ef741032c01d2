using System.Text.RegularExpressions;
using Tollgate.Storage;

namespace Tollgate.Tests.House;

/// <summary>Nodes of the version before go on beside a new one (docs/decisions/0072): so tables only gain.</summary>
public sealed partial class MigrationRuleTests
{
    /// <summary>Before it there was one node, which migrates alone.</summary>
    private const string FirstOfSeveral = "0070";

    public static TheoryData<string> Files => [.. typeof(Database).Assembly.GetManifestResourceNames()
        .Where(n => n.EndsWith(".sql", StringComparison.Ordinal)).Select(n => n["Tollgate.Storage.Migrations.".Length..])
        .Where(n => string.CompareOrdinal(n, FirstOfSeveral) >= 0).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Files))]
    public void A_migration_takes_nothing_away_that_a_running_node_may_use(string file)
    {
        using var reader = new StreamReader(
            typeof(Database).Assembly.GetManifestResourceStream($"Tollgate.Storage.Migrations.{file}")!);
        Assert.Empty(Wrong(reader.ReadToEnd()));
    }

    [Theory]
    [InlineData("drop table customers;", 1)]
    [InlineData("alter table customers drop column name;", 1)]
    [InlineData("alter table customers rename to clients;", 1)]
    [InlineData("alter table customers rename column name to title;", 1)]
    [InlineData("alter table customers alter column name set not null;", 1)]
    [InlineData("alter table customers add column vat text not null;", 1)]
    [InlineData("create unique index by_name on customers (name);", 1)]
    [InlineData("create table notes (name text not null); create unique index by_name on notes (name);", 0)]
    [InlineData("alter table customers add column vat text; -- drop table customers\ncreate index by_vat on customers (vat);", 0)]
    [InlineData("alter table customers add column vat text not null default '';\ninsert into meter_keys values (1);", 0)]
    [InlineData("create function f() returns trigger language plpgsql as $$ begin drop table x; end $$;", 0)]
    public void What_takes_something_away_is_found(string sql, int wrong) => Assert.Equal(wrong, Wrong(sql).Count);

    private static List<string> Wrong(string sql)
    {
        var text = Bodies().Replace(Comments().Replace(sql, ""), "");
        var statements = text.Split(';').Select(s => Blanks().Replace(s, " ").Trim()).Where(s => s.Length > 0).ToArray();
        var made = statements.Select(s => Made().Match(s)).Where(m => m.Success).Select(m => m.Groups[1].Value).ToHashSet();
        return [.. statements.Where(s => !IsGain(s, made))];
    }

    private static bool IsGain(string statement, HashSet<string> made) =>
        Harmless().IsMatch(statement)
        || (Column().Match(statement) is { Success: true } column
            && (!column.Groups[1].Value.Contains("not null", StringComparison.OrdinalIgnoreCase)
                || column.Groups[1].Value.Contains("default", StringComparison.OrdinalIgnoreCase)))
        || (Unique().Match(statement) is { Success: true } unique && made.Contains(unique.Groups[1].Value));

    [GeneratedRegex("--[^\n]*")]
    private static partial Regex Comments();

    [GeneratedRegex(@"\$\$.*?\$\$", RegexOptions.Singleline)]
    private static partial Regex Bodies();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();

    [GeneratedRegex(@"^create table (\w+)", RegexOptions.IgnoreCase)]
    private static partial Regex Made();

    [GeneratedRegex(@"^(create (table|index|sequence|function) |insert into |update |delete from )", RegexOptions.IgnoreCase)]
    private static partial Regex Harmless();

    [GeneratedRegex(@"^alter table \w+ add column (.*)$", RegexOptions.IgnoreCase)]
    private static partial Regex Column();

    [GeneratedRegex(@"^create unique index \w+ on (\w+)", RegexOptions.IgnoreCase)]
    private static partial Regex Unique();
}
