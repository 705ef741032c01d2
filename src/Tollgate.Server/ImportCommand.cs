using System.CommandLine;
using System.Text;
using Tollgate.Config.File;

namespace Tollgate.Server;

/// <summary><c>tollgate import rates</c>: a map of endpoint to rate, as somebody who bills from Prometheus has it, as a
/// configuration file.</summary>
internal static class ImportCommand
{
    public static Command Build()
    {
        var file = new Argument<string>("file") { Description = "JSON or YAML: { \"/api/v1/data\": \"0.01\" }." };
        var upstream = new Option<string>("--upstream")
        {
            Description = "Where the application is.", DefaultValueFactory = _ => "http://127.0.0.1:5000",
        };
        var currency = new Option<string>("--currency") { Description = "ISO 4217.", DefaultValueFactory = _ => "USD" };
        var prometheus = new Option<string?>("--prometheus") { Description = "Its address; also writes a source." };
        var series = new Option<string>("--series")
        {
            Description = "The counter in that Prometheus.", DefaultValueFactory = _ => "api_requests_total",
        };
        var output = new Option<string?>("--out") { Description = "A new file; printed unless said." };
        var rates = new Command("rates", "Make a configuration file of a map of rates per endpoint.")
            { file, upstream, currency, prometheus, series, output };
        rates.SetAction((parsed, _) => Task.FromResult(Run(parsed.GetValue(file)!, parsed.GetValue(output), map => Write(
            map, parsed.GetValue(upstream)!, parsed.GetValue(currency)!, parsed.GetValue(prometheus), parsed.GetValue(series)!))));
        return new Command("import", "Take over what another system has.") { rates, KongImportCommand.Build() };
    }

    private static int Run(string path, string? output, Func<IReadOnlyList<(string Endpoint, string Rate)>, string> write)
    {
        try
        {
            var read = RateMap.Read(File.ReadAllText(path), path);
            if (!read.Ok) return Fail(string.Join(Environment.NewLine, read.Problems));
            var text = write(read.Value);

            // what is written can be applied: also what stood in the options is judged by the reader of files
            var made = ConfigFileReader.Read(text, output ?? "tollgate.yaml");
            if (!made.Ok) return Fail(string.Join(Environment.NewLine, made.Problems));
            if (output is null)
            {
                Console.Write(text);
                return ExitCode.Ok;
            }

            using var file = new FileStream(output, FileMode.CreateNew);
            file.Write(Encoding.UTF8.GetBytes(text));
            Console.WriteLine($"{output}: {read.Value.Count} endpoints. 'tollgate run --config {output}' starts with it.");
            return ExitCode.Ok;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(e.Message);
        }
    }

    private static int Fail(string why)
    {
        Console.Error.WriteLine(why);
        return ExitCode.Usage;
    }

    private static string Write(IReadOnlyList<(string Endpoint, string Rate)> rates, string upstream, string currency,
        string? prometheus, string series)
    {
        var names = NamesOf(rates.Select(r => r.Endpoint));
        var text = new StringBuilder($"version: 1\ncurrency: {Quoted(currency)}\napis:\n  app:\n    upstream: {Quoted(upstream)}\n" +
            "    operations:\n");
        foreach (var (name, rate) in names.Zip(rates)) text.Append($"      {name}: {Quoted(rate.Endpoint)}\n");
        text.Append("plans:\n  metered:\n    operations: [\"*\"]\n    prices:\n");
        foreach (var (name, rate) in names.Zip(rates))
            text.Append($"      {name}: {{ model: per_unit, unit_amount: \"{rate.Rate}\", meter: calls, " +
                $"where: {{ operation: {name} }} }}\n");
        if (prometheus is not null)
            text.Append($"sources:\n  app:\n    prometheus: {Quoted(prometheus)}\n    series: {Quoted(series)}\n" +
                "    subject: consumer_id\n    endpoint: endpoint\n    method: method\n");
        return text.ToString();
    }

    /// <summary>A double-quoted text of YAML, which JSON's is.</summary>
    private static string Quoted(string text) => System.Text.Json.JsonSerializer.Serialize(text);

    /// <summary>Names out of paths, unique: <c>api-v1-data</c>.</summary>
    private static List<string> NamesOf(IEnumerable<string> endpoints)
    {
        var (names, taken) = (new List<string>(), new HashSet<string>(StringComparer.Ordinal));
        foreach (var endpoint in endpoints)
        {
            var letters = string.Concat(endpoint.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-'));
            var name = string.Join('-', letters.Split('-', StringSplitOptions.RemoveEmptyEntries));
            if (name.Length == 0 || !char.IsAsciiLetter(name[0])) name = "op-" + name;
            name = name[..Math.Min(name.Length, 50)].Trim('-');
            var unique = name;
            for (var i = 2; !taken.Add(unique); i++) unique = $"{name}-{i}";
            names.Add(unique);
        }

        return names;
    }
}
