using System.Diagnostics;
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
        const string delay = "TOLLGATE_LEAVE_DELAY=";
        var leaves = int.Parse(lines.Single(l => l[1].StartsWith(delay, StringComparison.Ordinal))[1][delay.Length..]);
        Assert.True(leaves > 0, "a balancer has to see that it stops");
        Assert.True(int.Parse(lines.Single(l => l[0] == "TimeoutStopSec")[1])
            > leaves + new TollgateOptions().StopTimeout.TotalSeconds);
    }

    [Fact]
    public void The_unit_keeps_its_data_where_the_service_may_write()
    {
        var text = File.ReadAllText(Path.Combine(s_root, "deploy", "tollgate.service"));
        var state = Regex.Match(text, "^StateDirectory=(.*)$", RegexOptions.Multiline).Groups[1].Value;
        Assert.Contains($"Environment=TOLLGATE_DATA=/var/lib/{state}\n", text, StringComparison.Ordinal);
        Assert.Contains("ProtectSystem=strict", text, StringComparison.Ordinal);
        Assert.Equal(["[Unit]", "[Service]", "[Install]"], Regex.Matches(text, @"^\[.*\]$", RegexOptions.Multiline).Select(m => m.Value));
    }

    [Fact]
    public void The_stateful_set_names_only_what_it_defines_and_has_time_to_stop()
    {
        var all = Documents("kubernetes/tollgate.yaml");
        var set = all.Single(d => Text(d, "kind") == "StatefulSet");
        var pod = At(set, "spec", "template", "spec");
        var labels = Text(At(set, "spec", "template", "metadata", "labels"), "app");
        Assert.All(all, d => Assert.Equal(labels, Text(Text(d, "kind") == "Service"
            ? At(d, "spec", "selector") : At(d, "spec", "selector", "matchLabels"), "app")));
        Assert.Contains(all, d => Text(d, "kind") == "Service"
            && Text(At(d, "metadata"), "name") == Text(At(set, "spec"), "serviceName"));
        var volumes = List(pod, "volumes").Select(v => Text(v, "name"))
            .Concat(List(At(set, "spec"), "volumeClaimTemplates").Select(v => Text(At(v, "metadata"), "name"))).ToHashSet();
        var container = Assert.Single(List(pod, "containers"));
        Assert.Equal(volumes, List(container, "volumeMounts").Select(m => Text(m, "name")).ToHashSet());
        var ports = List(container, "ports").Select(p => Text(p, "name")).ToArray();
        foreach (var probe in new[] { "readinessProbe", "livenessProbe" })
            Assert.Contains(Text(At(container, probe, "httpGet"), "port"), ports);
        var environment = List(container, "env").ToDictionary(e => Text(e, "name"), StringComparer.Ordinal);
        Assert.Equal("/data", Text(environment["TOLLGATE_DATA"], "value"));
        Assert.Contains(List(container, "volumeMounts"), m => Text(m, "mountPath") == "/data");
        var leaves = int.Parse(Text(environment["TOLLGATE_LEAVE_DELAY"], "value"));
        Assert.True(leaves > 0, "a balancer has to see that it stops");
        var needed = leaves + new TollgateOptions().StopTimeout.TotalSeconds;
        Assert.True(int.Parse(Text(pod, "terminationGracePeriodSeconds")) > needed);
    }

    [Fact]
    public void The_compose_file_names_only_volumes_that_it_declares_and_its_redis_keeps_its_memory()
    {
        var file = Assert.Single(Documents("compose.yaml"));
        var declared = At(file, "volumes").Children.Keys.Select(k => k.ToString()).ToHashSet();
        var services = At(file, "services");
        var used = services.Children.Values.OfType<YamlMappingNode>().SelectMany(s => List(s, "volumes"))
            .Select(v => v.ToString().Split(':')[0]).Where(v => v[0] != '.').ToHashSet();
        Assert.Equal(declared, used);
        Assert.Equal(["redis-server", "--appendonly", "yes"], List(At(services, "redis"), "command").Select(w => w.ToString()));
        Assert.All(List(At(services, "node-1"), "depends_on"), d => Assert.Contains(d, services.Children.Keys));
    }

    [Fact]
    public async Task The_balancers_file_is_one_that_HAProxy_takes()
    {
        const string haproxy = "/usr/sbin/haproxy";
        Assert.SkipUnless(File.Exists(haproxy), "HAProxy is not installed: dotnet dev.cs install");
        using var check = Process.Start(new ProcessStartInfo(haproxy, ["-c", "-f", Path.Combine(s_root, "deploy", "haproxy.cfg")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var said = check.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await check.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(check.ExitCode == 0, await said);
    }

    private static YamlMappingNode[] Documents(string file)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(File.ReadAllText(Path.Combine(s_root, "deploy", file))));
        return [.. stream.Documents.Select(d => (YamlMappingNode)d.RootNode)];
    }

    private static YamlMappingNode At(YamlNode node, params string[] path) =>
        (YamlMappingNode)path.Aggregate(node, (at, name) => at[name]);

    private static string Text(YamlNode node, string name) => node[name].ToString();

    private static IEnumerable<YamlNode> List(YamlNode node, string name) =>
        node is YamlMappingNode map && map.Children.TryGetValue(name, out var list) ? ((YamlSequenceNode)list).Children : [];

    private static string Find(string folder) =>
        File.Exists(Path.Combine(folder, "Tollgate.slnx")) ? folder : Find(Path.GetDirectoryName(folder)!);
}
