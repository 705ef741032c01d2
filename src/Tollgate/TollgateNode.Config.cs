using Microsoft.Extensions.Logging;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Gateway.Forwarding;
using Tollgate.Gateway.Tokens;
using Tollgate.Storage;
using Tollgate.Web;

namespace Tollgate;

/// <content>The configuration file: applied at the start, and again whenever it changes.</content>
public sealed partial class TollgateNode
{
    private static readonly TimeSpan s_reloadAgain = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _reloading = new(1, 1);

    // of the file that was tried last; null when the next look is to try again
    private string? _tried;

    private IReadOnlyList<string> _keyFaults = [];

    // what was committed and could not be told to the gate
    private IReadOnlyList<Func<Task>> _owedNews = [];

    /// <summary>Applies files, from wherever they come.</summary>
    public ConfigFiles Files { get; }

    /// <summary>What became of the last reload.</summary>
    public ConfigState ConfigState { get; } = new();

    /// <summary>Reads and checks a configuration file; every fault stands in the message, a line each.</summary>
    /// <exception cref="StartupException">All that is wrong with it.</exception>
    public static ConfigFile? ReadFile(string? path)
    {
        if (path is null) return null;
        var read = Read(path);
        return read.Ok ? read.Value.File
            : throw new StartupException(string.Join(Environment.NewLine, read.Problems));
    }

    /// <summary>Reads the file again and applies it, also when it looks the same (SIGHUP). A faulty file changes
    /// nothing: all of its faults are in the log and at <c>/v1/config</c>. What cannot be done now, as while the database
    /// does not answer, is tried each second until it is done or the node stops.</summary>
    public async Task ReloadAsync()
    {
        try
        {
            while (!await ReloadAsync(always: true)) await Task.Delay(s_reloadAgain, Clocks.Machine, _stopping.Token);
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // the stop
        }
    }

    private static Result<ReadConfig> Read(string path)
    {
        try
        {
            var text = File.ReadAllText(path);
            var read = ConfigFileReader.Read(text, path);
            return read.Ok
                ? new ReadConfig(Path.GetFileName(path), text, read.Value)
                : Result<ReadConfig>.Refused(read.Problems);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new Problem("unreadable", $"{path} cannot be read: {e.Message}");
        }
    }

    /// <returns>False: it could not be done now, and is to be tried again.</returns>
    private async Task<bool> ReloadAsync(bool always)
    {
        if (Options.ConfigFile is not { } path)
        {
            _log.LogWarning("There is no configuration file to read again: the server was started without one.");
            return true;
        }

        await _reloading.WaitAsync();
        try
        {
            await TellOwedAsync();
            var read = Read(path);
            var mark = read.Ok ? StoredFile.HashOf(read.Value.Text) : string.Join('\n', read.Problems);
            if (!always && mark == _tried) return true;
            _tried = mark;
            var result = read.Ok ? await ApplyAsync(read.Value) : Result<ConfigChange>.Refused(read.Problems);
            Tell(path, result);
            return true;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            _tried = null;
            _log.LogError("{File} could not be applied, and is tried again: {Why}", path, e.Message);
            return false;
        }
        finally
        {
            _reloading.Release();
        }
    }

    private void Tell(string path, Result<ConfigChange> result)
    {
        var outcome = !result.Ok ? "refused" : result.Value.Applied.IsUnchanged ? "unchanged" : "applied";
        ConfigState.Last = new Reloaded(Path.GetFileName(path), Micros.Now(Clocks.Business), outcome, result.Problems);
        _reloads.WithLabels(outcome).Inc();
        _refusing.Set(result.Ok ? 0 : 1);
        foreach (var problem in result.Problems) _log.LogError("Not applied: {Problem}", problem);
        if (!result.Ok)
        {
            _log.LogError("{File} has {Count} faults, so all of it stays as it was.", path, result.Problems.Count);
            return;
        }

        var file = result.Value.Applied;
        _log.LogInformation("{File} was read: {Added} added, {Changed} changed, {Removed} removed, {Versions} new versions.",
            path, file.Added.Count, file.Changed.Count, file.Removed.Count, file.NewVersions.Count());
    }

    /// <summary>One transaction; what follows from it comes after its commit.</summary>
    private async Task<Result<ConfigChange>> ApplyAsync(ReadConfig read)
    {
        await using var one = OneWrite.Begin(() => Task.CompletedTask);
        var result = await Files.ApplyAsync(read, "file", "reload file", takeOver: false);
        if (!result.Ok) return result;
        _owedNews = [.. _owedNews, .. await one.CommitAsync()];
        await TellOwedAsync();
        return result;
    }

    private async Task TellOwedAsync()
    {
        while (_owedNews.Count > 0)
        {
            await _owedNews[0]();
            _owedNews = [.. _owedNews.Skip(1)];
        }
    }

    private async Task ApplyAtStartAsync(ReadConfig read)
    {
        var result = await ApplyAsync(read);
        if (!result.Ok) throw new StartupException(string.Join(Environment.NewLine, result.Problems));
        Applied = result.Value.Applied;
        _tried = StoredFile.HashOf(read.Text);
        ConfigState.Last = new Reloaded(read.Name, null, "applied", []);
    }

    /// <summary>The currency of whoever names none is that of the last file, also when another node has read it.</summary>
    private async Task TakeCurrencyAsync() =>
        Currency.Currency = await Database.ReadAsync(StoredFile.CurrencyAsync) ?? Currency.Currency;

    private async Task WatchAsync()
    {
        if (Options.ConfigFile is not { } path) return;
        using var watch = new ConfigWatch(path, Clocks.Machine, _log);
        // what was written between the start's reading and here
        await ReloadAsync(always: false);
        await watch.RunAsync(() => ReloadAsync(always: false), _stopping.Token);
    }

    /// <summary>What is wrong with keys of issuers is said once for as long as it is the same.</summary>
    private async Task FetchKeysAsync()
    {
        var faults = await Table.Tokens.RefreshAsync(Clocks.Machine, _stopping.Token);
        foreach (var fault in faults.Except(_keyFaults)) _log.LogError("Keys of an issuer: {Fault}", fault);
        _keyFaults = faults;
    }

    /// <summary>Files by which upstreams are told apart are this machine's too.</summary>
    private static IEnumerable<Problem> WithoutCertificates(ConfigFile file) =>
        from api in file.Apis
        where api.Proxy?.Tls is not null
        let fault = UpstreamCertificates.FaultOf(api.Proxy!.Tls!)
        where fault is not null
        select new Problem("certificates_unavailable", fault, $"apis.{api.Name}.tls");

    /// <summary>Secrets and files that tokens are checked by are this machine's.</summary>
    private static IEnumerable<Problem> WithoutKeys(ConfigFile file) =>
        from api in file.Apis
        where api.Access?.Jwt is not null
        let fault = TokenVerifiers.FaultOf(api.Access!.Jwt!)
        where fault is not null
        select new Problem("keys_unavailable", fault, $"apis.{api.Name}.jwt");
}
