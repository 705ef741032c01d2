using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Tollgate.Bench;

/// <summary>What a sender was answered.</summary>
internal sealed class SentEvents
{
    /// <summary>Events that were accepted.</summary>
    public long Accepted { get; set; }

    /// <summary>Those of them that had never been sent before: what must be counted.</summary>
    public long Once { get; set; }

    /// <summary>Requests that were told to come later, and did.</summary>
    public long Later { get; set; }

    /// <summary>The slowest answer.</summary>
    public TimeSpan Slowest { get; set; }
}

/// <summary>
/// One connection that sends batches of CloudEvents, one after the other, from a thread of its own. The body is built
/// once; only the digits of the ids change, so that the sender costs the machine next to nothing. One in a hundred events
/// was sent before.
/// </summary>
internal sealed class EventSender : IDisposable
{
    public const int Batch = 1_000, Customers = 1_000;

    /// <summary>Of every event, so that the sum tells how many were counted.</summary>
    public const decimal Quantity = 0.125m;

    private const int Digits = 12, RepeatedEach = 100, IdsOfBatch = Batch - Batch / RepeatedEach;
    private static readonly string[] s_regions = ["eu", "us", "ap", "sa"];

    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
    private readonly Random _random;
    private readonly byte[] _request;
    private readonly int[] _places = new int[Batch];
    private readonly byte[] _answer = new byte[1 << 20];
    private long _next;

    public EventSender(Uri admin, string name, int number)
    {
        _random = new Random(number);
        _socket.Connect(admin.Host, admin.Port);
        var now = TimeProvider.System.GetUtcNow();
        var body = new StringBuilder("[");
        for (var i = 0; i < Batch; i++)
        {
            body.Append(i == 0 ? "" : ",").Append("{\"specversion\":\"1.0\",\"id\":\"");
            body.Append(CultureInfo.InvariantCulture, $"{name}-{number:D2}-");
            _places[i] = body.Length;
            body.Append('0', Digits).Append("\",\"source\":\"bench/disks\",\"type\":\"storage.used\",\"subject\":\"");
            body.Append(CultureInfo.InvariantCulture, $"customer-{_random.Next(Customers):D4}\",\"time\":\"");
            body.Append(now.AddMilliseconds(-_random.Next(60_000)).ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
            body.Append("\",\"datacontenttype\":\"application/json\",\"data\":{\"gigabytes\":\"0.125\",\"disk\":\"d-17\",\"region\":\"");
            body.Append(s_regions[_random.Next(s_regions.Length)]).Append("\"}}");
        }

        body.Append(']');
        var head = $"POST /v1/events HTTP/1.1\r\nHost: {admin.Authority}\r\nContent-Type: application/cloudevents-batch+json\r\n" +
            $"Content-Length: {body.Length}\r\n\r\n";
        for (var i = 0; i < Batch; i++) _places[i] += head.Length;
        _request = Encoding.ASCII.GetBytes(head + body);
    }

    public int BytesOfRequest => _request.Length;

    public SentEvents Seen { get; } = new();

    /// <summary>Sends until the time is over, as fast as answers come or so many events a second.</summary>
    public void Run(TimeSpan time, double eventsPerSecond, CancellationToken stop)
    {
        var began = TimeProvider.System.GetTimestamp();
        for (var batch = 0L; !stop.IsCancellationRequested; batch++)
        {
            var elapsed = TimeProvider.System.GetElapsedTime(began);
            if (elapsed >= time) return;
            var due = eventsPerSecond > 0 ? TimeSpan.FromSeconds(batch * Batch / eventsPerSecond) : elapsed;
            if (due >= time) return;
            if (due > elapsed) stop.WaitHandle.WaitOne(due - elapsed);
            Number();
            var sent = TimeProvider.System.GetTimestamp();
            while (!SendOnce() && !stop.IsCancellationRequested)
            {
                Seen.Later++;
                stop.WaitHandle.WaitOne(TimeSpan.FromSeconds(1));
            }

            var took = TimeProvider.System.GetElapsedTime(sent);
            if (took > Seen.Slowest) Seen.Slowest = took;
        }
    }

    public void Dispose() => _socket.Dispose();

    private void Number()
    {
        for (var i = 0; i < Batch; i++)
        {
            // of the ids of earlier batches, whose answers are here
            var again = i % RepeatedEach == RepeatedEach - 1;
            var id = again ? _random.NextInt64(Math.Max(1, _next - _next % IdsOfBatch)) : _next++;
            var place = _request.AsSpan(_places[i], Digits);
            for (var digit = Digits - 1; digit >= 0; digit--, id /= 10) place[digit] = (byte)('0' + id % 10);
        }
    }

    /// <returns>False: later.</returns>
    private bool SendOnce()
    {
        for (var at = 0; at < _request.Length;) at += _socket.Send(_request.AsSpan(at));
        var answer = Receive();
        if (answer.StartsWith("HTTP/1.1 503"u8)) return false;
        var place = answer.IndexOf("\"accepted\":"u8);
        if (!answer.StartsWith("HTTP/1.1 200"u8) || place < 0)
            throw new BenchException(Encoding.UTF8.GetString(answer[..Math.Min(answer.Length, 500)]));
        if (!System.Buffers.Text.Utf8Parser.TryParse(answer[(place + 11)..], out int accepted, out _) || accepted != Batch)
            throw new BenchException($"{accepted} of {Batch} events were accepted");
        Seen.Accepted += accepted;
        Seen.Once = _next;
        return true;
    }

    private Span<byte> Receive()
    {
        var length = 0;
        while (true)
        {
            var read = _socket.Receive(_answer.AsSpan(length));
            if (read == 0) throw new BenchException("the server hung up");
            length += read;
            var answer = _answer.AsSpan(0, length);
            var end = answer.IndexOf("\r\n\r\n"u8);
            if (end < 0) continue;
            var place = answer[..end].IndexOf("Content-Length: "u8);
            if (place >= 0 && System.Buffers.Text.Utf8Parser.TryParse(answer[(place + 16)..], out int body, out _)
                ? length == end + 4 + body : answer.EndsWith("0\r\n\r\n"u8))
                return answer;
        }
    }
}
