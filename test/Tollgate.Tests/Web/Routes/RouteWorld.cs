using System.Collections.Concurrent;
using System.Data.Common;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Dapper;
using Microsoft.AspNetCore.Routing;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Routes;

/// <summary>A server with something of everything, and what its store holds.</summary>
internal sealed class RouteWorld(TestServer server, TempFolder folder) : IAsyncDisposable
{
    public const string Root = "the-root-token-of-this-world";

    private const string File = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: http://127.0.0.1:9
            operations:
              quote: GET /quotes
        meters:
          calls: { aggregation: count }
          used: { aggregation: sum, event: used, value: $.units, scale: 2 }
        sources:
          counters: { remote_write: true, series: requests_total, subject: who }
        plans:
          metered:
            operations: ["*"]
            quotas: [{ meter: calls, allowance: 100, per: month, overage: bill }]
            prices:
              base: { model: flat, amount: "10.00", every: month, in: advance }
          other:
            operations: ["*"]
            prices:
              base: { model: flat, amount: "20.00", every: month, in: advance }
          daily:
            operations: ["*"]
            prices:
              base: { model: flat, amount: "1.00", every: day, in: arrears }
        """;

    // told by others than who asks: the clock of a node, what a run looked at
    private static readonly HashSet<string> s_background = ["journals", "nodes", "leases", "schema_migrations"];

    // made by the drain, a table a day, when it comes to it
    private const string Drained = "event_ids_";

    private readonly ConcurrentDictionary<string, string> _certificates = new();
    private int _n;

    public TestServer Server => server;

    public HttpClient Admin => server.Admin;

    /// <summary>Method and template of each route that is answered by one resource, not by what is left over.</summary>
    public IReadOnlyList<(string Method, RouteEndpoint Route)> Routes { get; } =
    [
        .. from route in server.AdminRoutes.OfType<RouteEndpoint>()
           from method in route.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? []
           where method != "HEAD"
           select (method, route),
    ];

    /// <summary>Half past midnight: a draft of the day before still waits for late usage.</summary>
    public static async Task<RouteWorld> StartAsync()
    {
        var folder = new TempFolder();
        var server = await TestServer.StartAsync(folder: folder, clock: new DateTimeOffset(2026, 1, 10, 0, 30, 0, TimeSpan.Zero),
            change: options => options with { AdminToken = Root });
        server.Admin.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Root);
        var world = new RouteWorld(server, folder);
        using var applied = await server.Admin.PostAsync("/v1/config/apply", new StringContent(File));
        Assert.True(applied.IsSuccessStatusCode, await applied.Content.ReadAsStringAsync());
        return world;
    }

    /// <summary>Makes what an example needs, anew.</summary>
    public async Task<Dictionary<string, string>> MakeAsync(RouteExample example)
    {
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var need in example.Needs) await MakeAsync(need, names);
        _n++;
        names["n"] = _n.ToString(CultureInfo.InvariantCulture);
        names["later"] = $"2026-01-10T00:30:00.{_n:D6}Z";
        return names;
    }

    /// <summary>A text with what was made in place of <c>$names</c>.</summary>
    public string Expand(string text, IReadOnlyDictionary<string, string> names)
    {
        foreach (var (name, value) in names.OrderByDescending(n => n.Key.Length))
            text = text.Replace("$" + name, value, StringComparison.Ordinal);
        if (text.Contains("$certificate", StringComparison.Ordinal))
            text = text.Replace("$certificate", _certificates.GetOrAdd(names["n"], _ => MakeCertificate()), StringComparison.Ordinal);
        return text
            .Replace("$prices", """{"base":{"model":"flat","amount":"3.00","every":"month","in":"advance"}}""", StringComparison.Ordinal)
            .Replace("$folder", folder.Path, StringComparison.Ordinal)
            .Replace("$file", File + $"\n  extra-{names["n"]}:\n    operations: [\"*\"]\n", StringComparison.Ordinal);
    }

    public async Task<(int Status, string Text, HttpResponseHeaders Headers, string? Type)> SendAsync(
        string method, string path, byte[]? body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            var form = path == "/v1/billing/meter_events";
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(
                form ? "application/x-www-form-urlencoded" : "application/json");
        }

        foreach (var (name, value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        using var answer = await Admin.SendAsync(request);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(), answer.Headers,
            answer.Content.Headers.ContentType?.MediaType);
    }

    public Task<(int Status, string Text, HttpResponseHeaders Headers, string? Type)> SendAsync(
        RouteExample example, IReadOnlyDictionary<string, string> names, params (string Name, string Value)[] headers) =>
        SendAsync(example.Method, Expand(example.Path, names),
            example.Body is null ? null : Encoding.UTF8.GetBytes(Expand(example.Body, names)), headers);

    /// <summary>Each row of each table, but what the node writes for itself.</summary>
    public Task<Dictionary<string, List<string>>> StateAsync() => server.Node.Database.ReadAsync(async db =>
    {
        var names = await db.QueryAsync<string>(TestDatabase.OnPostgres
            ? "select table_name from information_schema.tables where table_schema = current_schema()"
            : "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'");
        var state = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        foreach (var name in names.Where(IsState).Order()) state[name] = await RowsAsync(db, name);
        return state;
    });

    private static bool IsState(string table) =>
        !s_background.Contains(table) && !table.StartsWith(Drained, StringComparison.Ordinal);

    /// <summary>What differs between two states, for people.</summary>
    public static string Difference(Dictionary<string, List<string>> before, Dictionary<string, List<string>> after) =>
        string.Join("\n", after.SelectMany(t => before[t.Key].Except(t.Value).Select(r => $"- {t.Key} {r}")
            .Concat(t.Value.Except(before[t.Key]).Select(r => $"+ {t.Key} {r}"))));

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        folder.Dispose();
    }

    private async Task MakeAsync(string need, Dictionary<string, string> names)
    {
        if (names.ContainsKey(need)) return;
        var thing = RouteExample.Things[need];
        foreach (var other in thing.Needs) await MakeAsync(other, names);
        _n++;
        var (method, path) = thing.Path.Split(' ') is [var m, var p] ? (m, p) : ("POST", thing.Path);
        names["n"] = _n.ToString(CultureInfo.InvariantCulture);
        var (status, text, _, _) = await SendAsync(method, Expand(path, names),
            thing.Body == "-" ? null : Encoding.UTF8.GetBytes(Expand(thing.Body, names)));
        Assert.True(status < 300, $"{need}: {method} {path} {status} {text}");
        if (thing.Field == "-") return;
        var answer = JsonDocument.Parse(text).RootElement;
        var one = answer.TryGetProperty("data", out var list) ? list[0] : answer;
        names[need] = one.GetProperty(thing.Field).GetString()!;
        if (need is "paused" or "ending") names["subscription"] = names[need];
    }

    private static async Task<List<string>> RowsAsync(DbConnection db, string table)
    {
        var rows = new List<string>();
        await using var reader = await db.ExecuteReaderAsync($"select * from {table}");
        while (await reader.ReadAsync())
        {
            var row = new StringBuilder();
            for (var i = 0; i < reader.FieldCount; i++)
            {
                // whether the node has told the gate yet
                if (reader.GetName(i) == "told") continue;
                var value = reader.GetValue(i);
                row.Append(reader.GetName(i)).Append('=').Append(value is byte[] bytes ? Convert.ToHexString(bytes)
                    : Convert.ToString(value, CultureInfo.InvariantCulture)).Append(' ');
            }

            rows.Add(row.ToString());
        }

        rows.Sort(StringComparer.Ordinal);
        return rows;
    }

    private static string MakeCertificate()
    {
        using var authority = new TestAuthority();
        return authority.Pem.Replace("\r", "", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
    }
}
