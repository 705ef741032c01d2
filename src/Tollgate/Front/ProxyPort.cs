using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Tollgate.Front;

/// <summary>
/// The Kestrel before the gate. It is made by the builder of web applications, and started without the application around
/// it: see <see cref="GateApplication"/>.
/// </summary>
/// <param name="parts">Built, never started: holds the server and what it needs.</param>
/// <param name="gate">Where every request goes.</param>
/// <param name="patience">How long calls under way may take to end when it stops.</param>
internal sealed class ProxyPort(WebApplication parts, RequestDelegate gate, TimeSpan patience) : IAsyncDisposable
{
    private readonly IServer _server = parts.Services.GetRequiredService<IServer>();

    /// <summary>Where it listens, in the order in which it was told to.</summary>
    public IEnumerable<Uri> Addresses => _server.Features.Get<IServerAddressesFeature>()!.Addresses.Select(a => new Uri(a));

    public Task StartAsync() => _server.StartAsync(
        new GateApplication(gate, parts.Services.GetRequiredService<IServiceScopeFactory>()), CancellationToken.None);

    /// <summary>Takes no more connections, lets calls under way end, and breaks off what takes too long.</summary>
    public async Task StopAsync()
    {
        using var late = new CancellationTokenSource(patience);
        await _server.StopAsync(late.Token);
    }

    public ValueTask DisposeAsync() => parts.DisposeAsync();
}
