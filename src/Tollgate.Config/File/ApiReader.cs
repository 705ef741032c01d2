namespace Tollgate.Config.File;

/// <summary>Reads the APIs of a file and their operations, which share one space of names and paths.</summary>
internal sealed class ApiReader(Findings findings)
{
    private const int MostApis = 1_000, MostOperations = 10_000;

    // between braces a path with a parameter needs its quotes
    private const string OperationsExample = $"{{ quote: \"{OperationPattern.Example}\" }}";

    private readonly List<FileApi> _apis = [];
    private readonly UnitsReader _units = new(findings);
    private readonly ProxyReader _proxy = new(findings);
    private readonly AccessReader _access = new(findings);
    private readonly ReserveReader _reserves = new(findings);
    private readonly Dictionary<string, Field> _byName = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (string Name, Node Node)> _byShape = new(StringComparer.Ordinal);

    public IReadOnlyList<FileApi> Apis => _apis;

    /// <summary>Also those with something wrong: a plan that names one is right.</summary>
    public IReadOnlyCollection<string> OperationNames => _byName.Keys;

    /// <summary>What operations set aside of the meters, which are known by now.</summary>
    public void ReadReserves(IReadOnlyList<FileMeter> meters) => _reserves.Read(meters);

    public void Read(Node? node)
    {
        const string example = "market-data: { upstream: \"http://127.0.0.1:5000\", operations: { … } }";
        if (node is null || MapReader.Open(node, findings, example) is null) return;
        var fields = ((MapNode)node).Fields;
        if (fields.Count > MostApis)
            findings.Add(Code.TooMany, node, $"These are {fields.Count} APIs; at most {MostApis} are read.");
        foreach (var field in fields.Take(MostApis)) ReadApi(field);
    }

    private void ReadApi(Field api)
    {
        var named = Names.Check(api, "an API", findings);
        if (MapReader.Open(api.Value, findings, "{ upstream: …, operations: { … } }") is not { } fields) return;
        var where = fields.Need("upstream", "http://127.0.0.1:5000");
        var targets = where is ListNode ? new UpstreamReader(findings, ReadUpstream).Read(where) : [];
        var upstream = where is not ListNode ? ReadUpstream(where) : targets.Count > 0 ? targets[0].Url : null;
        var retries = findings.Whole(fields.Take("retries"), 0, UpstreamTarget.MostRetries) ?? 0;
        var units = new OrderedDictionary<string, OperationUnits>(StringComparer.Ordinal);
        var rewrites = new Dictionary<string, string>(StringComparer.Ordinal);
        var proxy = _proxy.Read(fields);
        var reading = new Reading(fields, proxy, units, rewrites);
        var operations = ReadOperations(fields.Need("operations", OperationsExample), reading);
        var headers = _units.ReadHeaders(fields.Take("units_header"));
        var access = _access.Read(fields);
        fields.Close();
        if (!named || upstream is null) return;
        _apis.Add(new FileApi(api.Name, upstream, operations)
        {
            Targets = targets,
            Retries = retries,
            Units = units,
            UnitsHeaders = headers,
            Proxy = ProxyReader.IsDefault(proxy) && rewrites.Count == 0 ? null : proxy with { Rewrites = rewrites },
            Access = access,
        });
        if (upstream != PublishedApi.Application && fields.Node.Find("tls") is MapNode tls
            && targets.Select(t => t.Url).Append(upstream).All(u => u.Scheme != Uri.UriSchemeHttps))
            findings.Add(Code.BadValue, tls, "tls is for upstreams whose URL begins with https, and this API has none. Remove it, " +
                "or change the URL.");
        if (upstream == PublishedApi.Application && !ProxyReader.SuitsApplication(proxy, rewrites))
            findings.Add(Code.BadValue, where!, "'application' is served here and not forwarded: of the proxy's settings only " +
                "hosts, cors, max_body and response_headers mean something. Remove the others, or name a URL.");
    }

    private Uri? ReadUpstream(Node? node)
    {
        const string example = "http://127.0.0.1:5000";
        if (findings.Text(node, example) is not { } text) return null;
        if (text == "application") return PublishedApi.Application;
        var wrong = !HasScheme(text) || !Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Host.Length == 0
            ? "it must be an absolute URL with http or https"
            : text.Any(c => c <= ' ' || c == '\\') ? "it holds a blank or a backslash"
            : text.Contains('?') || text.Contains('#') ? "it must not have a query or a fragment"
            : uri.UserInfo.Length > 0 || uri.Authority.Contains('@') || AuthorityOf(text).Contains('@')
                ? "it must not hold a user or a password"
            : null;
        if (wrong is null) return new Uri(text.TrimEnd('/'));
        // what may be a password is not repeated
        var quoted = text.Contains('@') ? "This" : Quote.Of(text);
        findings.Add(Code.BadValue, node!, $"{quoted} is not an upstream: {wrong}, as '{example}'.");
        return null;
    }

    private static bool HasScheme(string text) =>
        text.StartsWith("http://", StringComparison.OrdinalIgnoreCase)
        || text.StartsWith("https://", StringComparison.OrdinalIgnoreCase);

    private static string AuthorityOf(string url)
    {
        var rest = url[(url.IndexOf("//", StringComparison.Ordinal) + 2)..];
        var slash = rest.IndexOf('/');
        return slash < 0 ? rest : rest[..slash];
    }

    private OrderedDictionary<string, string> ReadOperations(
        Node? node, Reading of)
    {
        var operations = new OrderedDictionary<string, string>(StringComparer.Ordinal);
        if (node is null || MapReader.Open(node, findings, OperationsExample) is null)
            return operations;
        foreach (var field in ((MapNode)node).Fields)
        {
            if (_byName.Count >= MostOperations)
            {
                findings.Add(Code.TooMany, node, $"At most {MostOperations} operations are read.");
                break;
            }

            var named = Names.Check(field, "an operation", findings) && IsFree(field);
            if (ReadPattern(field, of) is { } pattern && named) operations.Add(field.Name, pattern.ToString());
        }

        return operations;
    }

    private bool IsFree(Field field)
    {
        if (_byName.TryAdd(field.Name, field)) return true;
        var first = _byName[field.Name];
        findings.Add(new(Code.DuplicateName, $"Another API has an operation '{field.Name}', at {first.Place}: names " +
            "of operations are unique over all APIs, since plans name them. Rename one.",
            field.Value.Path, field.Place));
        return false;
    }

    private OperationPattern? ReadPattern(Field field, Reading of)
    {
        var match = field.Value;
        Node? rewrite = null;
        if (match is MapNode && MapReader.Open(match, findings, "") is { } fields)
        {
            var inner = fields.Need("match", $"\"{OperationPattern.Example}\"");
            if (_units.Read(fields) is { } counted && of.Units.TryAdd(field.Name, counted)
                && fields.Take("reserve") is { } reserve) _reserves.Add(field.Name, reserve, of.Units, inner);
            rewrite = fields.Take("rewrite");
            fields.Close();
            if (inner is null) return null;
            match = inner;
        }

        if (findings.Text(match, OperationPattern.Example) is not { } text) return null;
        var (pattern, wrong) = OperationPattern.Parse(text);
        if (wrong is not null) findings.Add(Code.BadValue, match, wrong);
        if (_proxy.Rewrite(rewrite, pattern) is { } path) of.Rewrites.TryAdd(field.Name, path);
        if (pattern is null) return null;
        if (rewrite is null) _proxy.CheckPrefix(of.Fields, of.Proxy.StripPrefix, field.Name, pattern);
        foreach (var host in of.Proxy.Hosts.DefaultIfEmpty(""))
        {
            if (_byShape.TryAdd($"{host} {pattern.Shape}", (field.Name, match))) continue;
            Collides(pattern, match, host);
            break;
        }

        return pattern;
    }

    private void Collides(OperationPattern pattern, Node match, string host)
    {
        var (name, first) = _byShape[$"{host} {pattern.Shape}"];
        findings.Add(Code.DuplicatePath, match, $"'{Quote.Shorten(pattern.ToString())}' is taken by the operation " +
            $"{Quote.Of(name)} at {first.Place}: parameters of any name are alike. Remove one, or change its method " +
            "or path.");
    }

    /// <summary>An API as far as it was read.</summary>
    private sealed record Reading(
        MapReader Fields, ProxySettings Proxy, OrderedDictionary<string, OperationUnits> Units,
        Dictionary<string, string> Rewrites);
}
