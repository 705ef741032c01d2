using System.CommandLine;
using Tollgate.Billing;
using Tollgate.Config;
using Tollgate.Server.Demo;
using Tollgate.Storage;

namespace Tollgate.Server;

/// <summary>
/// <c>tollgate demo</c>: a sample API behind the gate, three plans, a customer with a key on each, and commands to
/// copy. It is the same server as <c>run</c>, on a data folder of its own.
/// </summary>
internal static class DemoCommand
{
    private const string DemoFile = "demo.yaml";

    /// <summary>The first line of the file, by which a later demo knows the folder again.</summary>
    private const string Marker = "# Made by 'tollgate demo', and written anew at each start of it.";

    private static readonly string[] s_plans = ["free", "pro", "enterprise"];

    public static Command Build()
    {
        // nothing of the environment names the folder: what it names is somebody's real data
        var options = new RunOptions("demo-data", dataVariable: null);
        var command = new Command("demo", "Run a sample API behind the gate, with plans and keys to try.");
        options.AddTo(command);
        command.SetAction((parsed, _) => RunCommand.GuardAsync(async () =>
        {
            var start = options.Read(parsed);
            RequireOwn(start.Data);
            await using var upstream = await SampleUpstream.StartAsync();
            await using var server = await TollgateServer.StartAsync(
                start with { ConfigFile = WriteFile(start.Data, upstream.Address) }, RunCommand.Logs);
            foreach (var plan in s_plans) await SubscribeAsync(server.Node, plan);
            Explain(RunCommand.Show(server.ProxyAddress), RunCommand.Show(server.AdminAddress), start.Data);
            await RunCommand.StopSignalAsync();
        }));
        return command;
    }

    /// <summary>The demo writes only where there is nothing, or what an earlier demo made.</summary>
    private static void RequireOwn(string folder)
    {
        try
        {
            if (!Directory.Exists(folder) || !Directory.EnumerateFileSystemEntries(folder).Any()) return;
            var file = Path.Combine(folder, DemoFile);
            if (File.Exists(file) && File.ReadLines(file).FirstOrDefault() == Marker) return;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"{folder} cannot be read: {e.Message}", e);
        }

        throw new StartupException($"{folder} holds something that the demo did not make, and the demo leaves it alone: " +
            "name an empty folder with --data, or one that is not there yet.");
    }

    private static string WriteFile(string folder, string upstream)
    {
        using var stream = typeof(DemoCommand).Assembly.GetManifestResourceStream("demo.yaml")!;
        using var reader = new StreamReader(stream);
        var path = Path.Combine(folder, DemoFile);
        try
        {
            DataFolder.Create(folder);
            File.WriteAllText(path, Marker + Environment.NewLine +
                reader.ReadToEnd().Replace("http://127.0.0.1:5000", upstream, StringComparison.Ordinal));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartupException($"{path} cannot be written: {e.Message}", e);
        }

        return path;
    }

    /// <summary>A customer, its consumer, a key and a subscription; nothing happens when they are there already.
    /// </summary>
    private static async Task SubscribeAsync(TollgateNode node, string planName)
    {
        var name = planName + "_user_1";
        var key = KeyOf(planName);
        var added = await node.Database.WriteAsync(async db =>
        {
            if (await node.Customers.AddAsync(db, name, node.Currency.Currency, "UTC", ManagedBy.Api) is not { } customer)
                return null;
            var consumer = await node.Consumers.AddAsync(db, name, null, customer.Key, ManagedBy.Api);
            await node.Consumers.AddCredentialAsync(
                db, consumer!.Key, node.Keys.Hash(key)!, ApiKeys.HintOf(key), ManagedBy.Api);
            var started = await node.Subscriptions.StartAsync(
                db, new NewSubscription(customer, planName, ManagedBy.Api));
            return started.Ok ? consumer : throw new StartupException(string.Join(' ', started.Problems));
        });
        if (added is not null) await node.Feed.AnnounceAsync(new Change.OfConsumer((int)added.Key));
    }

    private static string KeyOf(string plan) => plan + "_user_1-key";

    private static void Explain(string proxy, string admin, string data) => Console.WriteLine(
        $$"""
        Tollgate is running with a sample API behind it.

          proxy  {{proxy}}     callers
          admin  {{admin}}     your tools; metrics at /metrics
          data   {{data}}      delete it to start anew
          plans  free: 100 calls a minute   pro: 49.00 USD a month + 0.01 / 0.05 a call   enterprise: no limit

        In another terminal:

        # a paid call, and what it says about the limit
        curl -i -H 'apikey: {{KeyOf("pro")}}' {{proxy}}/api/v1/premium/analytics

        # no key: 401. Not in the plan: 403, naming it
        curl -s {{proxy}}/v1/public/data
        curl -s -H 'apikey: {{KeyOf("free")}}' {{proxy}}/v1/premium/analytics

        # 130 calls on a limit of 100 a minute: 100 pass (more where a minute turns meanwhile), the rest are told when to come back
        seq 130 | xargs -P 8 -I{} curl -s -o /dev/null -w '%{http_code}\n' \
          -H 'apikey: {{KeyOf("free")}}' {{proxy}}/v1/public/data | sort | uniq -c

        # twenty more paid calls; what the ledger has; the invoice so far
        seq 20 | xargs -I{} curl -s -o /dev/null -H 'apikey: {{KeyOf("pro")}}' {{proxy}}/api/v1/data
        curl -s -H 'Accept: text/plain' '{{admin}}/v1/usage?group_by=consumer,operation'
        curl -s -H 'Accept: text/plain' '{{admin}}/v1/invoices/preview?customer=pro_user_1'

        Ctrl-C stops it.
        """);
}
