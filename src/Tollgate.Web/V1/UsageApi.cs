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
        ["meter", "customer", "consumer", "operation", "from", "to", "window", "timezone", "group_by", "compare"];

    private static readonly string[] s_groups = ["consumer", "customer", "operation", "method"];

    /// <summary>Before the name of a dimension: only usage with this value.</summary>
    private const string Where = "where.";

    public static void Map(IEndpointRouteBuilder routes) => routes.MapGet("/v1/usage", ReadAsync);

    private static async Task<IResult> ReadAsync(
        HttpRequest request, Database database, CustomerStore customers, ConsumerStore consumers, UsageDrain drain,
        Publisher publisher, TimeProvider clock)
    {
        var problems = new List<Problem>();
        foreach (var name in request.Query.Keys.Except(s_known).Where(n => !n.StartsWith(Where, StringComparison.Ordinal)))
            problems.Add(new("unknown_field", $"is not a parameter here; known are {string.Join(", ", s_known)}", name));
        var query = Read(request.Query, DimensionsOf(publisher, request.Query), problems);
        var customer = Text("customer") is { } c ? await customers.FindAsync(c) : null;
        var consumer = Text("consumer") is { } o ? await consumers.FindAsync(o) : null;
        if (Text("customer") is { } noCustomer && customer is null)
            problems.Add(new("unknown_customer", $"There is no customer '{noCustomer}'.", "customer"));
        if (Text("consumer") is { } noConsumer && consumer is null)
            problems.Add(new("unknown_consumer", $"There is no consumer '{noConsumer}'.", "consumer"));
        if (problems.Count > 0) return Answers.Invalid(problems);
        var asOf = Micros.ToText(Micros.Now(clock));
        await drain.CatchUpAsync();
        query = query with { CustomerKey = customer?.Key, ConsumerKey = consumer?.Key };
        var answer = await database.ReadAsync(db => UsageStore.QueryAsync(db, query));
        if (!answer.Ok) return Answers.Invalid(answer.Problems);
        var before = Text("compare") is null ? null
            : await database.ReadAsync(db => UsageStore.QueryAsync(db, UsageComparison.Before(query)));
        if (before is { Ok: false }) return Answers.Invalid(before.Problems);
        return InvoicesApi.WantsText(request)
            ? Results.Text(UsageTable.Of(answer.Value, query))
            : Answers.Ok(new
            {
                data = answer.Value.Select(r => View(r, query)),
                compared_with = before is null ? null : before.Value.Select(r => View(r, UsageComparison.Before(query))),

                // every call that this node answered before the question is in the answer
                as_of = new[] { new { journal = drain.Journal, at = asOf } },
            });

        string? Text(string name) => request.Query[name].ToString() is { Length: > 0 } text ? text : null;
    }

    /// <summary>The dimensions that the meter has now, and those that are asked for with a value.</summary>
    private static HashSet<string> DimensionsOf(Publisher publisher, IQueryCollection query)
    {
        var meter = query["meter"].ToString() is { Length: > 0 } m ? m : UsageStore.Calls;
        return [.. publisher.Current.FindMeter(meter)?.Dimensions.Select(d => d.Name) ?? []];
    }

    private static UsageQuery Read(IQueryCollection query, HashSet<string> known, List<Problem> problems)
    {
        var groups = UsageGroups.None;
        var dimensions = new List<string>();
        foreach (var name in query["group_by"].ToString().Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            if (Enum.TryParse<UsageGroups>(name, ignoreCase: true, out var group) && name.All(char.IsAsciiLetter)
                && group != UsageGroups.None)
                groups |= group;
            else if (known.Contains(name) && dimensions.Count < 16)
                dimensions.Add(name);
            else
                problems.Add(new("bad_value", $"must be any of {string.Join(", ", s_groups.Concat(known))}, by comma", "group_by"));
        }

        UsageWindow? window = null;
        if (query["window"].ToString() is { Length: > 0 } w)
        {
            if (Enum.TryParse<UsageWindow>(w, ignoreCase: true, out var parsed) && w.All(char.IsAsciiLetter)) window = parsed;
            else problems.Add(new("bad_value", "must be hour, day or month", "window"));
        }

        if (query["compare"].ToString() is { Length: > 0 } compare)
        {
            if (compare != "previous") problems.Add(new("bad_value", "must be previous", "compare"));
            if (query["from"].Count == 0 || query["to"].Count == 0)
                problems.Add(new("missing_field", "from and to are needed to compare with what was before", "compare"));
        }

        return new UsageQuery
        {
            GroupByDimensions = dimensions,
            Where = query.Where(q => q.Key.StartsWith(Where, StringComparison.Ordinal))
                .ToDictionary(q => q.Key[Where.Length..], q => q.Value.ToString()),
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
    private static Dictionary<string, object?> View(UsageRow row, UsageQuery query)
    {
        var groups = query.GroupBy;
        var view = new Dictionary<string, object?>
        {
            ["value"] = UsageTable.Exact(row.Value),
            ["admitted"] = row.Admitted,
            ["window_start"] = row.WindowStart is { } start ? Micros.ToText(start) : null,
            ["window_end"] = row.WindowEnd is { } end ? Micros.ToText(end) : null,
        };
        if (groups.HasFlag(UsageGroups.Customer)) view["customer"] = row.Customer;
        if (groups.HasFlag(UsageGroups.Consumer)) view["consumer"] = row.Consumer;
        if (groups.HasFlag(UsageGroups.Operation))
            (view["api"], view["operation"], view["endpoint"]) = (row.Api, row.Operation, row.Endpoint);
        if (groups.HasFlag(UsageGroups.Method)) view["method"] = UsageTable.MethodOf(row);
        if (query.GroupByDimensions.Count > 0)
            view["dimensions"] = query.GroupByDimensions.Zip(row.Dimensions).ToDictionary(d => d.First, d => d.Second);
        return view;
    }
}
