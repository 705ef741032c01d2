using System.Globalization;

namespace Tollgate.Web.Kong;

/// <summary>What a plugin's config is read against.</summary>
/// <param name="Groups">Names of all consumer groups.</param>
/// <param name="Redis">Over which the server counts together with others, as <c>host:port</c>, several with commas; null: it
/// counts for itself.</param>
internal sealed record PluginSurroundings(IReadOnlySet<string> Groups, string? Redis);

/// <summary>
/// Where a plugin of Kong's says that its limits are counted. Here that is the server's to say: over its Redis all limits are
/// shared, without one a node counts for itself. So a plugin may ask for what is so, and is refused what is not.
/// </summary>
internal static class CountedWhere
{
    public const string Local = "local", Redis = "redis";

    // how Kong's plugins reach a Redis of their own, beside host and port
    private static readonly string[] s_others =
    [
        "database", "username", "password", "ssl", "ssl_verify", "server_name", "timeout", "connect_timeout", "read_timeout",
        "send_timeout", "keepalive_backlog", "keepalive_pool_size", "connection_is_proxied", "cluster_nodes", "cluster_addresses",
        "cluster_max_redirections", "sentinel_addresses", "sentinel_master", "sentinel_nodes", "sentinel_role", "sentinel_username",
        "sentinel_password", "cloud_authentication", "redis_proxy_type",
    ];

    /// <param name="config">Of the plugin.</param>
    /// <param name="field"><c>policy</c> or <c>strategy</c>.</param>
    /// <param name="redis">See <see cref="PluginSurroundings.Redis"/>.</param>
    /// <returns>What is stored.</returns>
    public static string Read(KongFields config, string field, string? redis)
    {
        var wanted = config.Text(field) ?? Local;
        if (wanted is not (Local or Redis))
            config.Note(field, "not supported: counters are kept on this node (local), or shared over the Redis that the server " +
                "is started with (redis)");
        else if (wanted == Redis && redis is null)
            config.Note(field, "not supported: this server is started without --redis, so its counters are kept on this node; " +
                "send local, or start it with --redis");
        if (wanted == Redis && redis is not null) ReadPlace(config, redis);
        else config.None("this is of the server, not of a plugin", ["redis", .. NamesOf("redis_")]);
        return wanted;
    }

    /// <summary>The plugin's Redis has to be the server's: there is no second one.</summary>
    private static void ReadPlace(KongFields config, string redis)
    {
        var places = redis.Split(',').Select(p => (Host: p[..p.LastIndexOf(':')].Trim('[', ']'), Port: p[(p.LastIndexOf(':') + 1)..]))
            .ToArray();
        var other = $"not supported: counters are shared over the Redis of the server, {redis}, and over no other; leave it out";
        foreach (var (fields, prefix) in new[] { (config, "redis_"), (config.Record("redis"), "") })
        {
            var host = fields.Text(prefix + "host", most: 255);
            var port = fields.Integer(prefix + "port", 1, 65_535)?.ToString(CultureInfo.InvariantCulture);
            if (host is not null && !places.Any(p => p.Host.Equals(host, StringComparison.OrdinalIgnoreCase)))
                fields.Note(prefix + "host", other);
            if (port is not null && !places.Any(p => p.Port == port)) fields.Note(prefix + "port", other);
            fields.None("how the Redis of the server is reached stands in --redis; leave it out",
                [.. s_others.Select(n => prefix + n)]);
        }
    }

    private static IEnumerable<string> NamesOf(string prefix) => s_others.Prepend("port").Prepend("host").Select(n => prefix + n);
}
