using System.CommandLine;
using System.Text.Json;

namespace Tollgate.Server;

/// <summary><c>tollgate simulate</c>: what the past of a plan's customers would have cost by other prices.</summary>
internal static class SimulateCommand
{
    public static Command Build()
    {
        var plan = new Option<string>("--plan") { Description = "Name or id of the plan.", Required = true };
        var period = new Option<string>("--period")
        {
            Description = "A month, as 2026-01, or days, as 2026-01-01..2026-04-01.",
            Required = true,
        };
        var version = new Option<int?>("--version") { Description = "The number of a published version." };
        var prices = new Option<string?>("--prices")
        {
            Description = "In its place a JSON file with prices by their names, '-' for the standard input.",
        };
        var cursor = new Option<string?>("--cursor") { Description = "From the next customer on, as the page before says." };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("simulate", "Rate what was used under other prices: who would pay more, and who less.")
        {
            plan, period, version, prices, cursor, admin, json,
        };
        command.SetAction(async (parsed, cancel) =>
        {
            var body = new Dictionary<string, object?>
            {
                ["plan"] = parsed.GetValue(plan),
                ["period"] = parsed.GetValue(period),
            };
            if (parsed.GetValue(version) is { } number) body["version"] = number;
            if (parsed.GetValue(prices) is { } file)
            {
                if (await ReadAsync(file, cancel) is not { } read) return ExitCode.Usage;
                body["prices"] = read;
            }

            var path = "/v1/simulations?limit=1000" + (parsed.GetValue(cursor) is { } from ? "&cursor=" + Uri.EscapeDataString(from) : "");
            return await AdminClient.PostAsync(parsed.GetValue(admin)!, path, body, parsed.GetValue(json), Words);
        });
        return command;
    }

    private static async Task<JsonElement?> ReadAsync(string file, CancellationToken cancel)
    {
        if (file != "-" && !File.Exists(file))
        {
            Console.Error.WriteLine($"--prices {file} is not there.");
            return null;
        }

        try
        {
            var text = file == "-" ? await Console.In.ReadToEndAsync(cancel) : await File.ReadAllTextAsync(file, cancel);
            return JsonSerializer.Deserialize<JsonElement>(text);
        }
        catch (JsonException e)
        {
            Console.Error.WriteLine($"--prices {file} is no JSON: {e.Message}");
            return null;
        }
    }

    private static string Words(JsonElement answer)
    {
        var lines = new List<string> { Row("customer", "before", "after", "difference", "") };
        foreach (var row in answer.GetProperty("data").EnumerateArray()) lines.Add(Row(row, Text(row, "customer")));
        foreach (var row in answer.GetProperty("totals").EnumerateArray()) lines.Add(Row(row, "together"));
        if (answer.GetProperty("next_cursor").GetString() is { } next) lines.Add($"There are more: --cursor {next}");
        return string.Join(Environment.NewLine, lines);
    }

    private static string Row(JsonElement row, string name) => Row(
        name, Text(row, "before"), Text(row, "after"), Text(row, "difference"), Text(row, "currency"));

    private static string Row(string name, string before, string after, string difference, string currency) =>
        $"{name,-24} {before,14} {after,14} {difference,14} {currency}".TrimEnd();

    private static string Text(JsonElement row, string name) => row.GetProperty(name).GetString() ?? "-";
}
