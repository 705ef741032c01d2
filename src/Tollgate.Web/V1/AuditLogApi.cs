using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Config.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>GET /v1/audit_log</c>: every change, the newest first.</summary>
internal static class AuditLogApi
{
    private static readonly string[] s_known = ["limit", "cursor", "actor", "action", "resource", "from", "to"];

    public static void Map(IEndpointRouteBuilder routes) => routes.MapGet("/v1/audit_log", ListAsync);

    private static async Task<IResult> ListAsync(HttpRequest request, AuditLog log)
    {
        var problems = new List<Problem>();
        foreach (var name in request.Query.Keys.Where(k => !s_known.Contains(k)))
            problems.Add(new("unknown_field", $"is no filter here; known are {string.Join(", ", s_known)}", name));
        var (from, to) = (Instant("from"), Instant("to"));
        if (problems.Count > 0) return Answers.Invalid(problems);
        if (Paging.TryRead(request, out var paging) is { } faults) return faults;
        var query = new AuditQuery(Text("actor"), Text("action"), Text("resource")?.TrimEnd('/'), from, to);
        var rows = await log.ListAsync(query, paging.After == 0 ? long.MaxValue : paging.After, paging.Rows);
        return Answers.Page(rows, paging.Limit, View, r => r.Key);

        string? Text(string name) => request.Query[name].ToString() is { Length: > 0 } text ? text : null;

        long? Instant(string name)
        {
            if (Text(name) is not { } text) return null;
            if (Micros.TryParse(text, out var micros)) return micros;
            problems.Add(new("bad_value", "must be an RFC 3339 instant", name));
            return null;
        }
    }

    private static object View(AuditRow row) => new
    {
        row.Id,
        at = Micros.ToText(row.At),
        row.Actor,
        row.Action,
        row.Resource,
        before = Document(row.Before),
        after = Document(row.After),
    };

    private static JsonElement? Document(string? json) =>
        json is null ? null : JsonSerializer.Deserialize<JsonElement>(json);
}
