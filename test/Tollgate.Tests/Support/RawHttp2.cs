using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Tollgate.Tests.Support;

/// <summary>
/// HTTP/2 (RFC 9113) written frame by frame, since a client library would tidy up what it sends: one connection, calls
/// one after the other, header fields as literals in the order given, names and values as Latin-1 bytes.
/// </summary>
internal sealed class RawHttp2 : IAsyncDisposable
{
    private const byte Data = 0, Headers = 1, Reset = 3, Settings = 4, Ping = 6, GoAway = 7;
    private const int EndStream = 1, EndHeaders = 4, Ack = 1;

    private readonly TcpClient _client;
    private readonly Stream _stream;
    private int _next = 1;

    private RawHttp2(TcpClient client, Stream stream) => (_client, _stream) = (client, stream);

    public bool Usable { get; private set; } = true;

    /// <param name="server">h2c, or https: then by ALPN, whatever the certificate.</param>
    public static async Task<RawHttp2> ConnectAsync(Uri server)
    {
        var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(server.Host, server.Port);
        Stream stream = client.GetStream();
        if (server.Scheme == Uri.UriSchemeHttps)
        {
            var tls = new SslStream(stream);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = server.Host,
                ApplicationProtocols = [SslApplicationProtocol.Http2],
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null,
            });
            stream = tls;
        }

        var http2 = new RawHttp2(client, stream);
        await stream.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());
        // no table of headers: so the status of an answer stands in it as it is
        await http2.WriteAsync(Settings, 0, 0, [0, 1, 0, 0, 0, 0]);
        return http2;
    }

    /// <summary>Sends one call and reads its answer.</summary>
    /// <returns>The status; 0 when the stream or the connection was reset.</returns>
    public async Task<(int Status, string Body)> CallAsync(
        IEnumerable<(string Name, string Value)> fields, string? body = null)
    {
        var stream = _next;
        _next += 2;
        var block = new MemoryStream();
        foreach (var (name, value) in fields)
        {
            block.WriteByte(0x00); // a literal without indexing, with a new name (RFC 7541 6.2.2)
            WriteText(block, name);
            WriteText(block, value);
        }

        await WriteAsync(Headers, EndHeaders | (body is null ? EndStream : 0), stream, block.ToArray());
        if (body is not null) await WriteAsync(Data, EndStream, stream, Encoding.Latin1.GetBytes(body));
        try
        {
            return await ReadAnswerAsync(stream);
        }
        catch (IOException)
        {
            Usable = false;
            return (0, "");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync();
        _client.Dispose();
    }

    private async Task<(int Status, string Body)> ReadAnswerAsync(int stream)
    {
        var status = 0;
        var text = new StringBuilder();
        while (true)
        {
            var (type, flags, id, payload) = await ReadAsync();
            if (type == Settings && (flags & Ack) == 0) await WriteAsync(Settings, Ack, 0, []);
            if (type == Ping && (flags & Ack) == 0) await WriteAsync(Ping, Ack, 0, payload);
            if (type == GoAway)
            {
                Usable = false;
                return (0, "");
            }

            if (id != stream) continue;
            if (type == Reset) return (0, "");
            if (type == Headers && status == 0) status = StatusOf(payload);
            if (type == Data)
            {
                text.Append(Encoding.UTF8.GetString(payload));
                if (payload.Length > 0) await WriteAsync(8, 0, 0, [0, 0, (byte)(payload.Length >> 8), (byte)payload.Length]);
            }

            if (type is Data or Headers && (flags & EndStream) != 0) return (status, text.ToString());
        }
    }

    /// <summary>The first field of an answer is its status: an index of the static table, or a literal of that name.
    /// </summary>
    private static int StatusOf(byte[] block)
    {
        var at = 0;
        while ((block[at] & 0xE0) == 0x20) at++; // changes of the table's size
        return block[at] switch
        {
            0x88 => 200, 0x89 => 204, 0x8A => 206, 0x8B => 304, 0x8C => 400, 0x8D => 404, 0x8E => 500,
            _ => int.Parse(Encoding.ASCII.GetString(block, at + 2, 3)),
        };
    }

    private static void WriteText(MemoryStream block, string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        if (bytes.Length < 127)
        {
            block.WriteByte((byte)bytes.Length);
        }
        else
        {
            block.WriteByte(127);
            var rest = bytes.Length - 127;
            for (; rest >= 128; rest >>= 7) block.WriteByte((byte)(rest & 0x7F | 0x80));
            block.WriteByte((byte)rest);
        }

        block.Write(bytes);
    }

    private async Task WriteAsync(byte type, int flags, int stream, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        frame[0] = (byte)(payload.Length >> 16);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(1), (ushort)payload.Length);
        frame[3] = type;
        frame[4] = (byte)flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        await _stream.WriteAsync(frame);
    }

    private async Task<(byte Type, int Flags, int Stream, byte[] Payload)> ReadAsync()
    {
        var head = new byte[9];
        await _stream.ReadExactlyAsync(head);
        var payload = new byte[head[0] << 16 | head[1] << 8 | head[2]];
        await _stream.ReadExactlyAsync(payload);
        return (head[3], head[4], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)) & int.MaxValue, payload);
    }
}
