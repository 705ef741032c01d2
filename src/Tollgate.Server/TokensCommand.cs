using System.CommandLine;

namespace Tollgate.Server;

/// <summary><c>tollgate tokens</c>: who may use the admin port beside the holder of TOLLGATE_ADMIN_TOKEN.</summary>
internal static class TokensCommand
{
    public static Command Build() => new("tokens", "List, create and revoke tokens of the admin API.")
    {
        List(), Create(), Revoke(),
    };

    private static Command List()
    {
        var admin = AdminClient.Address();
        var command = new Command("list", "List tokens; none is shown in clear.") { admin };
        command.SetAction((parsed, _) => AdminClient.PrintAsync(
            parsed.GetValue(admin)!, "/v1/admin_tokens?limit=1000", json: true));
        return command;
    }

    private static Command Create()
    {
        var name = new Argument<string>("name") { Description = "As the audit log will say it." };
        var scope = new Option<string[]>("--scope")
        {
            Description = "ingest, read, config, billing or admin; several times for several.",
            DefaultValueFactory = _ => ["read"],
        };
        var expires = new Option<string?>("--expires-at") { Description = "An RFC 3339 instant." };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("create", "Make a token; it is shown once.") { name, scope, expires, admin, json };
        command.SetAction((parsed, _) => AdminClient.PostAsync(
            parsed.GetValue(admin)!, "/v1/admin_tokens",
            new { name = parsed.GetValue(name), scopes = parsed.GetValue(scope), expires_at = parsed.GetValue(expires) },
            parsed.GetValue(json), answer => answer.GetProperty("token").GetString()!));
        return command;
    }

    private static Command Revoke()
    {
        var name = new Argument<string>("name") { Description = "The name or id of the token." };
        var admin = AdminClient.Address();
        var command = new Command("revoke", "End a token at its next request.") { name, admin };
        command.SetAction((parsed, _) => AdminClient.DeleteAsync(
            parsed.GetValue(admin)!, "/v1/admin_tokens/" + Uri.EscapeDataString(parsed.GetValue(name)!),
            $"{parsed.GetValue(name)} is revoked"));
        return command;
    }
}
