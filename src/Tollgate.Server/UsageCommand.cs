using System.CommandLine;

namespace Tollgate.Server;

/// <summary><c>tollgate usage</c>: what was called, from the ledger.</summary>
internal static class UsageCommand
{
    private static readonly string[] s_filters = ["meter", "customer", "consumer", "operation", "from", "to", "window", "timezone"];

    public static Command Build()
    {
        var filters = s_filters.Select(name => new Option<string>("--" + name) { Description = name switch
        {
            "meter" => "What was counted; calls unless said.",
            "from" or "to" => "An RFC 3339 instant on a quarter of an hour.",
            "window" => "hour, day or month: a row for each.",
            "timezone" => "IANA zone of the windows.",
            _ => $"Only this {name}.",
        } }).ToArray();
        var groupBy = new Option<string>("--group-by")
        {
            Description = "Any of customer, consumer, operation, method and dimensions of the meter; by comma.",
            DefaultValueFactory = _ => "consumer,operation,method",
        };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("usage", "Show usage from the ledger.") { groupBy, admin, json };
        foreach (var filter in filters) command.Options.Add(filter);
        command.Subcommands.Add(Export());
        command.SetAction((parsed, _) =>
        {
            var query = "?group_by=" + Uri.EscapeDataString(parsed.GetValue(groupBy)!);
            foreach (var (name, option) in s_filters.Zip(filters))
                if (parsed.GetValue(option) is { Length: > 0 } value)
                    query += $"&{name}={Uri.EscapeDataString(value)}";
            return AdminClient.PrintAsync(parsed.GetValue(admin)!, "/v1/usage" + query, parsed.GetValue(json));
        });
        return command;
    }

    private static Command Export()
    {
        string[] names = ["customer", "consumer", "operation", "from", "to"];
        var filters = names.Select(name => new Option<string>("--" + name)
        {
            Description = name is "from" or "to" ? "An RFC 3339 instant." : $"Only this {name}.",
        }).ToArray();
        var file = new Option<string>("--out") { Description = "The file: calls.parquet or calls.csv.", Required = true };
        var billable = new Option<bool>("--billable") { Description = "Only calls that somebody pays for." };
        var admin = AdminClient.Address();
        var command = new Command("export", "Save the calls themselves, with names, as Parquet or CSV.") { file, billable, admin };
        foreach (var filter in filters) command.Options.Add(filter);
        command.SetAction((parsed, _) =>
        {
            var format = Path.GetExtension(parsed.GetValue(file)!).TrimStart('.');
            if (format is not ("csv" or "parquet"))
            {
                Console.Error.WriteLine("--out must end with .parquet or .csv.");
                return Task.FromResult(ExitCode.Usage);
            }

            var query = $"?format={format}" + (parsed.GetValue(billable) ? "&billable=true" : "");
            foreach (var (name, option) in names.Zip(filters))
                if (parsed.GetValue(option) is { Length: > 0 } value) query += $"&{name}={Uri.EscapeDataString(value)}";
            return AdminClient.SaveAsync(parsed.GetValue(admin)!, "/v1/calls" + query, parsed.GetValue(file)!);
        });
        return command;
    }
}
