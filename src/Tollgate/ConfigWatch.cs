using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Tollgate;

/// <summary>
/// Notices that a file has changed: at once where the system tells, within a second where it does not (network file
/// systems, a folder that is replaced as a whole). A file that is still being written is left until it rests.
/// </summary>
internal sealed class ConfigWatch : IDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_rest = TimeSpan.FromMilliseconds(50);

    // a file that never rests is read all the same: 2 s after its first change
    private const int MostRests = 40;

    private readonly Channel<bool> _hints = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly string _path;
    private readonly TimeProvider _machine;
    private readonly FileSystemWatcher? _system;
    private Mark _seen;

    public ConfigWatch(string path, TimeProvider machine, ILogger log)
    {
        (_path, _machine) = (Path.GetFullPath(path), machine);
        _seen = Mark.Of(_path);
        try
        {
            // the folder, since editors put a new file in the place of the old one
            _system = new FileSystemWatcher(Path.GetDirectoryName(_path)!) { EnableRaisingEvents = true };
            _system.Changed += Hint;
            _system.Created += Hint;
            _system.Renamed += Hint;
            _system.Deleted += Hint;
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException
            or PlatformNotSupportedException)
        {
            log.LogInformation("The system does not tell of changes of {File} ({Why}): it is looked at each second.",
                path, e.Message);
        }
    }

    /// <summary>Runs the work after each change, until the stop.</summary>
    /// <param name="reload">False: it could not be done now, and is to be tried again.</param>
    /// <param name="cancel">The stop.</param>
    public async Task RunAsync(Func<Task<bool>> reload, CancellationToken cancel)
    {
        var owed = false;
        try
        {
            while (true)
            {
                await NextLookAsync(cancel);
                if (!owed && Mark.Of(_path) == _seen) continue;
                await RestAsync(cancel);
                owed = !await reload();
            }
        }
        catch (OperationCanceledException)
        {
            // the stop
        }
    }

    public void Dispose() => _system?.Dispose();

    private void Hint(object sender, FileSystemEventArgs e) => _hints.Writer.TryWrite(true);

    private async Task NextLookAsync(CancellationToken cancel)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var hint = _hints.Reader.ReadAsync(patience.Token).AsTask();
        await Task.WhenAny(hint, Task.Delay(s_look, _machine, patience.Token));
        await patience.CancelAsync();
        cancel.ThrowIfCancellationRequested();
    }

    private async Task RestAsync(CancellationToken cancel)
    {
        for (var i = 0; i < MostRests; i++)
        {
            var mark = Mark.Of(_path);
            await Task.Delay(s_rest, _machine, cancel);
            var same = Mark.Of(_path) == mark;
            _seen = mark;
            if (same) return;
        }
    }

    /// <summary>Differs when the file does; a link is followed to where it leads.</summary>
    private readonly record struct Mark(string Target, long Length, DateTime WrittenAt)
    {
        public static Mark Of(string path)
        {
            try
            {
                var info = new FileInfo(path);
                if (info.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target) info = target;
                return info.Exists ? new Mark(info.FullName, info.Length, info.LastWriteTimeUtc) : default;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return default;
            }
        }
    }
}
