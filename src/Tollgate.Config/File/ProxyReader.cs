using System.Globalization;

namespace Tollgate.Config.File;

/// <summary>Reads how calls of an API go to its upstream and back.</summary>
internal sealed class ProxyReader(Findings findings)
{
    private const int MostHosts = 64;

    private static readonly (string Name, long Bytes)[] s_units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000),
    ];

    private readonly HeaderReader _headers = new(findings);

    /// <summary>All but the rewrites, which stand with the operations.</summary>
    public ProxySettings Read(MapReader fields) => WithProtocol(ReadAll(fields), fields.Take("protocol"));

    private ProxySettings ReadAll(MapReader fields) => new()
    {
        Hosts = Hosts(fields.Take("hosts")),
        StripPrefix = Prefix(fields.Take("strip_prefix")),
        PreserveHost = findings.Flag(fields.Take("preserve_host")) ?? false,
        RequestHeaders = _headers.Read(fields.Take("request_headers"), ofRequest: true),
        ResponseHeaders = _headers.Read(fields.Take("response_headers"), ofRequest: false),
        Cors = new CorsReader(findings).Read(fields.Take("cors")),
        MaxBody = Size(fields.Take("max_body")),
        Timeouts = Timeouts(fields.Take("timeouts")),
        Health = Health(fields.Take("health")),
        Balancing = findings.Choice(
            fields.Take("load_balancing"), "weighted", "round_robin", "least_requests", "random") switch
        {
            "round_robin" => LoadBalancing.RoundRobin,
            "least_requests" => LoadBalancing.LeastRequests,
            "random" => LoadBalancing.Random,
            _ => LoadBalancing.Weighted,
        },
        Tls = new UpstreamTlsReader(findings).Read(fields.Take("tls")),
    };

    /// <summary>The same with what it speaks: its name stands for two settings.</summary>
    private ProxySettings WithProtocol(ProxySettings proxy, Node? protocol) =>
        findings.Choice(protocol, "http1", "http2", "auto") switch
        {
            "http2" => proxy with { Http2 = true },
            "auto" => proxy with { AnyHttp = true },
            _ => proxy,
        };

    /// <summary>Whether nothing was said: records compare lists by reference, so the text is compared.</summary>
    public static bool IsDefault(ProxySettings proxy) => Text(proxy) == Text(ProxySettings.None);

    public static bool SuitsApplication(ProxySettings proxy, IReadOnlyDictionary<string, string> rewrites) =>
        rewrites.Count == 0 && Text(proxy with { Hosts = [], Cors = null, MaxBody = null, ResponseHeaders = null })
        == Text(ProxySettings.None);

    private static string Text(ProxySettings proxy) => System.Text.Json.JsonSerializer.Serialize(proxy, PlanDocument.Json);

    /// <summary>The path template that an operation's calls get at the upstream.</summary>
    public string? Rewrite(Node? node, OperationPattern? of)
    {
        const string example = "/internal/{symbol}";
        if (findings.Text(node, example) is not { } text || of is null) return null;
        var (pattern, wrong) = text.Contains(' ') ? (null, $"{Quote.Of(text)} is a path without a method, as '{example}'.")
            : OperationPattern.Parse(text);
        if (pattern is not null)
        {
            var unknown = pattern.Template.Split('/').FirstOrDefault(s => s.StartsWith('{') && !of.Template.Split('/').Contains(s));
            if (unknown is null) return pattern.Template;
            wrong = $"{Quote.Of(unknown)} is no parameter of {Quote.Of(of.Template)}; a rewrite has only those, as '{example}'.";
        }

        findings.Add(Code.BadValue, node!, wrong!);
        return null;
    }

    /// <summary>Finds operations whose path does not begin with what is taken off.</summary>
    public void CheckPrefix(MapReader fields, string prefix, string operation, OperationPattern pattern)
    {
        if (prefix.Length == 0 || pattern.Template == prefix
            || pattern.Template.StartsWith(prefix + "/", StringComparison.Ordinal)) return;
        findings.Add(Code.BadValue, fields.Take("strip_prefix")!, $"The operation {Quote.Of(operation)} " +
            $"({Quote.Of(pattern.Template)}) does not begin with {Quote.Of(prefix)}, so it cannot be taken off. Move it to " +
            "another API, or give it a 'rewrite'.");
    }

    private IReadOnlyList<string> Hosts(Node? node)
    {
        if (node is null) return [];
        var items = node is ListNode list ? list.Items : [node];
        if (items.Count is 0 or > MostHosts)
            findings.Add(Code.BadValue, node, $"These are {items.Count} hosts; 1 to {MostHosts} are read.");
        var hosts = new List<string>();
        foreach (var item in items.Take(MostHosts))
        {
            if (findings.Text(item, "api.example.com") is not { } text) continue;
            if (HostPattern.WrongWith(text) is { } wrong) findings.Add(Code.BadValue, item, wrong);
            else if (hosts.Contains(HostPattern.Normal(text)))
                findings.Add(Code.BadValue, item, $"{Quote.Of(text)} stands twice; remove one.");
            else hosts.Add(HostPattern.Normal(text));
        }

        return hosts;
    }

    private string Prefix(Node? node)
    {
        const string example = "/market";
        if (findings.Text(node, example) is not { } text) return "";
        var (pattern, wrong) = OperationPattern.Parse(text);
        if (pattern is { Method: null } && !text.Contains('{') && text.Length > 1 && !text.EndsWith('/')) return text;
        findings.Add(Code.BadValue, node!, wrong ?? $"{Quote.Of(text)} is not a prefix: a path without parameters and " +
            $"without a slash at its end, as '{example}'.");
        return "";
    }

    private UpstreamTimeouts Timeouts(Node? node)
    {
        var none = new UpstreamTimeouts();
        if (node is null || MapReader.Open(node, findings, "{ connect: 5s, first_byte: 30s, idle: 60s, total: 5m }") is not { } fields)
            return none;
        var read = new UpstreamTimeouts
        {
            Connect = Duration(fields.Take("connect")) ?? none.Connect,
            FirstByte = Duration(fields.Take("first_byte")),
            Idle = Duration(fields.Take("idle")) ?? none.Idle,
            Total = Duration(fields.Take("total")),
        };
        fields.Close();
        return read;
    }

    private HealthCheck? Health(Node? node)
    {
        if (node is null || MapReader.Open(node, findings, "{ path: /healthz, interval: 10s }") is not { } fields) return null;
        var none = new HealthCheck();
        var at = fields.Need("path", "/healthz");
        var path = findings.Text(at, "/healthz");
        if (path is not null && (path[0] != '/' || path.Any(c => c is <= ' ' or > '~' or '#' or '\\')))
            findings.Add(Code.BadValue, at!, $"{Quote.Of(path)} is not a path, as '/healthz'.");
        var read = new HealthCheck
        {
            Path = path ?? none.Path,
            Interval = Duration(fields.Take("interval"), 100) ?? none.Interval,
            Timeout = Duration(fields.Take("timeout")) ?? none.Timeout,
            Healthy = findings.Whole(fields.Take("healthy"), 1, 100) ?? none.Healthy,
            Unhealthy = findings.Whole(fields.Take("unhealthy"), 1, 100) ?? none.Unhealthy,
        };
        fields.Close();
        return read;
    }

    /// <summary>Milliseconds of <c>500ms</c>, <c>30s</c>, <c>5m</c> or <c>1h</c>.</summary>
    private int? Duration(Node? node, int least = 1)
    {
        if (findings.Text(node, "30s") is not { } text) return null;
        var digits = text.TakeWhile(char.IsAsciiDigit).Count();
        var unit = text[digits..] switch { "ms" => 1, "s" => 1_000, "m" => 60_000, "h" => 3_600_000, _ => 0 };
        if (unit > 0 && digits is > 0 and < 10
            && long.Parse(text.AsSpan(0, digits), CultureInfo.InvariantCulture) * unit is var read
            && read >= least && read <= UpstreamTimeouts.Most)
            return (int)read;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a time: a whole number with ms, s, m or h, from {least}ms " +
            "to 24h, as '30s'.");
        return null;
    }

    /// <summary>Bytes of <c>10MB</c>, <c>64KiB</c> or a number.</summary>
    private long? Size(Node? node)
    {
        if (findings.Text(node, "10MB") is not { } text) return null;
        var digits = text.TakeWhile(char.IsAsciiDigit).Count();
        var unit = digits == text.Length ? 1 : Array.Find(s_units, u => u.Name == text[digits..]).Bytes;
        if (unit > 0 && digits is > 0 and < 14
            && long.Parse(text.AsSpan(0, digits), CultureInfo.InvariantCulture) is var n && n <= ProxySettings.MostBody / unit)
            return n * unit;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a size: a whole number of bytes, or with KB, MB, GB, KiB, " +
            "MiB or GiB, at most 1024GiB, as '10MB'.");
        return null;
    }
}
