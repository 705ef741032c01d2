using System.Net;

namespace Tollgate.Bench;

/// <summary>A target as a running process of ours, on a port of ours, in a folder of ours.</summary>
internal sealed class Peer(Target target, Uri address, ChildProcess process) : IAsyncDisposable
{
    // a million keys on a machine that is busy otherwise take a while
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);

    public Target Target { get; } = target;

    public Uri Address { get; } = address;

    public int ProcessId => process.Id;

    /// <summary>nginx with one of the committed configurations, its marks (<c>@PORT@</c> …) filled in.</summary>
    public static Peer StartNginx(Target target, string folder, IReadOnlyDictionary<string, int> marks)
    {
        Directory.CreateDirectory(folder);
        var text = File.ReadAllText(Repository.Path($"bench/peers/{target.Name}.conf"));
        text = marks.Aggregate(text, (filled, mark) => filled.Replace($"@{mark.Key}@", $"{mark.Value}"));
        var file = Path.Combine(folder, "nginx.conf");
        File.WriteAllText(file, text);
        string[] arguments = ["-p", folder, "-e", "start.err", "-c", file, "-g", "daemon off;"];
        return new Peer(target, LocalPorts.At(marks["PORT"]), ChildProcess.Start("nginx", arguments, folder));
    }

    /// <summary>This very program, in the role of bare YARP.</summary>
    public static Peer StartYarp(string folder, int port, Uri upstream)
    {
        Directory.CreateDirectory(folder);
        var address = LocalPorts.At(port);
        string[] arguments =
        [
            typeof(Peer).Assembly.Location, "yarp", "--url", address.AbsoluteUri, "--upstream", upstream.AbsoluteUri,
        ];
        return new Peer(Target.Yarp, address, ChildProcess.Start("dotnet", arguments, folder));
    }

    /// <summary>Returns when <paramref name="question"/> is answered with 200; throws when that takes too long.</summary>
    public async Task AwaitOkAsync(HttpClient client, Func<HttpRequestMessage> question, CancellationToken stop)
    {
        var seen = "nothing answered";
        var began = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(began) < Patience && !process.HasExited)
        {
            try
            {
                using var request = question();
                using var answer = await client.SendAsync(request, stop);
                if (answer.StatusCode == HttpStatusCode.OK) return;
                seen = $"it answered {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(stop)}";
            }
            catch (HttpRequestException refused)
            {
                seen = refused.Message;
            }
            await Task.Delay(BetweenLooks, TimeProvider.System, stop);
        }
        throw new BenchException($"{Target.Name} is not ready: {seen}; {process.Epitaph}");
    }

    /// <summary>The call that is measured, once.</summary>
    public Task AwaitFirstCallAsync(HttpClient client, CancellationToken stop) => AwaitOkAsync(client, () =>
    {
        var call = new HttpRequestMessage(HttpMethod.Get, new Uri(Address, Load.Path));
        call.Headers.Add(Load.KeyHeader, Load.FirstKey);
        return call;
    }, stop);

    public ValueTask DisposeAsync() => process.DisposeAsync();
}
