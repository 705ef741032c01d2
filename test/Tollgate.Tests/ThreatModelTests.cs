using System.Text.RegularExpressions;
using Tollgate.Tests.Support;

namespace Tollgate.Tests;

public sealed partial class ThreatModelTests
{
    [Fact]
    public void Every_test_that_the_threat_model_names_exists()
    {
        var root = Repository.Root;
        var sources = Directory.GetFiles(Path.Combine(root, "test"), "*Tests.cs", SearchOption.AllDirectories)
            .Select(File.ReadAllText).ToArray();
        var named = TestName().Matches(File.ReadAllText(Path.Combine(root, "THREAT_MODEL.md")))
            .Select(m => m.Groups[1].Value).Distinct().ToArray();

        var gone = named.Where(name => !sources.Any(s => s.Contains($" {name}(", StringComparison.Ordinal))).ToArray();

        Assert.True(named.Length > 20, "the page names its tests in backquotes");
        Assert.Empty(gone);
    }

    [GeneratedRegex("`([A-Z][A-Za-z0-9]*_[A-Za-z0-9_]+)`")]
    private static partial Regex TestName();
}
