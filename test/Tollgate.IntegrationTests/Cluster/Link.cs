using System.Net;
using System.Net.Sockets;

namespace Tollgate.IntegrationTests;

/// <summary>A way to a server on this machine that can be made slow, cut, and made deaf: connections stay open and nothing
/// passes, as when a machine on the way loses power.</summary>
internal sealed class Link : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _end = new();
    private readonly HashSet<Socket> _open = [];
    private readonly int _target;
    private volatile bool _cut;
    private volatile int _delay;
    private volatile TaskCompletionSource? _deaf;

    public Link(int target)
    {
        _target = target;
        _listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Each piece of data takes so much longer, each way.</summary>
    public void Delay(TimeSpan by) => _delay = (int)by.TotalMilliseconds;

    /// <summary>Ends all connections; new ones are ended at once.</summary>
    public void Cut()
    {
        _cut = true;
        lock (_open)
        {
            foreach (var socket in _open) socket.Close(0);
            _open.Clear();
        }
    }

    /// <summary>Nothing passes, and nobody is told.</summary>
    public void Deafen() => _deaf ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>As it should be. What was under way while it was deaf is lost: those connections end.</summary>
    public void Mend()
    {
        _delay = 0;
        if (_deaf is { } deaf)
        {
            Cut();
            _deaf = null;
            deaf.TrySetResult();
        }

        _cut = false;
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _listener.Stop();
        Cut();
        _deaf?.TrySetResult();
        _end.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = CarryAsync(await _listener.AcceptSocketAsync(_end.Token));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // the end
        }
    }

    private async Task CarryAsync(Socket near)
    {
        using var far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        near.NoDelay = true;
        try
        {
            lock (_open)
            {
                if (_cut)
                {
                    near.Close(0);
                    return;
                }

                _open.Add(near);
                _open.Add(far);
            }

            await far.ConnectAsync(IPAddress.Loopback, _target);
            await Task.WhenAny(PassAsync(near, far), PassAsync(far, near));
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // the server is away: so are we
        }
        finally
        {
            lock (_open)
            {
                _open.Remove(near);
                _open.Remove(far);
            }

            near.Dispose();
        }
    }

    private async Task PassAsync(Socket from, Socket to)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (true)
            {
                var read = await from.ReceiveAsync(buffer.AsMemory());
                if (_delay > 0) await Task.Delay(TimeSpan.FromMilliseconds(_delay), TimeProvider.System);
                if (_deaf is { } deaf) await deaf.Task;
                if (read == 0) return;
                for (var sent = 0; sent < read;) sent += await to.SendAsync(buffer.AsMemory(sent, read - sent));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // one side is gone
        }
    }
}
