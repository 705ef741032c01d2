using System.Buffers;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Gateway;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/explain</c>: why a call would pass or not, step by step. It takes nothing, and no key that is
/// given is logged or answered.</summary>
internal static class ExplainApi
{
    private const int MostHeaders = 20;

    // RFC 9110 5.6.2
    private static readonly SearchValues<char> s_token = SearchValues.Create(
        "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/explain", ExplainAsync).Needs(AdminScope.Read).ChangesNothing();

    private static async Task<IResult> ExplainAsync(
        HttpRequest request, Explaining explaining, GateTable table, ConsumerStore consumers, CustomerStore customers,
        TimeProvider clock)
    {
        var fields = await Fields.ReadAsync(request);
        var method = fields.Text("method", max: 32) ?? "GET";
        var path = fields.Text("path", required: true, max: 8_192);
        var host = fields.Text("host");
        var (key, name) = (fields.Text("key", max: 16_384), fields.Text("consumer"));
        var at = fields.Instant("at");
        var headers = ReadHeaders(fields);
        if (name is not null && (key is not null || headers.Count > 0))
            fields.Add("bad_value", "stands in place of a key: give one of them", "consumer");
        if (path is not null && path[0] != '/' && !path.Contains("://", StringComparison.Ordinal))
            fields.Add("bad_value", "must begin with a slash, as a request would send it", "path");
        if (method.AsSpan().ContainsAnyExcept(s_token))
            fields.Add("bad_value", "is not the name of a method, as GET: letters, digits and !#$%&'*+-.^_`|~", "method");
        if (fields.Faults() is { } faults) return faults;
        ConsumerEntry? consumer = null;
        if (name is not null)
        {
            if (await consumers.FindAsync(name) is not { } row || table.FindConsumer((int)row.Key) is not { } entry)
                return Answers.NotFound("consumer", name);
            consumer = entry;
        }

        var now = Micros.Now(clock);
        var question = new Question(method, path!, host, headers, consumer, at ?? now, now) { Key = key };
        var explained = explaining.Explain(question);
        var customer = explained.Consumer?.Customer is { } payer ? await customers.OfKeyAsync(payer.Key) : null;
        return Answers.Ok(View(question, explained, customer));
    }

    private static HeaderDictionary ReadHeaders(Fields fields)
    {
        var headers = new HeaderDictionary();
        if (fields.Raw("headers") is not { } raw) return headers;
        if (raw.ValueKind != JsonValueKind.Object || raw.EnumerateObject().Count() > MostHeaders
            || raw.EnumerateObject().Any(h => h.Value.ValueKind != JsonValueKind.String || h.Name.Length is 0 or > 100))
        {
            fields.Add("wrong_type", $"must be an object of at most {MostHeaders} names and texts", "headers");
            return headers;
        }

        foreach (var header in raw.EnumerateObject()) headers.Append(header.Name, header.Value.GetString());
        return headers;
    }

    private static object View(Question question, Explanation e, CustomerRow? customer)
    {
        var form = VerdictForm.Of(e.Verdict);
        var passes = e.Verdict == Verdict.Admit;
        return new
        {
            passes,
            at = Micros.ToText(question.At),
            verdict = new
            {
                status = passes ? (int?)null : form.Status,
                code = form.Code,
                message = passes ? null : e.Refusal!.Value.GetProperty("message").GetString(),
                retry_after = e.RetryAfter,
                body = e.Refusal,
            },
            path = new { original = question.Target, canonical = e.CanonicalTarget },
            operation = e.Operation is null ? null : new
            {
                name = e.Operation.Name,
                api = e.Operation.Api.Name,
                endpoint = e.Operation.Endpoint,
                requires_key = e.Operation.Api.RequiresKey,
                gated = e.Operation.Api.Gated,
                weight = e.Operation.Cost.Weight,
            },
            credential = e.Credential is null ? null : new
            {
                id = e.Credential.Id,
                revoked = e.Credential.Revoked,
                expires_at = e.Credential.ExpiresAt == long.MaxValue ? null : Micros.ToText(e.Credential.ExpiresAt),
            },
            consumer = e.Consumer is null ? null : new { id = e.Consumer.Id, username = e.Consumer.Username },
            customer = customer is null ? null : new { id = customer.Id, name = customer.Name },
            subscriptions = e.Subscriptions.Select(s => new
            {
                id = s.Entry.SubscriptionId,
                plan_id = s.Entry.PlanId,
                priority = s.Entry.Source.Priority,
                chosen = s.Chosen,
                why = s.Why,
            }),
            plan = e.Plan is null ? null : new { name = e.Plan.Name, version = e.Entitlement?.Source.PlanVersion },
            limits = e.Policies.Where(p => p.Kind == "limit").Select(View),
            quotas = e.Policies.Where(p => p.Kind == "quota").Select(View),
            balances = e.Balances.Select(b => new
            {
                kind = Balance.NameOf(b.Balance.Kind),
                amount = b.Balance.Text(b.Balance.Amount),
                used = b.Balance.Text(b.Used),
            }),
            steps = e.Steps.Select(s => new { step = s.Name, passes = s.Passes, detail = s.Detail }),
        };
    }

    private static object View(PolicyStanding p) => new
    {
        policy = p.Policy,
        count = p.Count,
        used = p.Used,
        remaining = p.Remaining,
        reset_at = p.ResetAt is { } at ? Micros.ToText(at) : null,
        blocks = p.Blocks,
        violated = p.Violated,
    };
}
