using System.Diagnostics;
using System.Text.RegularExpressions;
using Tollgate.Tests.Support;

namespace Tollgate.IntegrationTests;

/// <summary>Runs the commands of docs/operating.md in their order: a machine becomes two nodes, one of them is lost.</summary>
public sealed partial class OperatingDocsTests
{
    private const string Plans = """
        version: 1
        currency: USD
        apis:
          data: { upstream: UPSTREAM, operations: { data: GET /api/v1/data } }
        plans:
          free: { operations: [data] }
        """;

    public static bool IsInstalled => PostgresServer.IsInstalled && Tool.IsInstalled("pg_dump");

    [Fact(Skip = Cluster.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task The_commands_of_the_page_do_what_it_says()
    {
        using var folder = new TempFolder();
        using var postgres = PostgresServer.StartNew();
        await using var upstream = await Upstream.StartAsync();
        var file = await Setup.WriteAsync(folder, Plans, upstream);
        var where = $"postgresql://postgres@127.0.0.1:{postgres.Port}/{postgres.NewName()}";
        string key;
        using (var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file))
        {
            key = await Setup.SubscribeAsync(server.Admin, "fred", "free");
            Assert.Equal(10, await Setup.CallAsync(server.Proxy, "/api/v1/data", key, 10));
            Assert.Equal(0, await server.StopAsync());
        }

        var blocks = Blocks().Matches(await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/operating.md")))
            .Select(m => m.Groups[1].Value).ToArray();
        Assert.Contains("tollgate copy", blocks[0], StringComparison.Ordinal);
        await RunAsync(folder, where, blocks[0]);
        Directory.CreateDirectory(folder.Of("lost"));
        File.Copy(Path.Combine(folder.Of("data"), "install.key"), Path.Combine(folder.Of("lost"), "install.key"));
        using (var one = await ServerProcess.StartAsync(folder.Of("data"), "--config", file, "--database", where))
        using (var lost = await ServerProcess.StartAsync(folder.Of("lost"), "--config", file, "--database", where))
        {
            Assert.Equal(20, await Setup.CallAsync(lost.Proxy, "/api/v1/data", key, 20));
            await lost.KillAsync();
            foreach (var block in blocks[1..^2]) await RunAsync(folder, where, block);
            Assert.Equal(30, await Setup.UsageAsync(one.Admin));
            Assert.Equal(0, await one.StopAsync());
        }

        foreach (var block in blocks[^2..]) await RunAsync(folder, where, block);
    }

    private static async Task RunAsync(TempFolder folder, string database, string commands)
    {
        var dll = Path.Combine(AppContext.BaseDirectory, "Tollgate.Server.dll");
        var info = new ProcessStartInfo("bash", ["-c", $"set -e; tollgate() {{ dotnet '{dll}' \"$@\"; }}; {commands}"])
        {
            WorkingDirectory = folder.Path,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        info.Environment["TOLLGATE_DATABASE"] = database;
        using var process = Process.Start(info)!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{commands}\n{await output}\n{await errors}");
    }

    [GeneratedRegex("```sh\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Blocks();
}
