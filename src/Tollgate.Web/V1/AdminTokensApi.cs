using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Config.Admin;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/admin_tokens</c>: who may use the admin port, and for what. A token is shown once.</summary>
internal static class AdminTokensApi
{
    private const string Known = "ingest, read, config, billing, admin";

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapList<AdminTokenStore, AdminTokenRow>(
            "/v1/admin_tokens", (store, page) => store.ListAsync(page.After, page.Rows), View, t => t.Key);
        routes.MapOne<AdminTokenStore, AdminTokenRow>("/v1/admin_tokens/{id}", "token", (store, id) => store.FindAsync(id), View);
        routes.MapPost("/v1/admin_tokens", CreateAsync);
        routes.MapDelete("/v1/admin_tokens/{token}", async (string token, AdminTokenStore tokens) =>
        {
            if (await tokens.FindAsync(token) is not { } found) return Answers.NotFound("token", token);
            await tokens.RevokeAsync(found.Key);
            return Results.NoContent();
        });
    }

    private static object View(AdminTokenRow t) => new
    {
        t.Id,
        t.Name,
        t.Hint,
        scopes = t.Scopes.Split(' '),
        created_at = Micros.ToText(t.CreatedAt),
        expires_at = t.ExpiresAt is { } end ? Micros.ToText(end) : null,
        revoked_at = t.RevokedAt is { } revoked ? Micros.ToText(revoked) : null,
    };

    private static async Task<IResult> CreateAsync(HttpRequest request, AdminTokenStore tokens, TimeProvider clock)
    {
        var fields = await Fields.ReadAsync(request);
        var name = fields.Text("name", required: true, max: 64);
        var scopes = ReadScopes(fields);
        var expiresAt = fields.Instant("expires_at");
        if (name is not null && AdminCaller.IsReserved(name))
            fields.Add("bad_value", "is a name that the audit log uses for somebody else", "name");
        if (expiresAt <= Micros.Now(clock)) fields.Add("bad_value", "must lie ahead", "expires_at");
        if (fields.Faults() is { } faults) return faults;
        if (await tokens.AddAsync(name!, scopes!, expiresAt) is not var (row, text))
            return Answers.Conflict("duplicate_name",
                $"A token '{name}' was made before, and the audit log knows it by its name.", "name");
        return Answers.Created($"/v1/admin_tokens/{row.Id}", new
        {
            row.Id,
            row.Name,
            token = text,
            row.Hint,
            scopes = row.Scopes.Split(' '),
            created_at = Micros.ToText(row.CreatedAt),
            expires_at = expiresAt is { } at ? Micros.ToText(at) : null,
        });
    }

    private static string? ReadScopes(Fields fields)
    {
        if (fields.Raw("scopes", required: true) is not { } raw) return null;
        var names = raw.ValueKind == JsonValueKind.Array && raw.GetArrayLength() is > 0 and <= 4
            && raw.EnumerateArray().All(n => n.ValueKind == JsonValueKind.String)
            ? raw.EnumerateArray().Select(n => n.GetString()!).ToArray() : null;
        if (names is not null && AdminCaller.Parse(names) is { } scopes)
            return string.Join(' ', scopes.Order().Select(AdminCaller.NameOf));
        fields.Add("bad_value", $"must be a list of some of {Known}", "scopes");
        return null;
    }
}
