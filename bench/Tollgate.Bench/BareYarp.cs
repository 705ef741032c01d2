using System.CommandLine;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Tollgate.Bench;

/// <summary>
/// The peer that shows what the toll costs: the proxy library as it comes, one route, one destination, no logging.
/// Garbage collector and Kestrel stand as in Tollgate.Server (workstation, concurrent; this project file says the same).
/// </summary>
internal static class BareYarp
{
    public static Command CreateCommand()
    {
        var url = new Option<string>("--url") { DefaultValueFactory = _ => "http://127.0.0.1:9003" };
        var upstream = new Option<string>("--upstream") { DefaultValueFactory = _ => "http://127.0.0.1:9000" };
        var command = new Command("yarp", "Bare YARP, as the end-to-end bench starts it") { url, upstream };
        command.Hidden = true;
        command.SetAction((parsed, stop) => RunAsync(parsed.GetValue(url)!, parsed.GetValue(upstream)!, stop));
        return command;
    }

    private static async Task RunAsync(string url, string upstream, CancellationToken stop)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddReverseProxy().LoadFromMemory(
            [new RouteConfig { RouteId = "all", ClusterId = "upstream", Match = new RouteMatch { Path = "/{**rest}" } }],
            [
                new ClusterConfig
                {
                    ClusterId = "upstream",
                    Destinations = new Dictionary<string, DestinationConfig>
                    {
                        ["only"] = new() { Address = upstream },
                    },
                },
            ]);
        await using var app = builder.Build();
        app.Urls.Add(url);
        app.MapReverseProxy();
        await app.StartAsync(stop);
        await app.WaitForShutdownAsync(stop);
    }
}
