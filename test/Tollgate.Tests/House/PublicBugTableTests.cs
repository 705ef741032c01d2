using System.Text.RegularExpressions;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.House;

/// <summary>docs/public-bugs.md: each bug of others has a row, and each test that stands there exists.</summary>
public sealed partial class PublicBugTableTests
{
    private const int Bugs = 51;

    [Fact]
    public void Every_public_bug_has_its_row_and_every_test_that_is_named_exists()
    {
        var rows = File.ReadAllLines(Path.Combine(Repository.Root, "docs/public-bugs.md")).Where(l => Row().IsMatch(l)).ToArray();
        Assert.Equal(
            Enumerable.Range(1, Bugs),
            rows.SelectMany(r => Row().Match(r).Groups["numbers"].Value.Split(',')).Select(n => int.Parse(n, null)));
        var tests = Directory.GetFiles(Path.Combine(Repository.Root, "test"), "*.cs", SearchOption.AllDirectories)
            .Select(File.ReadAllText).ToArray();
        var missing = from row in rows
                      from named in Named().Matches(row)
                      let type = $"class {named.Groups["type"].Value}"
                      let method = $" {named.Groups["method"].Value}("
                      where !tests.Any(t => t.Contains(type, StringComparison.Ordinal) && t.Contains(method, StringComparison.Ordinal))
                      select named.Value;
        Assert.Empty(missing);
    }

    [GeneratedRegex(@"^\| (?<numbers>\d+(, \d+)*) \|")]
    private static partial Regex Row();

    [GeneratedRegex("`(?<type>[A-Za-z]+)\\.(?<method>[A-Z]\\w+)`")]
    private static partial Regex Named();
}
