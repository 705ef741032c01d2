using Tollgate.Gateway.Cost;

namespace Tollgate.Gateway.Forwarding;

/// <summary>How long one sending of a call may take: until the headers of its answer, and until its end. The headers are
/// due from when the request is sent to its last byte: how long a body takes is for its caller to say.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly TimeProvider _machine;
    private readonly TimeSpan _left;
    private readonly TimeSpan? _first;
    private readonly long _begunAt;
    private readonly Lock _sending = new();
    private bool _isSending;

    /// <param name="rules">With a first byte or a total.</param>
    /// <param name="machine">Whose time it is.</param>
    /// <param name="startedAt">When the call came.</param>
    /// <param name="hasBody">Whether somebody says when the request is sent; else it is.</param>
    public Deadline(ForwardRules rules, TimeProvider machine, long startedAt, bool hasBody)
    {
        _machine = machine;
        _left = rules.Timeouts.Total is { } total
            ? TimeSpan.FromMilliseconds(total) - machine.GetElapsedTime(startedAt) : Timeout.InfiniteTimeSpan;
        if (_left != Timeout.InfiniteTimeSpan && _left <= TimeSpan.Zero) _left = TimeSpan.FromMilliseconds(1);
        _first = rules.Timeouts.FirstByte is { } ms ? TimeSpan.FromMilliseconds(ms) : null;
        _isSending = hasBody;
        _begunAt = machine.GetTimestamp();
        _source = new CancellationTokenSource(hasBody ? _left : Sooner(_first, _left), machine);
    }

    public CancellationToken Token => _source.Token;

    public bool Passed => _source.IsCancellationRequested;

    /// <summary>Whether the time passed while the caller was still sending.</summary>
    public bool IsSending
    {
        get
        {
            lock (_sending) return _isSending;
        }
    }

    /// <summary>The request is out: the headers of its answer are due, if they are not here.</summary>
    public void Sent()
    {
        lock (_sending)
        {
            if (!_isSending) return;
            _isSending = false;
            if (_first is not null) Within(Sooner(_first, Left()));
        }
    }

    /// <summary>The headers came: only the end of the whole call counts from here.</summary>
    public void Answered()
    {
        lock (_sending)
        {
            _isSending = false;
            Within(Left());
        }
    }

    public void Dispose()
    {
        lock (_sending)
        {
            _isSending = false;
            _source.Dispose();
        }
    }

    private TimeSpan Left() => _left == Timeout.InfiniteTimeSpan ? _left : _left - _machine.GetElapsedTime(_begunAt);

    private void Within(TimeSpan left)
    {
        if (left == Timeout.InfiniteTimeSpan || left > TimeSpan.Zero) _source.CancelAfter(left);
    }

    private static TimeSpan Sooner(TimeSpan? first, TimeSpan left) =>
        first is not { } due || (left != Timeout.InfiniteTimeSpan && left < due) ? left : due;
}

/// <summary>It tells when it has been read to its end.</summary>
internal sealed class TimedBody(Stream inner, Deadline deadline) : PassingBody(inner)
{
    protected override void Passed(ReadOnlySpan<byte> piece)
    {
        if (piece.IsEmpty) deadline.Sent();
    }
}
