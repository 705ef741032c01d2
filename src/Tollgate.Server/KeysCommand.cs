using System.CommandLine;

namespace Tollgate.Server;

/// <summary><c>tollgate keys</c>: the keys of a consumer.</summary>
internal static class KeysCommand
{
    public static Command Build() => new("keys", "List, create, rotate and revoke the keys of a consumer.")
    {
        List(), Create(), Rotate(), Revoke(),
    };

    private static Command List()
    {
        var (consumer, admin) = (Consumer(), AdminClient.Address());
        var command = new Command("list", "List keys; none is shown in clear.") { consumer, admin };
        command.SetAction((parsed, _) => AdminClient.PrintAsync(
            parsed.GetValue(admin)!, PathOf(parsed.GetValue(consumer)!) + "?limit=1000", json: true));
        return command;
    }

    private static Command Create()
    {
        var (consumer, admin, json) = (Consumer(), AdminClient.Address(), AdminClient.Json());
        var test = new Option<bool>("--test") { Description = "A key that begins with tg_test_." };
        var expires = new Option<string?>("--expires-at") { Description = "An RFC 3339 instant." };
        var subscription = new Option<string?>("--subscription") { Description = "The only subscription that it is good for." };
        var command = new Command("create", "Make a key; it is shown once.") { consumer, test, expires, subscription, admin, json };
        command.SetAction((parsed, _) => AdminClient.PostAsync(
            parsed.GetValue(admin)!, PathOf(parsed.GetValue(consumer)!),
            new { test = parsed.GetValue(test), expires_at = parsed.GetValue(expires), subscription = parsed.GetValue(subscription) },
            parsed.GetValue(json), answer => answer.GetProperty("key").GetString()!));
        return command;
    }

    private static Command Rotate()
    {
        var (consumer, key, admin, json) = (Consumer(), Key(), AdminClient.Address(), AdminClient.Json());
        var overlap = new Option<string>("--overlap")
        {
            Description = "How long the old key works beside the new one: PT0S to P90D.",
            DefaultValueFactory = _ => "PT24H",
        };
        var command = new Command("rotate", "Make a new key for an old one.") { consumer, key, overlap, admin, json };
        command.SetAction((parsed, _) => AdminClient.PostAsync(
            parsed.GetValue(admin)!, $"{PathOf(parsed.GetValue(consumer)!)}/{Uri.EscapeDataString(parsed.GetValue(key)!)}/rotate",
            new { overlap = parsed.GetValue(overlap) }, parsed.GetValue(json),
            answer => answer.GetProperty("key").GetString()!));
        return command;
    }

    private static Command Revoke()
    {
        var (consumer, key, admin) = (Consumer(), Key(), AdminClient.Address());
        var command = new Command("revoke", "End a key at its next call.") { consumer, key, admin };
        command.SetAction((parsed, _) => AdminClient.DeleteAsync(
            parsed.GetValue(admin)!, $"{PathOf(parsed.GetValue(consumer)!)}/{Uri.EscapeDataString(parsed.GetValue(key)!)}",
            $"{parsed.GetValue(key)} is revoked"));
        return command;
    }

    private static Argument<string> Consumer() => new("consumer") { Description = "Username, custom id or id." };

    private static Argument<string> Key() => new("key") { Description = "The id of the key, as list shows it." };

    private static string PathOf(string consumer) => $"/v1/consumers/{Uri.EscapeDataString(consumer)}/keys";
}
