using System.CommandLine;
using BenchmarkDotNet.Running;
using Tollgate.Bench;

// The switcher has its own command line, so it gets the rest of ours untouched.
if (args is ["micro", .. var rest])
{
    BenchmarkSwitcher.FromAssembly(typeof(EndToEnd).Assembly).Run(rest);
    return 0;
}

var root = new RootCommand("Measures Tollgate against its peers. `micro` runs the BenchmarkDotNet switcher.")
{
    EndToEndCommand.Create(),
    DrainBench.Create(),
    IngestBench.Create(),
    BillingBench.Create(),
    PrometheusComparison.Create(),
    KeysBench.Create(),
    DecisionBench.Create(),
    TortureCommand.Create(),
    SoakCommand.Create(),
    FaultsCommand.Create(),
    ClusterCommand.Create(),
    LeaseCommand.Create(),
    BareYarp.CreateCommand(),
    new Command("micro", "BenchmarkDotNet over the benchmark classes; its own options follow (--list flat, --filter ...)"),
};

// Ctrl-C and SIGTERM cancel; stopping the peers may take a few seconds, and must not be cut short.
var configuration = new InvocationConfiguration { ProcessTerminationTimeout = TimeSpan.FromSeconds(60) };
return await root.Parse(args).InvokeAsync(configuration);
