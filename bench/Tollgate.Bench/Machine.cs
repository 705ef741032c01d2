using System.ComponentModel;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Tollgate.Bench;

/// <summary>Where the numbers come from. They mean nothing without it.</summary>
internal sealed record Machine
{
    public required string Cpu { get; init; }
    public required int Cores { get; init; }
    public required double MemoryGib { get; init; }
    public required string System { get; init; }
    public required string Kernel { get; init; }
    public required string Dotnet { get; init; }
    public required string Nginx { get; init; }
    public required string Wrk { get; init; }
    /// <summary>Of the source, as git names it.</summary>
    public required string Revision { get; init; }
    public string FileSystem { get; init; } = "";

    public static async Task<Machine> DescribeAsync(CancellationToken stop)
    {
        var memory = Field("/proc/meminfo", "MemTotal", ':').Split(' ')[0];
        return new Machine
        {
            Cpu = Field("/proc/cpuinfo", "model name", ':'),
            Cores = Environment.ProcessorCount,
            MemoryGib = double.Parse(memory, CultureInfo.InvariantCulture) / 1024 / 1024,
            System = Field("/etc/os-release", "PRETTY_NAME", '=').Trim('"'),
            Kernel = (await File.ReadAllTextAsync("/proc/sys/kernel/osrelease", stop)).Trim(),
            Dotnet = RuntimeInformation.FrameworkDescription,
            Nginx = await FirstLineAsync("nginx", ["-v"], stop),
            Wrk = (await FirstLineAsync("wrk", ["-v"], stop)).Split(" [")[0],
            Revision = await RevisionAsync(stop),
        };
    }

    private static string Field(string file, string name, char separator) =>
        File.ReadLines(file)
            .FirstOrDefault(line => line.StartsWith(name, StringComparison.Ordinal))?
            .Split(separator, 2)[1].Trim() ?? "unknown";

    private static async Task<string> RevisionAsync(CancellationToken stop)
    {
        try
        {
            string[] arguments = ["-C", Repository.Root, "describe", "--always", "--dirty"];
            var (exitCode, output) = await ChildProcess.RunAsync("git", arguments, stop);
            return exitCode == 0 ? output.Trim() : "unknown";
        }
        catch (Win32Exception)
        {
            return "unknown"; // no git here: the sources came some other way
        }
    }

    private static async Task<string> FirstLineAsync(string file, string[] arguments, CancellationToken stop)
    {
        var (_, output) = await ChildProcess.RunAsync(file, arguments, stop);
        return output.Split('\n')[0].Trim();
    }
}
