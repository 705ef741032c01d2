using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Tollgate.Tests.Support;

namespace Tollgate.IntegrationTests;

/// <summary>What keeps the program from starting is said in words, with an exit code, and nothing is half started.
/// </summary>
public sealed class StartupTests
{
    private static readonly string[] s_anyPorts = ["--proxy", "http://127.0.0.1:0", "--admin", "http://127.0.0.1:0"];

    private const string Good = "version: 1\ncurrency: USD\n";

    [Fact]
    public async Task A_faulty_file_names_every_fault_with_its_place_and_makes_no_data_folder()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder.Of("bad.yaml"), """
            version: 1
            currency: USX
            colour: red
            apis:
              a: { upstream: "http://127.0.0.1:1", operations: { x: GET /x } }
            plans:
              free: { operations: [y], limits: [-5/minute] }
            """);
        foreach (var command in (string[][])[["validate", "bad.yaml"], ["run", "--config", "bad.yaml", "--data", "d", .. s_anyPorts]])
        {
            var (code, output) = await ServerProcess.RunAsync(folder.Path, command);
            Assert.Equal(1, code);
            Assert.Contains("bad.yaml:2:11: currency", output);
            Assert.Contains("bad.yaml:3:1: colour", output);
            Assert.Contains("bad.yaml:7:24: plans.free.operations[0]", output);
            Assert.Contains("bad.yaml:7:37: plans.free.limits[0]", output);
        }

        Assert.False(Directory.Exists(folder.Of("d")));
    }

    [Fact]
    public async Task A_good_file_is_valid()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder.Of("tollgate.yaml"), Good);
        var (code, output) = await ServerProcess.RunAsync(folder.Path, "validate");
        Assert.Equal((0, "tollgate.yaml: 0 APIs, 0 operations, 0 plans, USD: valid"), (code, output.Trim()));
    }

    [Fact]
    public async Task A_file_that_is_not_there_a_bad_option_and_a_bad_word_have_their_exit_codes()
    {
        using var folder = new TempFolder();
        Assert.Equal(1, (await ServerProcess.RunAsync(folder.Path, ["run", "--config", "none.yaml", .. s_anyPorts])).ExitCode);
        foreach (var (option, value) in new[] { ("--proxy", "nonsense"), ("--admin", "https://127.0.0.1:8001"),
            ("--test-clock", "tomorrow"), ("--data", "") })
        {
            var (code, output) = await ServerProcess.RunAsync(folder.Path, "run", option, value);
            Assert.Equal(2, code);
            Assert.StartsWith(option, output);
        }

        Assert.Equal(2, (await ServerProcess.RunAsync(folder.Path, "runn")).ExitCode);
        Assert.Equal(2, (await ServerProcess.RunAsync(folder.Path, "invoice")).ExitCode);
        Assert.Equal(3, (await ServerProcess.RunAsync(
            folder.Path, "usage", "--admin", $"http://127.0.0.1:{Ports.Free()}")).ExitCode);
        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_port_in_use_is_named_before_anything_is_made()
    {
        using var folder = new TempFolder();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        foreach (var option in (string[])["--proxy", "--admin"])
        {
            var other = option == "--proxy" ? "--admin" : "--proxy";
            var (code, output) = await ServerProcess.RunAsync(folder.Path, "run", "--data", "d", option,
                $"http://127.0.0.1:{port}", other, $"http://127.0.0.1:{Ports.Free()}");
            Assert.Equal(1, code);
            Assert.Contains($"{option} http://127.0.0.1:{port} cannot be listened on", output);
        }

        Assert.False(Directory.Exists(folder.Of("d")));
    }

    [Fact]
    public async Task A_database_that_is_none_or_somebody_elses_is_named_and_left_alone()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder.Of("d"));
        var garbage = new byte[8_192];
        new Random(1).NextBytes(garbage);
        await File.WriteAllBytesAsync(folder.Of("d/tollgate.db"), garbage);
        var (code, output) = await RunAsync();
        Assert.Equal(1, code);
        Assert.Contains("tollgate.db is not a Tollgate database", output);
        Assert.Equal(garbage, await File.ReadAllBytesAsync(folder.Of("d/tollgate.db")));

        File.Delete(folder.Of("d/tollgate.db"));
        await using (var other = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={folder.Of("d/tollgate.db")};Pooling=False"))
        {
            await other.OpenAsync();
            await using var create = other.CreateCommand();
            create.CommandText = "create table recipes (name text)";
            await create.ExecuteNonQueryAsync();
        }

        (code, output) = await RunAsync();
        Assert.Equal(1, code);
        Assert.Contains("recipes", output);

        Task<(int, string)> RunAsync() => ServerProcess.RunAsync(folder.Path, ["run", "--data", "d", .. s_anyPorts]);
    }

    [Fact]
    public async Task A_second_process_on_one_data_folder_is_refused_and_the_first_goes_on()
    {
        using var folder = new TempFolder();
        using var first = await ServerProcess.StartAsync(folder.Of("d"));
        var (code, output) = await ServerProcess.RunAsync(folder.Path, ["run", "--data", "d", .. s_anyPorts]);
        Assert.Equal(1, code);
        Assert.Contains("in use", output);
        using var client = new HttpClient();
        Assert.Equal("ready", await client.GetStringAsync(new Uri(first.Admin, "/readyz")));
    }

    [Fact]
    public async Task A_failure_that_nobody_foresaw_is_one_line_first_and_then_the_exception()
    {
        using var folder = new TempFolder();
        using (var first = await ServerProcess.StartAsync(folder.Of("d"))) await first.StopAsync();
        await using (var store = new Microsoft.Data.Sqlite.SqliteConnection(
            $"Data Source={folder.Of("d/tollgate.db")};Pooling=False"))
        {
            await store.OpenAsync();
            await using var spoil = store.CreateCommand();
            spoil.CommandText = "insert into config_objects (id, kind, name, managed_by, document, created_at, updated_at) " +
                "values ('0123456789abcdef0123456789abcdef', 'plan', 'p', 'kong', '{', 0, 0)";
            await spoil.ExecuteNonQueryAsync();
        }

        var (code, output) = await ServerProcess.RunAsync(folder.Path, ["run", "--data", "d", .. s_anyPorts]);
        Assert.Equal(1, code);
        Assert.StartsWith("tollgate ends, for a reason that it does not know: ", output);
        Assert.DoesNotContain("Unhandled", output);
    }

    [Fact]
    public async Task The_demo_leaves_a_folder_alone_that_it_did_not_make()
    {
        using var folder = new TempFolder();
        foreach (var name in (string[])["tollgate.yaml", "demo.yaml"])
        {
            Directory.CreateDirectory(folder.Of("mine"));
            await File.WriteAllTextAsync(folder.Of("mine/" + name), Good);
            var (code, output) = await ServerProcess.RunAsync(folder.Path, ["demo", "--data", "mine", .. s_anyPorts]);
            Assert.Equal(1, code);
            Assert.Contains("mine holds something that the demo did not make", output);
            Assert.Equal([folder.Of("mine/" + name)], Directory.GetFileSystemEntries(folder.Of("mine")));
            Assert.Equal(Good, await File.ReadAllTextAsync(folder.Of("mine/" + name)));
            Directory.Delete(folder.Of("mine"), recursive: true);
        }
    }

    [Fact]
    public async Task Every_line_that_the_demo_prints_works_and_the_last_one_shows_an_invoice()
    {
        using var folder = new TempFolder();
        for (var start = 0; start < 2; start++)
        {
            using var demo = await ServerProcess.StartAsync(folder.Of("demo-data"), "demo");
            for (var i = 0; i < 100 && !demo.Output.ToString().Contains("Ctrl-C", StringComparison.Ordinal); i++)
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
            var printed = Regex.Replace(demo.Output.ToString(), @"\\\r?\n\s*", " ");
            var commands = printed.Split('\n')
                .Where(l => l.StartsWith("curl", StringComparison.Ordinal) || l.StartsWith("seq", StringComparison.Ordinal))
                .ToArray();
            Assert.Equal(7, commands.Length);
            var answers = new List<string>();
            foreach (var command in commands)
            {
                var (code, output) = await Tool.RunAsync("bash", ["-c", command]);
                Assert.True(code == 0, $"{command}\n{output}");
                answers.Add(output);
            }

            Assert.Contains("200 OK", answers[0]);
            Assert.Contains("key_missing", answers[1]);
            Assert.Contains("operation_not_in_plan", answers[2]);
            // the second start is in the same minute, most likely: its window is the first one's, and used up
            if (start == 0) Assert.Matches(@"1[0-3]\d 200", answers[3]);
            Assert.Equal(130, Regex.Matches(answers[3], @"(\d+) (200|429)").Sum(m => int.Parse(m.Groups[1].Value)));
            Assert.Contains("pro_user_1", answers[5]);
            Assert.Contains("DRAFT INVOICE", answers[6]);
            Assert.Contains($"{20 * (start + 1)} calls × 0.01", answers[6]);
        }
    }
}
