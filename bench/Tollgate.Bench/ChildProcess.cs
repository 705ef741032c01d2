using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace Tollgate.Bench;

/// <summary>A process that we started and that never outlives us: disposing stops it and all it started.</summary>
internal sealed partial class ChildProcess : IAsyncDisposable
{
    private const int Sigterm = 15;
    private const int LinesKept = 40;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Process process;
    private readonly Queue<string> lastLines = new();

    private ChildProcess(Process process)
    {
        this.process = process;
        process.OutputDataReceived += (_, line) => Keep(line.Data);
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public int Id => process.Id;

    public bool HasExited => process.HasExited;

    /// <summary>How it ended and its last lines, for an error message.</summary>
    public string Epitaph
    {
        get
        {
            lock (lastLines)
                return (HasExited ? $"it ended with {process.ExitCode}\n" : "\n") + string.Join('\n', lastLines);
        }
    }

    public static ChildProcess Start(
        string file, IEnumerable<string> arguments, string folder, IDictionary<string, string>? environment = null)
    {
        var start = StartInfo(file, arguments);
        start.WorkingDirectory = folder;
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        return new ChildProcess(Process.Start(start)!);
    }

    /// <summary>Runs to its end; cancelling kills it. The output is both streams, one after the other.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(
        string file, IEnumerable<string> arguments, CancellationToken stop)
    {
        using var process = Process.Start(StartInfo(file, arguments))!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(stop);
            var errors = process.StandardError.ReadToEndAsync(stop);
            await process.WaitForExitAsync(stop);
            return (process.ExitCode, new StringBuilder(await output).Append(await errors).ToString());
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    /// <summary>SIGKILL: nothing of it runs any more, and nothing was said to it before.</summary>
    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (!process.HasExited)
            {
                _ = Kill(process.Id, Sigterm);
                using var patience = new CancellationTokenSource(Patience);
                await process.WaitForExitAsync(patience.Token);
            }
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
        }
        finally
        {
            process.Dispose();
        }
    }

    private static ProcessStartInfo StartInfo(string file, IEnumerable<string> arguments) => new(file, arguments)
    {
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    };

    private void Keep(string? line)
    {
        if (line is null) return;
        lock (lastLines)
        {
            lastLines.Enqueue(line);
            if (lastLines.Count > LinesKept) lastLines.Dequeue();
        }
    }

    // Process.Kill knows SIGKILL only, and that would orphan nginx's workers.
    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int processId, int signal);
}
