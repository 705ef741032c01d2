using System.CommandLine;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Tollgate.Server;

/// <summary><c>tollgate import kong</c>: Kong's declarative file into a running server, with all that differs.</summary>
internal static class KongImportCommand
{
    public static Command Build()
    {
        var file = new Argument<string>("file") { Description = "Kong's declarative file, YAML or JSON: a decK dump." };
        var check = new Option<bool>("--check")
        {
            Description = "Only say what would differ. Exit code 1: something cannot be taken over.",
        };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("kong", "Take over Kong's declarative file, whole or not at all.") { file, check, admin, json };
        command.SetAction(async (parsed, cancel) =>
        {
            string text;
            try
            {
                text = await File.ReadAllTextAsync(parsed.GetValue(file)!, cancel);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Console.Error.WriteLine(e.Message);
                return ExitCode.Usage;
            }

            using var content = new StringContent(text, Encoding.UTF8);
            content.Headers.ContentType = new MediaTypeHeaderValue("application/yaml");
            var path = "/v1/config/kong" + (parsed.GetValue(check) ? "?check=true" : "");
            return await AdminClient.AskAsync(parsed.GetValue(admin)!, path, content, parsed.GetValue(json),
                (answer, whole) =>
                {
                    Console.WriteLine(parsed.GetValue(json) ? whole.TrimEnd() : Words(answer));
                    return answer.GetProperty("differences").EnumerateArray().Any(d => d.GetProperty("refused").GetBoolean())
                        ? ExitCode.Refused : ExitCode.Ok;
                });
        });
        return command;
    }

    private static string Words(JsonElement answer)
    {
        var added = answer.GetProperty("added").EnumerateObject().Select(a => $"{a.Value} {a.Name}").ToArray();
        var lines = new List<string>
        {
            (answer.GetProperty("applied").GetBoolean() ? "taken over: " : "would be taken over: ")
                + (added.Length == 0 ? "nothing" : string.Join(", ", added)),
        };
        foreach (var d in answer.GetProperty("differences").EnumerateArray())
        {
            var (place, field) = (d.GetProperty("place").GetString()!, d.GetProperty("field").GetString()!);
            lines.Add($"{(d.GetProperty("refused").GetBoolean() ? "not taken over" : "differs")}: " +
                $"{place}{(place.Length > 0 && field.Length > 0 ? "." : "")}{field}: {d.GetProperty("detail").GetString()}");
        }

        return string.Join(Environment.NewLine, lines);
    }
}
