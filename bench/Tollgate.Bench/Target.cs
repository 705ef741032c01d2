namespace Tollgate.Bench;

/// <summary>What can be put under load, in the order of the report.</summary>
/// <param name="Name">As on the command line.</param>
/// <param name="What">As in the report.</param>
/// <param name="WarmUpSeconds">Long enough for the JIT's second tier where there is one.</param>
internal sealed record Target(string Name, string What, int WarmUpSeconds)
{
    public static readonly Target Upstream = new("upstream", "the upstream alone (nginx)", 3);
    public static readonly Target Proxy = new("proxy", "nginx, forwards and does nothing else", 3);
    public static readonly Target Lua = new("lua", "nginx + Lua by hand: key, gate, limit, headers, count; in memory", 3);
    public static readonly Target Yarp = new("yarp", "bare YARP: MapReverseProxy() and nothing else", 10);
    public static readonly Target Tollgate =
        new("tollgate", "Tollgate: hashed key, gate, two limits, headers, durable journal, metrics", 10);

    private static readonly Target[] All = [Upstream, Proxy, Lua, Yarp, Tollgate];

    public static string NamesOfAll { get; } = string.Join(',', All.Select(target => target.Name));

    public static Target? Find(string name) => All.FirstOrDefault(target => target.Name == name);
}
