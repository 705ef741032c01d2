using System.CommandLine;
using System.Net.Http.Json;
using System.Text.Json;

namespace Tollgate.Server;

/// <summary><c>tollgate explain</c>: why a call would pass or not.</summary>
internal static class ExplainCommand
{
    public static Command Build()
    {
        var method = new Argument<string>("method") { Description = "As GET." };
        var path = new Argument<string>("path") { Description = "As a caller would send it." };
        var consumer = new Option<string?>("--consumer") { Description = "Who calls: a username, custom id or id." };
        var key = new Option<string?>("--key-file")
        {
            Description = "A file with the caller's key, '-' for the standard input: process lists show what a command says.",
        };
        var at = new Option<string?>("--at") { Description = "Another instant than now (RFC 3339)." };
        var host = new Option<string?>("--host") { Description = "The Host that the call is sent to." };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("explain", "Say step by step why a call would pass or not. Exit code 1: it would not.")
        {
            method, path, consumer, key, at, host, admin, json,
        };
        command.SetAction(async (parsed, cancel) =>
        {
            string? text = null;
            if (parsed.GetValue(key) is { } file)
            {
                if (file != "-" && !File.Exists(file))
                {
                    Console.Error.WriteLine($"--key-file {file} is not there.");
                    return ExitCode.Usage;
                }

                text = (file == "-" ? await Console.In.ReadToEndAsync(cancel) : await File.ReadAllTextAsync(file, cancel)).Trim();
            }

            using var content = JsonContent.Create(new
            {
                method = parsed.GetValue(method),
                path = parsed.GetValue(path),
                consumer = parsed.GetValue(consumer),
                key = text,
                at = parsed.GetValue(at),
                host = parsed.GetValue(host),
            });
            return await AdminClient.AskAsync(parsed.GetValue(admin)!, "/v1/explain", content, parsed.GetValue(json),
                (answer, body) =>
                {
                    Console.WriteLine(parsed.GetValue(json) ? body.TrimEnd() : Words(answer));
                    return answer.GetProperty("passes").GetBoolean() ? ExitCode.Ok : ExitCode.Refused;
                });
        });
        return command;
    }

    private static string Words(JsonElement answer)
    {
        var lines = answer.GetProperty("steps").EnumerateArray().Select(s =>
            $"{Mark(s.GetProperty("passes"))} {s.GetProperty("step").GetString(),-12} {s.GetProperty("detail").GetString()}").ToList();
        var verdict = answer.GetProperty("verdict");
        lines.Add(answer.GetProperty("passes").GetBoolean() ? "the call passes"
            : $"refused: {verdict.GetProperty("status").GetInt32()} {verdict.GetProperty("code").GetString()}: " +
              verdict.GetProperty("message").GetString());
        return string.Join(Environment.NewLine, lines);
    }

    private static string Mark(JsonElement passes) => passes.ValueKind switch
    {
        JsonValueKind.True => "+",
        JsonValueKind.False => "!",
        _ => " ",
    };
}
