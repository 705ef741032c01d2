using Microsoft.Extensions.Logging;
using Prometheus;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate;

/// <content>What a node of several keeps of the store, so that it can begin while the store is away.</content>
public sealed partial class TollgateNode
{
    /// <summary>All that the gate is loaded from; of keys there are only their hashes.</summary>
    internal static readonly string[] GateTables =
    [
        "installation", "config_objects", "config_files", "operation_keys", "meter_keys", "plan_versions", "consumers",
        "credentials", "token_credentials", "access_groups", "entitlements", "balances", "grants", "journals",
    ];

    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_reachEvery = TimeSpan.FromSeconds(1);

    /// <summary>Of the time at most a twentieth goes into writing the table, however large it is.</summary>
    private const int Rest = 20;

    private readonly Gauge _tableBehind;
    private TableFile? _tableFile;
    private volatile bool _tableChanged = true;
    private volatile bool _joined;
    private TimeSpan _tableTook;
    private long _tableAt;
    private DateTime? _tableOf;

    /// <summary>Whether there is a table to begin with.</summary>
    internal static bool HasTable(string data)
    {
        var folder = Path.Combine(data, DataFolder.Gate);
        if (!Directory.Exists(folder)) return false;
        using var file = new TableFile(folder, GateTables);
        return file.WrittenAt is not null;
    }

    private TableFile TableFile => _tableFile ??= new TableFile(Path.Combine(Options.Data, DataFolder.Gate), GateTables);

    /// <summary>By what this node knew when it last wrote it down. Calls are written into the journal; nothing is drained.
    /// </summary>
    private async Task StartOnTableAsync()
    {
        _tableOf = TableFile.WrittenAt;
        _log.LogWarning("{Store} does not answer: this node begins with its own table of {Time:u}. Until it answers, keys made " +
            "later are refused as unknown, and what was revoked later is still let in.", Database.Path, _tableOf);
        await using var copy = TableFile.Open();
        await Installation.CheckAsync(copy, Keys);
        Currency.Currency = await copy.ReadAsync(StoredFile.CurrencyAsync) ?? Currency.Currency;
        await Publisher.PublishAsync(copy);
        await BeginSharingAsync(async leases => leases.Alive(await JournalRegistry.CountOpenAsync(copy)));
        await Table.LoadAsync(copy);
        await Table.RestoreAsync(Journal, copy);
        var age = Clocks.Machine.GetUtcNow().UtcDateTime - _tableOf!.Value;
        Feed.Heard(age > TimeSpan.Zero ? age : TimeSpan.Zero);
    }

    /// <summary>Tries each second until the store answers; then does all that a start with it does.</summary>
    private async Task ReachStoreAsync()
    {
        string? said = null;
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await Task.Run(Database.Attach);
                await JoinStoreAsync();
                return;
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                if (e.Message != said) _log.LogError("The store cannot be used yet, trying again: {Why}", e.Message);
                said = e.Message;
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(s_reachEvery, Clocks.Machine, CancellationToken.None);
        }
    }

    private async Task JoinStoreAsync()
    {
        await Installation.CheckAsync(Database, Keys);
        await Archive.StartAsync();
        await Drain.RecoverAsync(Archive);
        await _peers.BeginAsync(_stopping.Token);
        await TakeCurrencyAsync();
        await Publisher.RepublishAsync();
        await Table.RenewAsync();
        _log.LogInformation("{Store} answers: this node has taken over what was changed, and drains.", Database.Path);
        _joined = true;
        BeginWork();
        // the file is looked at like one that was changed
        if (Options.ConfigFile is not null) await ReloadAsync(always: true);
    }

    /// <summary>What is in the table has changed.</summary>
    internal void TableChanged()
    {
        _tableChanged = true;
        _tableBehind.Set(1);
    }

    private async Task KeepTableAsync()
    {
        _joined = true;
        if (!_tableChanged || (_tableAt != 0 && Clocks.Machine.GetElapsedTime(_tableAt) < _tableTook * Rest
            && !_stopping.IsCancellationRequested)) return;
        _tableChanged = false;
        try
        {
            _tableTook = await TableFile.WriteAsync(Database, Clocks.Machine);
        }
        catch
        {
            _tableChanged = true;
            throw;
        }

        _tableBehind.Set(_tableChanged ? 1 : 0);
        _tableAt = Clocks.Machine.GetTimestamp();
    }

    /// <summary>Without I/O: the store may be what is away.</summary>
    private Task LookAsync()
    {
        Table.IsStale = Feed.Silence > Options.StaleFor;
        _peers.TellSilence();
        return Task.CompletedTask;
    }
}
