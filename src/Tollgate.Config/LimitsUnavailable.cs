namespace Tollgate.Config;

/// <summary>What becomes of limits and quotas that nodes share while the Redis that counts them is away.</summary>
public enum LimitsUnavailable : byte
{
    /// <summary>A node goes on with its fair part of what was left.</summary>
    Share,

    /// <summary>A node counts its own calls alone: all nodes together may admit as many times the limit.</summary>
    Open,

    /// <summary>Nothing that has a limit is admitted: 503 <c>limits_unavailable</c>.</summary>
    Closed,
}
