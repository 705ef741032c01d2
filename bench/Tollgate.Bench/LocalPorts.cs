using Tollgate.Tests.Support;

namespace Tollgate.Bench;

/// <summary>Ports on loopback that nobody listens on right now.</summary>
internal static class LocalPorts
{
    /// <summary>Different ones.</summary>
    public static int[] Free(int count) => [.. Enumerable.Range(0, count).Select(_ => Ports.Free())];

    public static Uri At(int port) => new($"http://127.0.0.1:{port}");
}
