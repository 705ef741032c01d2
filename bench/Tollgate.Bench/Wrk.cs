using System.Globalization;
using System.Text.RegularExpressions;

namespace Tollgate.Bench;

/// <summary>What wrk saw in one run. Latencies in milliseconds, as the client measures them.</summary>
internal sealed record WrkResult
{
    /// <summary>Answers received in full, of any status.</summary>
    public required long Requests { get; init; }
    public required double RequestsPerSecond { get; init; }
    public required double P50Ms { get; init; }
    public required double P99Ms { get; init; }
    /// <summary>Answers that were neither 2xx nor 3xx.</summary>
    public required long Non2xx { get; init; }
    /// <summary>Connect, read, write and time-out errors together.</summary>
    public required long SocketErrors { get; init; }
}

/// <summary>The load generator: one thread, HTTP/1.1, every connection busy all the time.</summary>
internal static partial class Wrk
{
    public static string[] Arguments(Load load, Uri address)
    {
        string[] how = ["-t1", $"-c{load.Connections}", $"-d{load.Seconds}s", "--latency"];
        var url = new Uri(address, Load.Path).AbsoluteUri;
        return load.Keys == 1
            ? [.. how, "-H", $"{Load.KeyHeader}: {Load.FirstKey}", url]
            : [.. how, "-s", Repository.Path("bench/peers/keys.lua"), url, "--", $"{load.Keys}"];
    }

    public static Task<WrkResult> RunAsync(Load load, Uri address, CancellationToken stop) =>
        RunAsync(Arguments(load, address), stop);

    /// <summary>One key, any address.</summary>
    public static Task<WrkResult> RunAsync(int connections, int seconds, string key, Uri url, CancellationToken stop) =>
        RunAsync(["-t1", $"-c{connections}", $"-d{seconds}s", "--latency", "-H", $"{Load.KeyHeader}: {key}", url.AbsoluteUri],
            stop);

    /// <summary>Keys of a busy day: few are called often, many seldom.</summary>
    public static Task<WrkResult> RunZipfAsync(
        int connections, int seconds, int keys, double exponent, int seed, Uri url, CancellationToken stop) =>
        RunAsync(["-t1", $"-c{connections}", $"-d{seconds}s", "--latency", "-s", Repository.Path("bench/peers/zipf.lua"),
            url.AbsoluteUri, "--", $"{keys}", exponent.ToString(CultureInfo.InvariantCulture), $"{seed}"], stop);

    private static async Task<WrkResult> RunAsync(string[] arguments, CancellationToken stop)
    {
        var (exitCode, output) = await ChildProcess.RunAsync("wrk", arguments, stop);
        return exitCode == 0 ? Parse(output) : throw new BenchException($"wrk ended with {exitCode}:\n{output}");
    }

    internal static WrkResult Parse(string output)
    {
        var errors = SocketErrors().Match(output);
        return new WrkResult
        {
            Requests = Whole(Find(Requests(), output)),
            RequestsPerSecond = Number(Find(RequestsPerSecond(), output)),
            P50Ms = Milliseconds(Median().Match(output), output),
            P99Ms = Milliseconds(Percentile99().Match(output), output),
            Non2xx = NonSuccess().Match(output) is { Success: true } refused ? Whole(refused.Groups[1].Value) : 0,
            SocketErrors = errors.Success ? errors.Groups.Values.Skip(1).Sum(group => Whole(group.Value)) : 0,
        };
    }

    private static string Find(Regex line, string output) =>
        line.Match(output) is { Success: true } match ? match.Groups[1].Value : throw NotUnderstood(output);

    private static double Milliseconds(Match match, string output)
    {
        if (!match.Success) throw NotUnderstood(output);
        return Number(match.Groups[1].Value) * match.Groups[2].Value switch
        {
            "us" => 0.001,
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => throw NotUnderstood(output),
        };
    }

    private static BenchException NotUnderstood(string output) => new($"wrk's output was not understood:\n{output}");

    private static long Whole(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"(\d+) requests in ")]
    private static partial Regex Requests();

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex RequestsPerSecond();

    [GeneratedRegex(@"^\s+50%\s+([\d.]+)(us|ms|s|m)\b", RegexOptions.Multiline)]
    private static partial Regex Median();

    [GeneratedRegex(@"^\s+99%\s+([\d.]+)(us|ms|s|m)\b", RegexOptions.Multiline)]
    private static partial Regex Percentile99();

    [GeneratedRegex(@"Non-2xx or 3xx responses: (\d+)")]
    private static partial Regex NonSuccess();

    [GeneratedRegex(@"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")]
    private static partial Regex SocketErrors();
}
