using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using Tollgate.Tests.Support;

namespace Tollgate.IntegrationTests;

/// <summary>The built server as a process of its own, on free ports, with a data folder that outlives it.</summary>
internal sealed class ServerProcess : IDisposable
{
    private readonly Process _process;

    private ServerProcess(Process process, StringBuilder output) => (_process, Output) = (process, output);

    /// <summary>Of the process, for who looks at it from outside.</summary>
    public int Id => _process.Id;

    /// <summary>The most memory that it has had resident, in KB.</summary>
    public long Peak => long.Parse(File.ReadLines($"/proc/{Id}/status").First(l => l.StartsWith("VmHWM:", StringComparison.Ordinal))
        .Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture);

    public required Uri Proxy { get; init; }

    public required Uri Admin { get; init; }

    /// <summary>All that it printed, both streams.</summary>
    public StringBuilder Output { get; }

    private static string Dll => Path.Combine(AppContext.BaseDirectory, "Tollgate.Server.dll");

    /// <summary>Starts <c>run</c> (or another serving command) and waits until it is ready.</summary>
    public static Task<ServerProcess> StartAsync(string data, params string[] more) => StartAsync(data, ready: true, more);

    /// <param name="data">The data folder.</param>
    /// <param name="ready">False: only until it answers, though it may not be able to admit calls.</param>
    /// <param name="more">The command and its further options.</param>
    public static Task<ServerProcess> StartAsync(string data, bool ready, params string[] more) =>
        StartOnAsync(data, ready, Ports.Free(), Ports.Free(), more);

    /// <summary>Starts where another one listened before.</summary>
    public static Task<ServerProcess> StartAgainAsync(ServerProcess before, string data, params string[] more) =>
        StartOnAsync(data, ready: true, Ports.Free(), before.Admin.Port, more);

    /// <summary>Starts on these ports.</summary>
    public static async Task<ServerProcess> StartOnAsync(string data, bool ready, int proxy, int admin, string[] more)
    {
        string[] command = more is ["demo", ..] ? more : ["run", .. more, .. StoreOf(data, more)];
        var process = Start([.. command, "--data", data, "--proxy", $"http://127.0.0.1:{proxy}", "--admin",
            $"http://127.0.0.1:{admin}"], data, out var output);
        var server = new ServerProcess(process, output)
        {
            Proxy = new Uri($"http://127.0.0.1:{proxy}"),
            Admin = new Uri($"http://127.0.0.1:{admin}"),
        };
        try
        {
            await server.AwaitAsync(ready ? "/readyz" : "/healthz");
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    public Task AwaitReadyAsync() => AwaitAsync("/readyz");

    private async Task AwaitAsync(string path)
    {
        using var client = new HttpClient();
        for (var i = 0; i < 600; i++)
        {
            if (_process.HasExited) throw new InvalidOperationException($"The server ended: {Output}");
            try
            {
                using var answer = await client.GetAsync(new Uri(Admin, path));
                if (answer.StatusCode == HttpStatusCode.OK) return;
            }
            catch (Exception e) when (e is HttpRequestException or System.Net.Sockets.SocketException)
            {
                // not yet
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }

        throw new InvalidOperationException($"{path} was not answered with 200 within 30 s: {Output}");
    }

    /// <summary>Runs a command of the server to its end.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(string folder, params string[] command)
    {
        if (command is ["verify", .., "--data", var data]) command = [.. command, .. StoreOf(data, command)];
        using var process = Start(command, folder, out var output);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60), TimeProvider.System);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw new InvalidOperationException($"'{string.Join(' ', command)}' did not end: {output}");
        }

        return (process.ExitCode, output.ToString());
    }

    /// <summary>With <c>TOLLGATE_TEST_DATABASE=postgres</c>, a database for this data folder, where a test names none.</summary>
    private static string[] StoreOf(string data, string[] given) =>
        Environment.GetEnvironmentVariable("TOLLGATE_TEST_DATABASE") == "postgres" && !given.Contains("--database")
            ? ["--database", PostgresServer.Shared.For(data)] : [];

    /// <summary>SIGKILL: nothing of it runs any more, nothing was said to it before.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Under <c>nohup</c> this process and its children ignore SIGHUP, and .NET leaves it so.</summary>
    public static bool IgnoresHangups => File.ReadLines("/proc/self/status")
        .First(l => l.StartsWith("SigIgn:", StringComparison.Ordinal)) is [.., var last]
        && (Convert.ToInt32(last.ToString(), 16) & 1) != 0;

    /// <summary>SIGHUP.</summary>
    public async Task HangUpAsync()
    {
        using var kill = Process.Start("kill", ["-HUP", _process.Id.ToString()]);
        await kill.WaitForExitAsync();
    }

    /// <summary>SIGTERM; answers the exit code.</summary>
    public async Task<int> StopAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", _process.Id.ToString()]);
        await kill.WaitForExitAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30), TimeProvider.System);
        await _process.WaitForExitAsync(patience.Token);
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited) _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static Process Start(string[] command, string folder, out StringBuilder output)
    {
        Directory.CreateDirectory(folder);
        var info = new ProcessStartInfo("dotnet", [Dll, .. command])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        foreach (var name in info.Environment.Keys.Where(k => k.StartsWith("TOLLGATE_", StringComparison.Ordinal)).ToArray())
            info.Environment.Remove(name);
        var text = output = new StringBuilder();
        var process = Process.Start(info)!;
        process.OutputDataReceived += (_, e) => Take(e.Data);
        process.ErrorDataReceived += (_, e) => Take(e.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;

        void Take(string? line)
        {
            if (line is null) return;
            lock (text) text.AppendLine(line);
        }
    }
}

/// <summary>A folder for one test, gone afterwards.</summary>
internal sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("tollgate-it-").FullName;

    public string Of(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

/// <summary>A tool from a Debian package, run to its end.</summary>
internal static class Tool
{
    public static async Task<(int ExitCode, string Output)> RunAsync(
        string file, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var info = new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) info.Environment[name] = value;
        using var process = Process.Start(info)!;
        var lines = new ConcurrentQueue<string>();
        process.OutputDataReceived += (_, e) => lines.Enqueue(e.Data ?? "");
        process.ErrorDataReceived += (_, e) => lines.Enqueue(e.Data ?? "");
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await process.WaitForExitAsync();
        return (process.ExitCode, string.Join('\n', lines));
    }

    public static bool IsInstalled(string name) => (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(':').Any(folder => File.Exists(Path.Combine(folder, name)));
}

internal static class Repository
{
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    private static string Find(string folder) =>
        File.Exists(Path.Combine(folder, "Tollgate.slnx")) ? folder : Find(Path.GetDirectoryName(folder)!);
}
