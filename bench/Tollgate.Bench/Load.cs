namespace Tollgate.Bench;

/// <summary>What one turn of the load generator does.</summary>
/// <param name="Connections">All busy all the time.</param>
/// <param name="Seconds">How long.</param>
/// <param name="Keys">How many keys exist: <c>key_2</c>, <c>key_4</c> … The odd ones belong to a plan without access.</param>
internal sealed record Load(int Connections, int Seconds, int Keys)
{
    public const string Path = "/v1/premium/analytics";
    public const string KeyHeader = "apikey";
    public const string FirstKey = "key_2";
}
