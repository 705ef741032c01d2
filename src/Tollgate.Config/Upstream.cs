namespace Tollgate.Config;

/// <summary>One server of an upstream that has several.</summary>
/// <param name="Url">http or https, with the path under which it serves, without a trailing slash.</param>
/// <param name="Weight">Its share of the calls among the weights of all, 1 to <see cref="MostWeight"/>.</param>
public sealed record UpstreamTarget(Uri Url, int Weight = 1)
{
    public const int MostWeight = 100;

    /// <summary>The most that one API may have.</summary>
    public const int MostTargets = 32;

    /// <summary>How often a call may be sent again.</summary>
    public const int MostRetries = 5;
}
