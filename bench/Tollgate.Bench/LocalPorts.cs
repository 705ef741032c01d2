using System.Net;
using System.Net.Sockets;

namespace Tollgate.Bench;

/// <summary>Ports on loopback that nobody listens on right now.</summary>
internal static class LocalPorts
{
    /// <summary>Different ones: each is held until all are found.</summary>
    public static int[] Free(int count)
    {
        var listeners = new List<TcpListener>();
        try
        {
            for (var i = 0; i < count; i++)
            {
                var listener = new TcpListener(IPAddress.Loopback, 0);
                listeners.Add(listener);
                listener.Start();
            }
            return [.. listeners.Select(listener => ((IPEndPoint)listener.LocalEndpoint).Port)];
        }
        finally
        {
            listeners.ForEach(listener => listener.Dispose());
        }
    }

    public static Uri At(int port) => new($"http://127.0.0.1:{port}");
}
