namespace Tollgate.Storage;

/// <summary>
/// Business time under <c>--test-clock</c>: it stands still until somebody moves it, so that a month passes when a
/// test or a user says so.
/// </summary>
public sealed class TestClock(DateTimeOffset start) : TimeProvider
{
    private long _ticks = start.UtcTicks;

    public override DateTimeOffset GetUtcNow() => new(Volatile.Read(ref _ticks), TimeSpan.Zero);

    /// <summary>Backwards too: what a clock that jumps does.</summary>
    public void Set(DateTimeOffset now) => Volatile.Write(ref _ticks, now.UtcTicks);
}
