using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/usage</c>: sums from the ledger. The journal is drained first, so every call that was answered
/// before the question is in the answer.</summary>
internal static class UsageApi
{
    private static readonly string[] s_known =
        ["meter", "customer", "consumer", "operation", "from", "to", "window", "timezone", "group_by"];

    public static void Map(IEndpointRouteBuilder routes) => routes.MapGet("/v1/usage", ReadAsync);

    private static async Task<IResult> ReadAsync(
        HttpRequest request, Database database, CustomerStore customers, ConsumerStore consumers, UsageDrain drain,
        TimeProvider clock)
    {
        var problems = new List<Problem>();
        foreach (var name in request.Query.Keys.Except(s_known))
            problems.Add(new("unknown_field", $"is not a parameter here; known are {string.Join(", ", s_known)}", name));
        var query = Read(request.Query, problems);
        var customer = Text("customer") is { } c ? await customers.FindAsync(c) : null;
        var consumer = Text("consumer") is { } o ? await consumers.FindAsync(o) : null;
        if (Text("customer") is { } noCustomer && customer is null)
            problems.Add(new("unknown_customer", $"There is no customer '{noCustomer}'.", "customer"));
        if (Text("consumer") is { } noConsumer && consumer is null)
            problems.Add(new("unknown_consumer", $"There is no consumer '{noConsumer}'.", "consumer"));
        if (problems.Count > 0) return Answers.Invalid(problems);
        var asOf = Micros.ToText(Micros.Now(clock));
        await drain.CatchUpAsync();
        var answer = await database.ReadAsync(db => UsageStore.QueryAsync(
            db, query with { CustomerKey = customer?.Key, ConsumerKey = consumer?.Key }));
        if (!answer.Ok) return Answers.Invalid(answer.Problems);
        return InvoicesApi.WantsText(request)
            ? Results.Text(Table(answer.Value, query))
            : Answers.Ok(new
            {
                data = answer.Value.Select(r => View(r, query.GroupBy)),

                // every call that this node answered before the question is in the answer
                as_of = new[] { new { journal = drain.Journal, at = asOf } },
            });

        string? Text(string name) => request.Query[name].ToString() is { Length: > 0 } text ? text : null;
    }

    private static UsageQuery Read(IQueryCollection query, List<Problem> problems)
    {
        var groups = UsageGroups.None;
        foreach (var name in query["group_by"].ToString().Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (Enum.TryParse<UsageGroups>(name, ignoreCase: true, out var group) && name.All(char.IsAsciiLetter)
                && group != UsageGroups.None)
                groups |= group;
            else
                problems.Add(new("bad_value", "must be any of consumer, customer, operation, method, by comma", "group_by"));
        }

        UsageWindow? window = null;
        if (query["window"].ToString() is { Length: > 0 } w)
        {
            if (Enum.TryParse<UsageWindow>(w, ignoreCase: true, out var parsed) && w.All(char.IsAsciiLetter)) window = parsed;
            else problems.Add(new("bad_value", "must be hour, day or month", "window"));
        }

        return new UsageQuery
        {
            Meter = query["meter"].ToString() is { Length: > 0 } meter ? meter : UsageStore.Calls,
            Operation = query["operation"].ToString() is { Length: > 0 } operation ? operation : null,
            From = Instant(query, "from", problems),
            To = Instant(query, "to", problems),
            Window = window,
            Timezone = query["timezone"].ToString() is { Length: > 0 } zone ? zone : "UTC",
            GroupBy = groups,
        };
    }

    private static long? Instant(IQueryCollection query, string name, List<Problem> problems)
    {
        if (query[name].ToString() is not { Length: > 0 } text) return null;
        if (Micros.TryParse(text, out var micros)) return micros;
        problems.Add(new("bad_value", "must be an RFC 3339 instant from 2000 until before 2200, such as 2026-01-31T00:00:00Z", name));
        return null;
    }

    /// <summary>Only the groups that were asked for are fields of the answer.</summary>
    private static Dictionary<string, object?> View(UsageRow row, UsageGroups groups)
    {
        var view = new Dictionary<string, object?>
        {
            ["value"] = row.Value.ToString(CultureInfo.InvariantCulture),
            ["admitted"] = row.Admitted,
            ["window_start"] = row.WindowStart is { } start ? Micros.ToText(start) : null,
            ["window_end"] = row.WindowEnd is { } end ? Micros.ToText(end) : null,
        };
        if (groups.HasFlag(UsageGroups.Customer)) view["customer"] = row.Customer;
        if (groups.HasFlag(UsageGroups.Consumer)) view["consumer"] = row.Consumer;
        if (groups.HasFlag(UsageGroups.Operation))
            (view["api"], view["operation"], view["endpoint"]) = (row.Api, row.Operation, row.Endpoint);
        if (groups.HasFlag(UsageGroups.Method)) view["method"] = MethodOf(row);
        return view;
    }

    private static string Table(IReadOnlyList<UsageRow> rows, UsageQuery query)
    {
        var lines = rows.Where(r => r.Value != 0).Select(r => new[]
        {
            r.WindowStart is { } start && query.Window is not null ? Micros.ToText(start) : null,
            query.GroupBy.HasFlag(UsageGroups.Customer) ? r.Customer ?? "(nobody)" : null,
            query.GroupBy.HasFlag(UsageGroups.Consumer) ? r.Consumer ?? "(anonymous)" : null,
            query.GroupBy.HasFlag(UsageGroups.Operation) ? r.Operation : null,
            query.GroupBy.HasFlag(UsageGroups.Method) ? MethodOf(r) : null,
        }.OfType<string>().Append(r.Value.ToString("N0", CultureInfo.InvariantCulture)).ToArray()).Prepend(Titles(query)).ToArray();
        if (rows.Count == 0) return "No usage.\n";
        var widths = Enumerable.Range(0, lines[0].Length).Select(i => lines.Max(l => l[i].Length)).ToArray();
        var text = new StringBuilder();
        foreach (var line in lines)
        {
            for (var i = 0; i < line.Length - 1; i++) text.Append(line[i].PadRight(widths[i] + 2));
            text.Append(line[^1].PadLeft(widths[^1])).Append('\n');
        }

        return text.Append(CultureInfo.InvariantCulture, $"{rows.Sum(r => r.Value):N0} billable calls\n").ToString();
    }

    private static string[] Titles(UsageQuery query)
    {
        var titles = new List<string>();
        if (query.Window is not null) titles.Add("FROM");
        if (query.GroupBy.HasFlag(UsageGroups.Customer)) titles.Add("CUSTOMER");
        if (query.GroupBy.HasFlag(UsageGroups.Consumer)) titles.Add("CONSUMER");
        if (query.GroupBy.HasFlag(UsageGroups.Operation)) titles.Add("OPERATION");
        if (query.GroupBy.HasFlag(UsageGroups.Method)) titles.Add("METHOD");
        return [.. titles, "CALLS"];
    }

    private static string? MethodOf(UsageRow row) => row.Method is { } code ? MethodCode.NameOf((byte)code) : null;
}
