using Dapper;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>
/// <c>/v1/calls</c>: the calls themselves, as JSON, CSV or Parquet: those of a time, or the one with a request id.
/// </summary>
internal static class CallsApi
{
    private static readonly string[] s_known =
        ["customer", "consumer", "operation", "from", "to", "billable", "format", "limit"];

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/calls", ListAsync);
        routes.MapGet("/v1/calls/{id}", FindAsync);
    }

    private static async Task<IResult> FindAsync(
        string id, HttpRequest request, CallSearch calls, Database database, UsageDrain drain)
    {
        if (!RecordId.TryParse(id, out var record))
            return Answers.Invalid(new Problem("bad_value", "must be a request id: the 26 characters of X-Request-Id", "id"));
        if (await calls.FindAsync(record) is not { } found) return await Elsewhere.NotFoundAsync(database, calls, record);
        var names = new CallNames(database);
        var view = await names.ViewAsync(found);
        return InvoicesApi.WantsText(request) ? Results.Text(CallText.Of(view, drain.Journal)) : Answers.Ok(view);
    }

    private static async Task<IResult> ListAsync(
        HttpRequest request, CallSearch calls, Database database, CustomerStore customers, ConsumerStore consumers)
    {
        var problems = new List<Problem>();
        foreach (var name in request.Query.Keys.Except(s_known))
            problems.Add(new("unknown_field", $"is not a parameter here; known are {string.Join(", ", s_known)}", name));
        var form = CallForm.Read(request, problems);
        var filter = new CallFilter
        {
            From = Instant(request, "from", problems),
            To = Instant(request, "to", problems),
            BillableOnly = request.Query["billable"].ToString() switch
            {
                "" or "false" => false,
                "true" => true,
                _ => Bad("billable", "must be true or false"),
            },
        };
        if (filter.To <= filter.From) problems.Add(new("range_empty", "The end must be after the beginning.", "to"));
        if (Text("consumer") is { } consumerName)
        {
            if (await consumers.FindAsync(consumerName) is { } consumer)
                filter = filter with { Consumers = [(int)consumer.Key] };
            else problems.Add(new("unknown_consumer", $"There is no consumer '{consumerName}'.", "consumer"));
        }

        if (Text("customer") is { } customerName)
        {
            if (await customers.FindAsync(customerName) is { } customer)
                filter = filter with { Entitlements = await EntitlementsAsync(database, customer.Key) };
            else problems.Add(new("unknown_customer", $"There is no customer '{customerName}'.", "customer"));
        }

        if (Text("operation") is { } operation)
        {
            var keys = await database.ReadAsync(db => db.QueryAsync<int>(
                "select key from operation_keys where operation = @operation", new { operation }));
            filter = filter with { Operations = keys.AsList() };
            if (filter.Operations.Count == 0) problems.Add(new("unknown_operation", $"There is no operation '{operation}'.", "operation"));
        }

        if (problems.Count > 0) return Answers.Invalid(problems);
        var elsewhere = await Elsewhere.FindAsync(request.HttpContext, database, calls);
        return form!.Answer(calls.ReadAsync(filter), new CallNames(database), elsewhere);

        string? Text(string name) => request.Query[name].ToString() is { Length: > 0 } text ? text : null;

        bool Bad(string field, string detail)
        {
            problems.Add(new Problem("bad_value", detail, field));
            return false;
        }
    }

    private static Task<IReadOnlyList<int>> EntitlementsAsync(Database database, long customer) => database.ReadAsync(async db =>
        (IReadOnlyList<int>)(await db.QueryAsync<int>(
            "select key from entitlements where customer_key = @customer", new { customer })).AsList());

    internal static long? Instant(HttpRequest request, string name, List<Problem> problems)
    {
        if (request.Query[name].ToString() is not { Length: > 0 } text) return null;
        if (Micros.TryParse(text, out var micros)) return micros;
        problems.Add(new("bad_value", "must be an RFC 3339 instant from 2000 until before 2200, such as 2026-01-31T00:00:00Z", name));
        return null;
    }
}
