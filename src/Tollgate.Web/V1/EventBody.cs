using System.Buffers;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.AspNetCore.Http;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Web.V1;

/// <summary>
/// The memory that the bodies of all requests with events take together. A body takes room as it comes, not as it says that it
/// will, and gives it back with its answer; what finds none is to be sent again.
/// </summary>
public sealed class EventRoom(long most, TimeProvider machine)
{
    /// <summary>Of all bodies that are under way.</summary>
    public const long MostBytes = 128 << 20;

    /// <summary>A body of at most 4 MiB is there within this time, or its connection is given up.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private long _taken;

    public long Taken => Interlocked.Read(ref _taken);

    internal TimeProvider Machine => machine;

    public bool TryTake(long bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= most) return true;
        Return(bytes);
        return false;
    }

    public void Return(long bytes) => Interlocked.Add(ref _taken, -bytes);
}

/// <summary>The body of a request, in rented memory: bytes, and what they are as JSON.</summary>
public sealed class EventBody : IDisposable
{
    /// <summary>Values and names in a body; ten thousand events have a hundred each.</summary>
    public const int MostValues = 1_000_000;

    private const int First = 65_536;

    // what a value costs in a parsed document while it grows, and what texts take once they are read
    private const int BytesOfValue = 24, BytesOfText = 2, BytesOfPacked = 12;

    private static readonly JsonDocumentOptions s_json = new() { MaxDepth = 64 };

    private readonly EventRoom _room;
    private byte[] _rented = [];
    private int _length;
    private long _taken;
    private JsonDocument? _document;

    private EventBody(EventRoom room) => _room = room;

    /// <summary>Undefined when the body is empty.</summary>
    public JsonElement Root => _document?.RootElement ?? default;

    /// <summary>Half of a surrogate pair stands in it, which JSON can carry and a text cannot.</summary>
    public bool HasHalf { get; private set; }

    /// <summary>What the client hears instead, as a problem of ours.</summary>
    public IResult? Fault { get; private set; }

    public ReadOnlySpan<byte> Bytes => _rented.AsSpan(0, _length);

    /// <summary>Reads the body as JSON.</summary>
    /// <param name="request">Whose.</param>
    /// <param name="room">Where it finds room.</param>
    /// <param name="mayBeEmpty">An event may be all in its headers.</param>
    public static async Task<EventBody> ReadAsync(HttpRequest request, EventRoom room, bool mayBeEmpty = false)
    {
        var body = await ReadBytesAsync(request, room);
        if (body.Fault is null && !(mayBeEmpty && body._length == 0)) body.Parse();
        return body;
    }

    /// <summary>Reads the body as it is.</summary>
    /// <param name="request">Whose.</param>
    /// <param name="room">Where it finds room.</param>
    /// <param name="packed">Its encoding is the caller's affair.</param>
    public static async Task<EventBody> ReadBytesAsync(HttpRequest request, EventRoom room, bool packed = false)
    {
        var body = new EventBody(room);
        try
        {
            if (request.Headers.ContentEncoding.ToString() is { Length: > 0 } encoding && encoding != "identity" && !packed)
                body.Fault = Answers.Refused(StatusCodes.Status415UnsupportedMediaType, [new Problem("bad_value",
                    $"is '{encoding}': events are sent as they are, without an encoding", "Content-Encoding")]);
            else
                await body.FillAsync(request);
            return body;
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        _document?.Dispose();
        if (_rented.Length > 0) ArrayPool<byte>.Shared.Return(_rented);
        _rented = [];
        _room.Return(_taken);
        _taken = 0;
    }

    private async Task FillAsync(HttpRequest request)
    {
        using var late = new CancellationTokenSource(EventRoom.Patience, _room.Machine);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, request.HttpContext.RequestAborted);
        try
        {
            if (!Grow((int)Math.Clamp(request.ContentLength + 1 ?? First, 1, First))) return;
            int read;
            while ((read = await request.Body.ReadAsync(_rented.AsMemory(_length), either.Token)) > 0)
            {
                _length += read;
                if (_length == _rented.Length && !Grow(2 * _length)) return;
            }
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested)
        {
            Fault = Answers.Refused(StatusCodes.Status408RequestTimeout, [new Problem("body_too_slow",
                $"The body was not there after {EventRoom.Patience.TotalSeconds:0} seconds. Send fewer events at once.")]);
        }
    }

    private bool Grow(int size)
    {
        size = (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(size, 16));
        if (!TryTake(size - _rented.Length)) return false;
        var larger = ArrayPool<byte>.Shared.Rent(size);
        Bytes.CopyTo(larger);
        if (_rented.Length > 0) ArrayPool<byte>.Shared.Return(_rented);
        _rented = larger;
        return true;
    }

    /// <summary>Room for what the body becomes; else <see cref="Fault"/> says that there is none.</summary>
    public bool TryTake(long bytes)
    {
        if (!_room.TryTake(bytes))
        {
            Fault = EventsApi.Later("Too many events are under way on this node. Send the same events again later.");
            return false;
        }

        _taken += bytes;
        return true;
    }

    private void Parse()
    {
        var start = Bytes.StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0;
        var text = Bytes[start..];
        if (!Utf8.IsValid(text))
        {
            Fault = Answers.Invalid(new Problem("json_syntax",
                $"The body is not UTF-8, which JSON is: at byte {start + Utf16Texts.FirstInvalid(text)}."));
            return;
        }

        var values = text.CountAny((byte)',', (byte)':') + 2 * text.CountAny((byte)'[', (byte)'{') + 1L;
        if (values > MostValues)
        {
            Fault = Answers.Invalid(new Problem("too_many", $"The body has more than {MostValues} values. Send fewer events at once."));
            return;
        }

        var packed = text.IndexOf("data_base64"u8) < 0 ? 0L : BytesOfPacked;
        if (!TryTake(values * BytesOfValue + (BytesOfText + packed) * text.Length)) return;
        try
        {
            _document = JsonDocument.Parse(_rented.AsMemory(start, text.Length), s_json);
            HasHalf = Utf16Texts.HasHalf(text);
        }
        catch (JsonException e)
        {
            Fault = Answers.Invalid(new Problem("json_syntax", $"The body is not JSON: {e.Message}"));
        }
    }
}
