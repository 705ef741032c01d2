#!/usr/bin/env dotnet
#:property PublishAot=false
#:property RestorePackagesWithLockFile=false

// The commands of everyday work: dotnet dev.cs run | check | bench | torture | soak | faults | cluster | install
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Xml.Linq;

const string configuration = "Release";
var root = (string)AppContext.GetData("EntryPointFileDirectoryPath")!;
string[] testProjects = ["test/Tollgate.Tests", "test/Tollgate.IntegrationTests"];

Package[] forTests =
[
    new("prometheus", "/usr/bin/prometheus"),
    new("nginx", "/usr/sbin/nginx"),
    new("curl", "/usr/bin/curl"),
    new("postgresql", "/usr/lib/postgresql"),
    new("redis-server", "/usr/bin/redis-server"),
    new("haproxy", "/usr/sbin/haproxy"),

    // the upstream of the guides
    new("python3", "/usr/bin/python3"),
];
Package[] forBench =
[
    new("nginx", "/usr/sbin/nginx"),
    new("wrk", "/usr/bin/wrk"),
    new("libnginx-mod-http-lua", "/usr/lib/nginx/modules/ngx_http_lua_module.so"),
    new("lua-resty-core", "/usr/share/lua/5.1/resty/core.lua"),
];

// On Ctrl-C and SIGTERM the program that runs for us ends first; then we tidy up and pass its exit code on.
Process? current = null;
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => signal.Cancel = true);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, PassOn);

return args switch
{
    ["run", .. var rest] => Dotnet(["run", "--project", "src/Tollgate.Server", "--", "demo", .. rest]),
    ["check"] => Check(),
    ["check", "postgres"] => CheckOnPostgres(),
    ["bench", .. var rest] => Bench("e2e", rest),
    ["drain", .. var rest] => Bench("drain", rest),
    ["ingest", .. var rest] => Bench("ingest", rest),
    ["billing", .. var rest] => Bench("billing", rest),
    ["prometheus", .. var rest] => Bench("prometheus", rest),
    ["torture", .. var rest] => Bench("torture", rest),
    ["soak", .. var rest] => Bench("soak", rest),
    ["faults", .. var rest] => Bench("faults", rest),
    ["cluster", .. var rest] => Bench("cluster", rest),
    ["leases", .. var rest] => Bench("leases", rest),
    ["install"] => Install([.. forTests.Union(forBench)]) ? 0 : 1,
    _ => Usage(),
};

int Usage()
{
    Console.Error.WriteLine("""
        dotnet dev.cs run      the demo: server, sample upstream, plans and keys
        dotnet dev.cs check    build everything, warnings are errors, and run all tests; those of the store on both engines
        dotnet dev.cs check postgres  all that keeps something in the store, with PostgreSQL
        dotnet dev.cs bench    measure against the peers; options follow (--seconds 10 --rounds 3 ...)
        dotnet dev.cs drain    measure how fast a journal is drained and archived
        dotnet dev.cs ingest   measure events from outside: accepted and counted, beside --ids 100000000 known ones
        dotnet dev.cs billing  measure the run that invoices a month, and a draft
        dotnet dev.cs prometheus  our sums of a Prometheus' counters and those of increase(), against the truth
        dotnet dev.cs torture  kill the server under load, --runs 500 times, and prove the ledger; goes on where it was
        dotnet dev.cs soak     full load for --minutes 10; then the ledger must have what the generator counted
        dotnet dev.cs faults   three nodes under load while nodes, engines and links fail, --minutes 30; goes on where it was
        dotnet dev.cs cluster  two nodes on one Redis against one alone: CPU, calls that wait, how soon a change is everywhere
        dotnet dev.cs leases   decisions of two nodes over one Redis at the whole rate of 10,000 keys, without HTTP: who waits
        dotnet dev.cs install  install the Debian packages that tests and bench start
        """);
    return 2;
}

// The last line is the sum of all tests, alone, so that machines can read it.
int Check()
{
    Install(forTests); // without them the tests that need them say that they were skipped, and why
    if (Dotnet(["build", "Tollgate.slnx", "-c", configuration]) != 0)
        return Conclude(new Counts(0, 1, 0));

    var sum = new Counts(0, 0, 0);
    foreach (var project in testProjects)
        sum += Test(project);
    return Conclude(sum + TestOnPostgres("Billing", "Config", "Metering"));
}

// The same, and all that is reached by HTTP.
int CheckOnPostgres()
{
    Install(forTests);
    if (Dotnet(["build", "Tollgate.slnx", "-c", configuration]) != 0)
        return Conclude(new Counts(0, 1, 0));
    return Conclude(TestOnPostgres("Billing", "Config", "Gateway", "Hosting", "Metering", "Storage", "Web") + OnPostgres(
        testProjects[1], "--filter-class", "CounterSourceTests", "KillLimitTests", "KillTests", "PrometheusTests", "ScenarioTests"));
}

Counts TestOnPostgres(params string[] rooms) => OnPostgres(testProjects[0], "--filter-namespace", [.. rooms.Select(r => $"{r}*")]);

// What keeps its state in the store, once more on the other engine.
Counts OnPostgres(string project, string filter, params string[] names)
{
    const string engine = "TOLLGATE_TEST_DATABASE";
    Environment.SetEnvironmentVariable(engine, "postgres");
    try
    {
        var space = Path.GetFileName(project);
        return Test(project, [.. names.SelectMany(name => (string[])[filter, $"{space}.{name}"])]);
    }
    finally
    {
        Environment.SetEnvironmentVariable(engine, null);
    }
}

int Conclude(Counts counts)
{
    Console.WriteLine($"{counts.Passed} passed, {counts.Failed} failed, {counts.Skipped} skipped");
    return counts is { Failed: 0, Passed: > 0 } ? 0 : 1;
}

// A project that ran nothing, or died before it could report, counts as one failed test.
Counts Test(string project, params string[] filter)
{
    var results = Directory.CreateTempSubdirectory("tollgate-tests-");
    try
    {
        const string trx = "results.trx";
        var exitCode = Dotnet(
        [
            "test", "--project", project, "-c", configuration, "--no-build",
            "--report-trx", "--report-trx-filename", trx, "--results-directory", results.FullName,
            .. filter,
        ]);
        var counts = ReadCounts(Path.Combine(results.FullName, trx));
        if (counts.Passed + counts.Failed + counts.Skipped == 0)
            Console.WriteLine($"{project}: no test was run");
        else if (exitCode != 0 && counts.Failed == 0)
            Console.WriteLine($"{project}: ended with {exitCode} though no test failed");
        else
            return counts;
        return counts with { Failed = 1 };
    }
    finally
    {
        results.Delete(recursive: true);
    }
}

Counts ReadCounts(string trx)
{
    if (!File.Exists(trx)) return new Counts(0, 0, 0);
    var counters = XDocument.Load(trx).Descendants().Single(element => element.Name.LocalName == "Counters");
    var (total, passed) = ((int)counters.Attribute("total")!, (int)counters.Attribute("passed")!);
    var notRun = (int?)counters.Attribute("notExecuted") ?? 0;
    return new Counts(passed, total - passed - notRun, notRun);
}

int Bench(string what, string[] options)
{
    Install(forBench); // the bench itself says what it cannot do without
    return Dotnet(["run", "-c", configuration, "--project", "bench/Tollgate.Bench", "--", what, .. options]);
}

bool Install(Package[] wanted)
{
    string[] missing = [.. wanted.Where(package => !File.Exists(package.Brings)).Select(package => package.Name)];
    if (missing.Length == 0) return true;
    if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess || !File.Exists("/usr/bin/apt-get"))
    {
        Console.WriteLine($"please install these Debian packages: {string.Join(' ', missing)}");
        return false;
    }

    // The packages bring services; nothing here wants those to run. An image may have its own policy already.
    const string policy = "/usr/sbin/policy-rc.d";
    var ours = !File.Exists(policy);
    try
    {
        if (ours)
        {
            File.WriteAllText(policy, "#!/bin/sh\nexit 101\n");
            File.SetUnixFileMode(policy, (UnixFileMode)Convert.ToInt32("755", 8));
        }
        Run("apt-get", ["update"]); // an old list may still do
        return Run("apt-get", ["install", "-y", "--no-install-recommends", .. missing]) == 0;
    }
    finally
    {
        if (ours) File.Delete(policy);
    }
}

int Dotnet(string[] arguments) => Run("dotnet", arguments);

int Run(string program, string[] arguments)
{
    var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = root };
    start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
    using var process = Process.Start(start)!;
    current = process;
    process.WaitForExit();
    current = null;
    return process.ExitCode;
}

// Ctrl-C reaches the whole foreground group; SIGTERM reaches only us.
void PassOn(PosixSignalContext signal)
{
    signal.Cancel = true;
    if (current is { HasExited: false } process) Process.Start("kill", ["-TERM", $"{process.Id}"]).Dispose();
}

// What a package is called, and a file that is there once it is installed.
internal sealed record Package(string Name, string Brings);

internal sealed record Counts(int Passed, int Failed, int Skipped)
{
    public static Counts operator +(Counts one, Counts other) =>
        new(one.Passed + other.Passed, one.Failed + other.Failed, one.Skipped + other.Skipped);
}
