using System.Net;
using System.Net.Sockets;

namespace Tollgate.Tests.Support;

/// <summary>Ports on loopback for servers that are started a little later.</summary>
/// <remarks>Below those that the system gives to clients: one of these, once found free, is not somebody's outgoing
/// connection by the time that its server listens, or listens again.</remarks>
internal static class Ports
{
    private const int First = 10_000;
    private static readonly int s_end = End();
    private static int s_next = Random.Shared.Next(First, s_end);

    /// <summary>One that nobody listens on, and that this process did not give out lately.</summary>
    public static int Free()
    {
        for (var tries = First; tries < s_end; tries++)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref s_next) % (uint)(s_end - First));
            using var listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return port;
            }
            catch (SocketException)
            {
                // taken
            }
        }

        throw new InvalidOperationException($"No port from {First} to {s_end} is free.");
    }

    private static int End()
    {
        const string range = "/proc/sys/net/ipv4/ip_local_port_range";
        var first = File.Exists(range)
            ? int.Parse(File.ReadAllText(range).Split('\t', ' ')[0], System.Globalization.CultureInfo.InvariantCulture) : 32_768;
        return Math.Max(first, First + 2_000);
    }
}
