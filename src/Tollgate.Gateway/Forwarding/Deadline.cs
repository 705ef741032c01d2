namespace Tollgate.Gateway.Forwarding;

/// <summary>How long one sending of a call may take: until the headers of its answer, and until its end.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly TimeProvider _machine;
    private readonly TimeSpan _left;
    private readonly long _begunAt;

    /// <param name="rules">With a first byte or a total.</param>
    /// <param name="machine">Whose time it is.</param>
    /// <param name="startedAt">When the call came.</param>
    public Deadline(ForwardRules rules, TimeProvider machine, long startedAt)
    {
        _machine = machine;
        _left = rules.Timeouts.Total is { } total
            ? TimeSpan.FromMilliseconds(total) - machine.GetElapsedTime(startedAt) : Timeout.InfiniteTimeSpan;
        if (_left != Timeout.InfiniteTimeSpan && _left <= TimeSpan.Zero) _left = TimeSpan.FromMilliseconds(1);
        var first = rules.Timeouts.FirstByte is { } ms ? TimeSpan.FromMilliseconds(ms) : _left;
        if (_left != Timeout.InfiniteTimeSpan && _left < first) first = _left;
        _begunAt = machine.GetTimestamp();
        _source = new CancellationTokenSource(first, machine);
    }

    public CancellationToken Token => _source.Token;

    public bool Passed => _source.IsCancellationRequested;

    /// <summary>The headers came: only the end of the whole call counts from here.</summary>
    public void Answered()
    {
        var left = _left == Timeout.InfiniteTimeSpan ? _left : _left - _machine.GetElapsedTime(_begunAt);
        if (left == Timeout.InfiniteTimeSpan || left > TimeSpan.Zero) _source.CancelAfter(left);
    }

    public void Dispose() => _source.Dispose();
}
