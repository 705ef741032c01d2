using System.CommandLine;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Tollgate.Config.File;

namespace Tollgate.Server;

/// <summary><c>tollgate diff</c>, <c>apply</c> and <c>export</c>: the configuration file of a running server.</summary>
internal static class ConfigCommands
{
    public static Command Diff() => Sending("diff", "Show what applying a file would change. Exit code 1: something.",
        "/v1/config/diff", different: ExitCode.Refused);

    public static Command Apply() => Sending("apply", "Apply a file to a running server, whole or not at all.",
        "/v1/config/apply", different: ExitCode.Ok);

    public static Command Export()
    {
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("export", "Print the file that a running server goes by.") { admin, json };
        command.SetAction((parsed, _) => AdminClient.PrintAsync(
            parsed.GetValue(admin)!, "/v1/config/export", parsed.GetValue(json)));
        return command;
    }

    public static Command Schema()
    {
        var command = new Command("schema", "Print the JSON Schema of the configuration file, for editors.");
        command.SetAction(_ =>
        {
            Console.WriteLine(ConfigSchema.Text.TrimEnd());
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command Sending(string name, string description, string path, int different)
    {
        var file = new Argument<string>("file")
        {
            Description = "The configuration file.",
            DefaultValueFactory = _ => "tollgate.yaml",
        };
        var takeOver = new Option<bool>("--take-over")
        {
            Description = "Names that the admin API or Kong's calls made become the file's.",
        };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command(name, description) { file, takeOver, admin, json };
        command.SetAction(async (parsed, cancel) =>
        {
            var where = parsed.GetValue(file)!;
            // its faults are told here, all of them and with the path as it was given
            var faulty = await RunCommand.GuardAsync(() =>
            {
                TollgateNode.ReadFile(where);
                return Task.CompletedTask;
            });
            if (faulty != ExitCode.Ok) return faulty;
            using var content = new StringContent(await File.ReadAllTextAsync(where, cancel), Encoding.UTF8);
            content.Headers.ContentType = new MediaTypeHeaderValue("application/yaml");
            var query = $"?name={Uri.EscapeDataString(Path.GetFileName(where))}" +
                (parsed.GetValue(takeOver) ? "&take_over=true" : "");
            return await AdminClient.AskAsync(parsed.GetValue(admin)!, path + query, content, parsed.GetValue(json),
                (answer, text) =>
                {
                    Console.WriteLine(parsed.GetValue(json) ? text.TrimEnd() : Words(answer));
                    return answer.GetProperty("unchanged").GetBoolean() ? ExitCode.Ok : different;
                });
        });
        return command;
    }

    private static string Words(JsonElement answer)
    {
        if (answer.GetProperty("unchanged").GetBoolean()) return "nothing differs";
        var lines = new List<string>();
        foreach (var o in answer.GetProperty("added").EnumerateArray()) lines.Add($"+ {NameOf(o)}");
        foreach (var o in answer.GetProperty("changed").EnumerateArray())
        {
            var from = o.GetProperty("taken_from").GetString();
            lines.Add($"~ {NameOf(o)}{(from is null ? "" : $" (taken over from {from})")}: " +
                string.Join(", ", o.GetProperty("fields").EnumerateArray().Select(f => f.GetString())));
        }

        foreach (var o in answer.GetProperty("removed").EnumerateArray()) lines.Add($"- {NameOf(o)}");
        foreach (var v in answer.GetProperty("plan_versions").EnumerateArray())
        {
            var running = v.GetProperty("running_subscriptions").GetInt32();
            lines.Add($"  plan {v.GetProperty("plan").GetString()}: version {v.GetProperty("version").GetInt64()} of its terms" +
                (running == 0 ? "" : $"; {running} running subscriptions {v.GetProperty("subscriptions").GetString()}"));
        }

        return string.Join(Environment.NewLine, lines);
    }

    private static string NameOf(JsonElement o) => $"{o.GetProperty("kind").GetString()} {o.GetProperty("name").GetString()}";
}
