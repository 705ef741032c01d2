using System.Diagnostics;

namespace Tollgate.Tests.Support;

/// <summary>A real Redis of our own on a free port, which forgets everything when it is stopped unless it is told otherwise.</summary>
internal sealed class RedisServer : IDisposable
{
    private const string Program = "/usr/bin/redis-server";
    private readonly int _port;
    private Process _process;

    private readonly string[] _more;

    private RedisServer(int port, string[] more) => (_port, _more, _process) = (port, more, Begin(port, more));

    public static bool IsInstalled => File.Exists(Program);

    public int Port => _port;

    public int Id => _process.Id;

    public string Address => $"redis://127.0.0.1:{_port}";

    /// <param name="more">Options, as <c>--requirepass secret</c>; <c>PORT</c> in them is its port.</param>
    public static RedisServer Start(params string[] more) => new(Ports.Free(), more);

    /// <summary>A cluster of one that has all slots: scripts over several hash tags are refused as by many.</summary>
    /// <param name="folder">Where it keeps what it knows of itself.</param>
    public static async Task<RedisServer> StartClusterAsync(string folder)
    {
        var redis = Start("--cluster-enabled", "yes", "--cluster-config-file", Path.Combine(folder, "nodes.conf"));
        await redis.AskAsync("cluster", "addslotsrange", "0", "16383");
        // it takes a moment to find itself whole
        while (!(await redis.AskAsync("cluster", "info")).Contains("cluster_state:ok", StringComparison.Ordinal))
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        return redis;
    }

    private async Task<string> AskAsync(params string[] command)
    {
        using var asked = Process.Start(new ProcessStartInfo("redis-cli", ["-p", $"{_port}", .. command])
        {
            RedirectStandardOutput = true,
        })!;
        var answer = await asked.StandardOutput.ReadToEndAsync();
        await asked.WaitForExitAsync();
        return answer;
    }

    public void Stop()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Restart() => _process = Begin(_port, _more);

    public bool IsUp => !_process.HasExited;

    /// <summary>Its connections stay open and nothing is answered.</summary>
    public void Freeze() => Signal("-STOP");

    public void Thaw() => Signal("-CONT");

    public void Dispose()
    {
        if (!_process.HasExited) Stop();
        _process.Dispose();
    }

    private void Signal(string name)
    {
        using var kill = Process.Start("kill", [name, $"{_process.Id}"]);
        kill.WaitForExit();
    }

    private static Process Begin(int port, string[] more)
    {
        var process = Process.Start(new ProcessStartInfo(
            Program, ["--port", $"{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                .. more.Select(m => m.Replace("PORT", $"{port}", StringComparison.Ordinal))])
        { RedirectStandardOutput = true, WorkingDirectory = Path.GetTempPath() })!;
        while (process.StandardOutput.ReadLine() is { } line)
            if (line.Contains("Ready to accept", StringComparison.Ordinal)) break;
        _ = process.StandardOutput.ReadToEndAsync();
        return process;
    }
}
