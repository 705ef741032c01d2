namespace Tollgate.Config;

/// <summary>What becomes of calls that cannot be written down, since the journal is full.</summary>
public enum MeteringUnavailable : byte
{
    /// <summary>They are refused: 503 <c>metering_unavailable</c>. What is not recorded is not sold.</summary>
    Closed,

    /// <summary>They pass, and nobody is billed for them; they are counted apart from the ledger.</summary>
    Open,
}
