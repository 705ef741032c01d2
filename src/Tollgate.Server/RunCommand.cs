using System.CommandLine;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Server;

/// <summary><c>tollgate run</c>: the gateway and its admin API, until it is told to stop.</summary>
internal static class RunCommand
{
    private const string DefaultFile = "tollgate.yaml";

    public static Command Build()
    {
        var options = new RunOptions("data", "TOLLGATE_DATA");
        var config = RunOptions.Text("--config", "TOLLGATE_CONFIG", "",
            $"The configuration file; {DefaultFile} when there is one.");
        var command = new Command("run",
            "Run the gateway and its admin API. TOLLGATE_ADMIN_TOKEN holds the token that the admin API asks for.") { config };
        options.AddTo(command);
        command.SetAction((parsed, _) => GuardAsync(async () =>
        {
            var file = parsed.GetValue(config)!;
            if (file.Length == 0) file = File.Exists(DefaultFile) ? DefaultFile : "";
            await using var server = await TollgateServer.StartAsync(
                options.Read(parsed) with { ConfigFile = file.Length == 0 ? null : file }, Logs);
            var proxies = string.Join(", ", server.ProxyAddresses.Select(Show));
            Console.WriteLine($"tollgate: proxy {proxies}, admin {Show(server.AdminAddress)}, " +
                $"data {server.Node.Options.Data}{Shared(server.Node)}{(file.Length == 0 ? ", no configuration file" : $", {file}")}");
            if (server.Node.Clocks.Business is TestClock clock)
                Console.WriteLine($"tollgate: test clock: it is {Micros.ToText(Micros.Now(clock))} until /v1/test_clock moves it");
            foreach (var plan in server.Node.Applied?.NewVersions.Where(p => p.Version > 1) ?? [])
                Console.WriteLine($"tollgate: {plan.Name}: version {plan.Version} of its prices; running subscriptions " +
                    plan.Migrate switch
                    {
                        Migration.Now => "moved to it",
                        Migration.Renewal => "move when what they have paid for is over",
                        _ => "keep theirs (migrate: never)",
                    });
            foreach (var open in OpenDoors.Of(server.Node.Publisher.Current)) Console.WriteLine($"tollgate: {open}");
            if (server.Node.Publisher.Current.AsksForRedis && server.Node.Table.Leases is null)
                Console.WriteLine("tollgate: limits of Kong's ask for Redis (policy: redis), and this server is started without " +
                    "--redis: it counts for itself");
            using var again = ReloadOnHangup(server.Node);
            using var signals = new StopSignals();
            await signals.First;
            // a second signal ends the waiting
            await server.LeaveAsync(signals.Second);
        }));
        return command;
    }

    private static string Shared(TollgateNode node) => node.Database.IsEmbedded ? "" : $", {node.Database.Path}";

    public static string Show(Uri address) => address.GetLeftPart(UriPartial.Authority);

    /// <summary>Logs go to the standard error; the standard output is for what was asked for.</summary>
    public static void Logs(ILoggingBuilder logging) => logging
        .AddSimpleConsole(format =>
        {
            format.SingleLine = true;
            format.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
            format.UseUtcTimestamp = true;
        })
        .AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);

    /// <summary>Runs a command and turns what stops it into words and an exit code.</summary>
    public static async Task<int> GuardAsync(Func<Task> work)
    {
        try
        {
            await work();
            return ExitCode.Ok;
        }
        catch (UsageException e)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Usage;
        }
        catch (StartupException e)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Refused;
        }
        catch (Exception e)
        {
            // nobody foresaw it: one line for the operator, the rest for whoever mends it
            Console.Error.WriteLine($"tollgate ends, for a reason that it does not know: {e.Message}");
            Console.Error.WriteLine(e);
            return ExitCode.Refused;
        }
    }

    /// <summary>SIGHUP reads the file again; what is wrong with it is in the log.</summary>
    private static PosixSignalRegistration ReloadOnHangup(TollgateNode node) =>
        PosixSignalRegistration.Create(PosixSignal.SIGHUP, context =>
        {
            context.Cancel = true;
            _ = node.ReloadAsync();
        });

    /// <summary>Waits for Ctrl-C or SIGTERM.</summary>
    public static async Task StopSignalAsync()
    {
        using var signals = new StopSignals();
        await signals.First;
    }

    /// <summary>Ctrl-C and SIGTERM: the one that asks for a stop, and the one after it.</summary>
    private sealed class StopSignals : IDisposable
    {
        // nothing goes on inside of the handler of a signal
        private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _second = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly PosixSignalRegistration _interrupt, _terminate;

        public StopSignals()
        {
            _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Take);
            _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Take);
        }

        public Task First => _first.Task;

        public Task Second => _second.Task;

        public void Dispose()
        {
            _interrupt.Dispose();
            _terminate.Dispose();
        }

        private void Take(PosixSignalContext context)
        {
            context.Cancel = true;
            if (!_first.TrySetResult()) _second.TrySetResult();
        }
    }
}
