using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Tollgate.Tests.House;

/// <summary>What is in <c>deploy/</c> cannot run here; it has the right form, and names only settings that exist.</summary>
public sealed class DeployTests
{
    private static readonly string s_root = Find(AppContext.BaseDirectory);

    [Theory]
    [InlineData("compose.yaml", 1)]
    [InlineData("kubernetes/tollgate.yaml", 3)]
    public void Manifests_are_yaml_of_so_many_documents(string file, int documents)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(File.ReadAllText(Path.Combine(s_root, "deploy", file))));
        Assert.Equal(documents, stream.Documents.Count);
        Assert.All(stream.Documents, d => Assert.IsType<YamlMappingNode>(d.RootNode));
    }

    [Fact]
    public void Every_setting_that_they_give_is_one_of_the_server()
    {
        var known = File.ReadAllText(Path.Combine(s_root, "docs", "configuration.md"));
        var given = Directory.GetFiles(Path.Combine(s_root, "deploy"), "*", SearchOption.AllDirectories)
            .SelectMany(f => Regex.Matches(File.ReadAllText(f), @"\bTOLLGATE_(?!DB_PASSWORD|IMAGE)[A-Z_]+")).Select(m => m.Value);
        Assert.All(given.Distinct(), name => Assert.Contains($"`{name}`", known, StringComparison.Ordinal));
    }

    [Fact]
    public void The_unit_has_a_command_and_time_to_stop()
    {
        var lines = File.ReadAllLines(Path.Combine(s_root, "deploy", "tollgate.service"))
            .Where(l => l.Length > 0 && l[0] is not ('#' or '[')).Select(l => l.Split('=', 2)).ToArray();
        Assert.All(lines, l => Assert.Equal(2, l.Length));
        Assert.StartsWith("/usr/bin/tollgate run ", lines.Single(l => l[0] == "ExecStart")[1], StringComparison.Ordinal);
        Assert.True(int.Parse(lines.Single(l => l[0] == "TimeoutStopSec")[1]) > new TollgateOptions().StopTimeout.TotalSeconds);
    }

    private static string Find(string folder) =>
        File.Exists(Path.Combine(folder, "Tollgate.slnx")) ? folder : Find(Path.GetDirectoryName(folder)!);
}
