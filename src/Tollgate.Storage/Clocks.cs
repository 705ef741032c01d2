namespace Tollgate.Storage;

/// <summary>
/// The two times. Business time decides windows, periods, expiry and invoices; it can be set and stands still under
/// <c>--test-clock</c>. Machine time runs time-outs, flushes and latencies; it is always real.
/// </summary>
public sealed record Clocks(TimeProvider Business, TimeProvider Machine);
