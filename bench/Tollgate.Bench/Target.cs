namespace Tollgate.Bench;

/// <summary>What can be put under load, in the order of the report.</summary>
/// <param name="Name">As on the command line.</param>
/// <param name="What">As in the report.</param>
/// <param name="WarmUpSeconds">The least; a JIT gets as long as it needs, see <see cref="WarmUp"/>.</param>
internal sealed record Target(string Name, string What, int WarmUpSeconds)
{
    public static readonly Target Upstream = new("upstream", "the upstream alone (nginx)", 3);
    public static readonly Target Proxy = new("proxy", "nginx, forwards and does nothing else", 3);
    public static readonly Target Lua = new("lua", "nginx + Lua by hand: key, gate, limit, headers, count; in memory", 3);
    public static readonly Target Yarp = new("yarp", "bare YARP: MapReverseProxy() and nothing else", 10);
    public static readonly Target Tollgate =
        new("tollgate", "Tollgate: hashed key, gate, two limits and a monthly quota, headers, durable journal, metrics", 10);
    public static readonly Target ManyKeys = new("tollgate-keys", "the same, over very many keys", 10);
    public static readonly Target ManyOperations = new("tollgate-operations", "the same, with very many operations", 10);

    private static readonly Target[] All = [Upstream, Proxy, Lua, Yarp, Tollgate, ManyKeys, ManyOperations];

    public static string NamesOfAll { get; } = string.Join(',', All.Select(target => target.Name));

    /// <summary>Unless somebody says otherwise.</summary>
    public static string NamesOfUsual { get; } =
        string.Join(',', new[] { Upstream, Proxy, Lua, Yarp, Tollgate }.Select(target => target.Name));

    /// <summary>What shows whether the toll is dear, and whether it becomes so.</summary>
    public static string NamesOfFull { get; } =
        string.Join(',', new[] { Yarp, Tollgate, ManyKeys, ManyOperations }.Select(target => target.Name));

    public bool IsTollgate => this == Tollgate || this == ManyKeys || this == ManyOperations;

    public bool IsDotnet => IsTollgate || this == Yarp;

    public static Target? Find(string name) => All.FirstOrDefault(target => target.Name == name);
}
