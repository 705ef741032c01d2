using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Tollgate.Billing;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

/// <summary>
/// A leap year of a busy account, over HTTP and under the test clock: what was done, its invoices as customers read them,
/// credit notes, payments, and every posting. After a change that is meant: <c>TOLLGATE_GOLDEN=write</c>, and read the
/// difference.
/// </summary>
public sealed partial class GoldenYearTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          shop: { upstream: "http://127.0.0.1:9", operations: { quote: GET /quotes } }
        meters:
          units: { aggregation: sum, event: used, value: $.units, scale: 2 }
        plans:
          starter:
            operations: [quote]
            prices:
              base:  { model: flat, amount: "29.00", every: month, in: advance }
              units:
                meter: units
                model: graduated
                tiers: [{ up_to: 100, unit_amount: "0.50" }, { unit_amount: "0.25", flat_amount: "3.00" }]
          pro:
            operations: ["*"]
            prices:
              base:    { model: flat, amount: "99.00", every: month, in: advance }
              licence: { model: flat, amount: "366.00", every: year, in: advance }
              support: { model: flat, amount: "31.00", every: month, in: arrears }
              units:   { meter: units, model: package, size: 10, amount: "1.25", free: 50 }
        """;

    // instant, then a request; GET ones are not there: what is told comes at the end
    private const string Year = """
        2028-01-01T05:00:00Z POST /v1/customers {"name":"acme","currency":"USD","timezone":"America/New_York"}
        2028-01-01T05:00:00Z PUT /v1/customers/acme/terms {"tax_percent":"8.875","net_days":14,"hold_after_days":10}
        2028-01-01T05:00:00Z POST /v1/subscriptions {"customer":"acme","plan":"starter"}
        2028-01-10T10:00:00Z POST /v1/coupons {"name":"welcome","percent_off":"10","invoices":2}
        2028-01-10T10:00:00Z POST /v1/coupons/welcome/apply {"customer":"acme"}
        2028-01-15T10:00:00Z USE 120.5
        2028-01-20T10:00:00Z PAY 20.00
        2028-02-14T10:00:00Z USE 99.99
        2028-02-26T12:00:00Z HELD payment_overdue
        2028-02-27T12:00:00Z PAY 150.00
        2028-02-27T12:00:00Z HELD none
        2028-02-29T17:00:00Z POST {sub}/change {"plan":"pro"}
        2028-03-12T06:59:00Z USE 61
        2028-03-12T07:01:00Z USE 1
        2028-03-20T10:00:00Z POST /v1/add_ons {"name":"sla","prices":{"fee":{"model":"flat","amount":"15","every":"month","in":"advance"}}}
        2028-03-20T10:00:00Z POST {sub}/change {"add_ons":[{"add_on":"sla"}]}
        2028-04-03T10:00:00Z POST /v1/credits {"customer":"acme","kind":"promotional","amount":"50.00","expires_at":"2028-06-30T00:00:00Z"}
        2028-04-03T10:00:00Z POST /v1/credits {"customer":"acme","kind":"prepaid","amount":"200.00","name":"top-up"}
        2028-05-10T10:00:00Z POST {sub}/change {"quantity":2}
        2028-05-20T10:00:00Z USE 400
        2028-06-02T10:00:00Z LATE 2028-05-31T20:00:00Z 33.25
        2028-06-15T10:00:00Z POST /v1/credit_notes {"invoice":"{last}","amount":"12.34","reason":"an outage"}
        2028-06-20T10:00:00Z PAY 300.00
        2028-07-05T10:00:00Z POST {sub}/pause {}
        2028-08-10T10:00:00Z POST {sub}/resume {}
        2028-09-01T10:00:00Z POST {sub}/change {"quantity":1,"when":"now"}
        2028-09-05T10:00:00Z POST {sub}/change {"plan":"starter","when":"period_end"}
        2028-09-06T10:00:00Z POST {sub}/change {"plan":"pro"}
        2028-09-20T10:00:00Z POST /v1/commitments {"subscription":"{id}","kind":"minimum","amount":"200","start_at":"2028-10-01T04:00:00Z"}
        2028-10-01T10:00:00Z POST /v1/credits {"customer":"acme","kind":"promotional","amount":"5.00","every":"month","name":"loyalty"}
        2028-11-05T05:30:00Z USE 70
        2028-11-05T06:30:00Z USE 80
        2028-11-10T10:00:00Z POST /v1/invoices/{last}/void {}
        2028-12-02T10:00:00Z POST /v1/invoices/{last}/uncollectible {}
        2028-12-05T10:00:00Z POST {sub}/cancel {"when":"now"}
        2029-01-10T10:00:00Z PAY 10.00
        """;

    [Fact]
    public async Task A_year_of_a_busy_account_is_what_it_was()
    {
        await using var server = await TestServer.StartAsync(File, clock: new DateTimeOffset(2028, 1, 1, 0, 0, 0, TimeSpan.Zero));
        var told = new StringBuilder();
        var events = 0;
        foreach (var line in Year.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var (at, verb, rest) = (line[..20], line[21..line.IndexOf(' ', 21)], line[(line.IndexOf(' ', 21) + 1)..]);
            await server.PostAsync("/v1/test_clock", new { now = at });
            told.AppendLine(line);
            switch (verb)
            {
                case "USE":
                    await UseAsync(server, at, rest, ++events);
                    break;
                case "LATE":
                    await UseAsync(server, rest.Split(' ')[0], rest.Split(' ')[1], ++events);
                    break;
                case "PAY":
                    await server.PostAsync("/v1/payments", new { customer = "acme", amount = rest });
                    break;
                case "HELD":
                    Assert.Equal(rest, await HeldAsync(server));
                    break;
                default:
                    await SendAsync(server, verb, rest);
                    break;
            }
        }

        await TellAsync(server, told);
        await CompareAsync(told.ToString());
    }

    private static async Task SendAsync(TestServer server, string method, string rest)
    {
        if (rest.Contains('{', StringComparison.Ordinal))
        {
            var subscriptions = (await server.GetAsync("/v1/customers")).GetProperty("data").GetArrayLength() == 0 ? default
                : (await server.GetAsync("/v1/subscriptions?customer=acme")).GetProperty("data");
            var id = subscriptions.ValueKind == JsonValueKind.Array && subscriptions.GetArrayLength() > 0
                ? subscriptions[0].GetProperty("id").GetString() : "";
            var invoices = (await server.GetAsync("/v1/invoices")).GetProperty("data");
            var last = invoices.EnumerateArray().Select(i => i.GetProperty("number").GetString()).LastOrDefault("");
            rest = rest.Replace("{sub}", "/v1/subscriptions/" + id, StringComparison.Ordinal)
                .Replace("{id}", id, StringComparison.Ordinal).Replace("{last}", last, StringComparison.Ordinal);
        }

        var space = rest.IndexOf(' ', StringComparison.Ordinal);
        using var content = new StringContent(rest[(space + 1)..], Encoding.UTF8, "application/json");
        using var request = new HttpRequestMessage(new HttpMethod(method), rest[..space]) { Content = content };
        using var answer = await server.Admin.SendAsync(request);
        Assert.True(answer.IsSuccessStatusCode, rest + ": " + await answer.Content.ReadAsStringAsync());
    }

    private static async Task UseAsync(TestServer server, string at, string units, int number)
    {
        using var content = new StringContent(JsonSerializer.Serialize(new
        {
            specversion = "1.0",
            id = "e" + number,
            source = "year",
            type = "used",
            subject = "acme",
            time = at,
            data = new { units },
        }), Encoding.UTF8);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/cloudevents+json");
        using var answer = await server.Admin.PostAsync(new Uri("/v1/events", UriKind.Relative), content);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    /// <summary>Why the gate would refuse a call of the customer; none.</summary>
    private static Task<string> HeldAsync(TestServer server) => server.Node.Database.ReadAsync(db =>
        Dapper.SqlMapper.QuerySingleAsync<string>(db, "select hold from entitlements where end_at is null"));

    private static async Task TellAsync(TestServer server, StringBuilder told)
    {
        foreach (var invoice in (await server.GetAsync("/v1/invoices?limit=1000")).GetProperty("data").EnumerateArray())
        {
            told.AppendLine().Append(InvoiceText.Render(InvoiceDocument.Read(invoice.GetRawText())));
            told.AppendLine($"{invoice.GetProperty("status").GetString()}, paid {invoice.GetProperty("amount_paid").GetString()}, " +
                $"credited {invoice.GetProperty("amount_credited").GetString()}");
        }

        told.AppendLine();
        foreach (var note in (await server.GetAsync("/v1/credit_notes")).GetProperty("data").EnumerateArray())
            told.AppendLine($"{note.GetProperty("number").GetString()} of {note.GetProperty("invoice").GetString()}: " +
                $"{note.GetProperty("net").GetString()} and tax {note.GetProperty("tax").GetString()}");
        told.AppendLine();
        var sums = new SortedDictionary<string, decimal>(StringComparer.Ordinal);
        foreach (var posting in (await server.GetAsync("/v1/postings?limit=1000")).GetProperty("data").EnumerateArray())
        {
            var (account, amount) = (posting.GetProperty("account").GetString()!, posting.GetProperty("amount").GetString()!);
            told.Append(posting.GetProperty("posted_at").GetString()).Append(' ')
                .AppendLine($"{posting.GetProperty("entry").GetString()} {account} {amount}");
            sums[account] = sums.GetValueOrDefault(account) + decimal.Parse(amount, System.Globalization.CultureInfo.InvariantCulture);
        }

        Assert.Equal(0, sums.Values.Sum());
        told.AppendLine().AppendLine(string.Join(", ", sums.Select(s => $"{s.Key} {s.Value}")));
    }

    private static async Task CompareAsync(string told, [CallerFilePath] string here = "")
    {
        var ids = new Dictionary<string, string>(StringComparer.Ordinal);
        var known = Ids().Replace(told, m =>
        {
            if (!ids.TryGetValue(m.Value, out var name)) ids[m.Value] = name = $"{m.Groups[1].Value}_{ids.Count + 1}";
            return name;
        });
        var path = Path.Combine(Path.GetDirectoryName(here)!, "Golden", "year.txt");
        if (Environment.GetEnvironmentVariable("TOLLGATE_GOLDEN") == "write")
            await System.IO.File.WriteAllTextAsync(path, known);
        Assert.Equal(await System.IO.File.ReadAllTextAsync(path), known, ignoreLineEndingDifferences: true);
    }

    [GeneratedRegex("([a-z]+)_[0-9a-f]{32}")]
    private static partial Regex Ids();
}
