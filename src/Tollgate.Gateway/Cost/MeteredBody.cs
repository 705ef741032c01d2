using Microsoft.AspNetCore.Http;

namespace Tollgate.Gateway.Cost;

/// <summary>
/// The answer's body on its way to the caller: counts its bytes, lets the scanner see them, and keeps none. When the
/// length is known, the call is settled before the last byte goes on; else whoever ends the answer does.
/// </summary>
internal sealed class MeteredBody : Stream
{
    private readonly Stream _inner;
    private readonly CallCost _cost;
    private readonly HttpResponse _response;
    private readonly Func<Task> _whole;
    private readonly Action _part;
    private JsonScanner? _json;
    private EventLines? _events;
    private UnitFault? _unreadable;
    private bool _begun;

    // so much of a byte order mark was read, which is no part of a text
    private int _mark;
    private long _left;

    /// <param name="response">Whose headers are set when the first byte is written.</param>
    /// <param name="cost">Of the call.</param>
    /// <param name="whole">Called before the last byte of a body of known length.</param>
    /// <param name="part">Called after each piece; whoever settles in parts decides when.</param>
    public MeteredBody(HttpResponse response, CallCost cost, Func<Task> whole, Action part)
    {
        _response = response;
        _inner = response.Body;
        _cost = cost;
        _whole = whole;
        _part = part;
    }

    /// <summary>Asked before each piece goes on whether the answer ends before it; null where it never does.</summary>
    public Func<bool>? Cuts { get; init; }

    /// <summary>Where nodes share limits: finds room for what was used, before it is too late to.</summary>
    public Func<ValueTask>? Room { get; init; }

    /// <summary>Whether it has ended so.</summary>
    public bool IsCut { get; private set; }

    private enum Kind { Json, Events, Other }

    private static ReadOnlySpan<byte> Mark => [0xEF, 0xBB, 0xBF];

    /// <summary>The body has ended, or will not go on.</summary>
    public void End()
    {
        if (!_begun) return;
        _json?.End();
        _cost.EndBody(_unreadable);
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (buffer.IsEmpty) return;
        if (IsCut)
        {
            // of what was cut before it began the refusal is what goes out
            await _inner.WriteAsync(buffer, cancellationToken);
            return;
        }

        if (!_begun) Begin();
        if (Cuts is not null) _cost.Mark();
        See(buffer.Span);
        _cost.ResponseBytes += buffer.Length;
        if (Room is not null && (Cuts is not null || _left == buffer.Length)) await Room();
        if (Cuts?.Invoke() == true)
        {
            _cost.ResponseBytes -= buffer.Length;
            _cost.Unsay();
            IsCut = true;
            throw new IOException("What the answer costs from here on has no room in a quota or a balance.");
        }

        _left -= buffer.Length;
        if (_left == 0) await _whole();
        try
        {
            await _inner.WriteAsync(buffer, cancellationToken);
        }
        catch
        {
            // what did not go out was not delivered; if it was the last piece, it is settled already
            _cost.ResponseBytes -= buffer.Length;
            throw;
        }

        _part();
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(byte[] buffer, int offset, int count) =>
        throw new NotSupportedException("An answer is written asynchronously.");

    public override Task FlushAsync(CancellationToken cancellationToken) => _inner.FlushAsync(cancellationToken);

    public override void Flush() => _inner.Flush();

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private void Begin()
    {
        _begun = true;
        _left = _response.ContentLength ?? long.MaxValue;
        if (!_cost.Operation.ReadsBody) return;
        var kind = KindOf(_response.ContentType);
        _unreadable = IsEncoded(_response) ? UnitFault.Compressed : kind == Kind.Other ? UnitFault.ContentType : null;
        if (_unreadable is not null) return;
        _json = _cost.Scanner();
        if (kind == Kind.Events) _events = new EventLines(_json);
    }

    private void See(ReadOnlySpan<byte> piece)
    {
        if (_json is null) return;
        while (_mark < Mark.Length && !piece.IsEmpty)
        {
            if (piece[0] != Mark[_mark])
            {
                // what began like one is text
                var begun = Mark[.._mark];
                _mark = Mark.Length;
                Scan(begun);
                break;
            }

            _mark++;
            piece = piece[1..];
        }

        Scan(piece);
    }

    private void Scan(ReadOnlySpan<byte> piece)
    {
        if (_events is not null) _events.Scan(piece);
        else _json!.Scan(piece);
    }

    private static bool IsEncoded(HttpResponse response)
    {
        var encoding = response.Headers.ContentEncoding;
        return encoding.Count > 0 && !string.Equals(encoding.ToString().Trim(), "identity", StringComparison.OrdinalIgnoreCase);
    }

    private static Kind KindOf(string? contentType)
    {
        var type = contentType.AsSpan();
        var semicolon = type.IndexOf(';');
        if (semicolon >= 0) type = type[..semicolon];
        type = type.Trim();
        if (Is(type, "text/event-stream")) return Kind.Events;
        return Is(type, "application/json") || Is(type, "text/json") || Is(type, "application/x-ndjson")
            || Is(type, "application/jsonl") || Is(type, "application/json-seq")
            || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase) ? Kind.Json : Kind.Other;

        static bool Is(ReadOnlySpan<char> a, string b) => a.Equals(b, StringComparison.OrdinalIgnoreCase);
    }
}
