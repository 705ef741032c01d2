using System.Net.Sockets;
using System.Text;

namespace Tollgate.Tests.Support;

/// <summary>A request written to a socket byte by byte, since a client library would tidy up its target.</summary>
internal sealed class RawCall
{
    private readonly Dictionary<string, string> _headers = new(StringComparer.OrdinalIgnoreCase);

    public int Status { get; private init; }

    public string Body { get; private init; } = "";

    public string? Header(string name) => _headers.GetValueOrDefault(name);

    public static Task<RawCall> GetAsync(Uri server, string target, string? key, string? host = null) => SendAsync(server,
        $"GET {target} HTTP/1.1\r\nHost: {host ?? server.Authority}\r\nConnection: close\r\n" +
        $"{(key is null ? "" : $"apikey: {key}\r\n")}\r\n");

    public static async Task<RawCall> SendAsync(Uri server, string bytes)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(server.Host, server.Port);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(bytes));
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var text = await reader.ReadToEndAsync();
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var head = end < 0 ? text : text[..end];
        var lines = head.Split("\r\n");
        var call = new RawCall
        {
            Status = lines[0].Length > 11 ? int.Parse(lines[0].AsSpan(9, 3)) : 0,
            Body = end < 0 ? "" : text[(end + 4)..],
        };
        foreach (var line in lines.Skip(1))
            if (line.IndexOf(':') is var colon and > 0) call._headers[line[..colon]] = line[(colon + 1)..].Trim();
        return call;
    }
}

/// <summary>Where the sources stand, for tests that read them.</summary>
internal static class Repository
{
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    private static string Find(string folder) =>
        File.Exists(Path.Combine(folder, "Tollgate.slnx")) ? folder : Find(Path.GetDirectoryName(folder)!);
}
