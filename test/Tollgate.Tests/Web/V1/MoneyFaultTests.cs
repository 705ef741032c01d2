using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>What each endpoint of money says to bad input: every fault, with its field, and nothing is done.</summary>
public sealed class MoneyFaultTests
{
    // method, path, body, status, the fields of the faults
    private const string Table = """
        POST /v1/credits {} 400 customer kind amount
        POST /v1/credits {"customer":"no","kind":"gift","amount":"1.001","priority":-1} 400 customer kind amount priority
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":"0"} 400 amount
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":"-1"} 400 amount
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":"1e3"} 400 amount
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":{}} 400 amount
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":"1","units":"5"} 400 meter amount
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":"1","expires_at":"2026-01-01T00:00:00Z"} 400 expires_at
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":"1","rollover_periods":1} 400 rollover_periods
        POST /v1/credits {"customer":"jpy","kind":"prepaid","amount":"1.5"} 400 amount
        POST /v1/credits/crd_x/void {} 404
        POST /v1/coupons {"name":"a/b","percent_off":"0"} 400 name percent_off
        POST /v1/coupons {"percent_off":"101","amount_off":"0.001","invoices":0} 400 name percent_off amount_off percent_off invoices
        POST /v1/coupons {"name":"c","percent_off":"5","prices":["no/such","none"]} 400 prices[0] prices[1]
        POST /v1/coupons {"name":"cpn_01234567890123456789012345678901","percent_off":"5"} 400 name
        POST /v1/publishers {"name":"pub_01234567890123456789012345678901"} 400 name
        POST /v1/add_ons {"name":"ao_01234567890123456789012345678901"} 400 name prices
        POST /v1/add_ons {"name":"t","prices":{"a":THIRDS}} 400 prices.a.convert
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":"1","prices":["none"]} 400 prices[0]
        POST /v1/coupons/none/apply {"customer":"ann"} 404
        POST /v1/add_ons {"name":"a/b","prices":{},"currency":"XXQ"} 400 name currency prices
        POST /v1/commitments {"subscription":"sub_x","kind":"most","amount":"-1"} 400 subscription kind amount
        POST /v1/payments {"amount":"1.00"} 400 customer
        POST /v1/payments {"invoice":"x","amount":"1.001","received_at":"soon"} 400 invoice amount received_at
        POST /v1/payments {"customer":"ann","amount":"1","received_at":"2030-01-01T00:00:00Z"} 400 received_at
        POST /v1/payments {"customer":"ann","amount":"1","currency":"EUR"} 400 currency
        POST /v1/credit_notes {} 400 invoice reason
        POST /v1/credit_notes {"invoice":"x","reason":"r","amount":"NaN"} 400 invoice amount
        PUT /v1/customers/ann/terms {"tax_percent":"x","hold_after_days":-5} 400 tax_percent hold_after_days
        PUT /v1/customers/ann/terms {"net":1,"credit_overage":"no"} 400 credit_overage net
        PUT /v1/customers/ann/terms {"tax_treatment":"no"} 400 tax_treatment
        PUT /v1/customers/ann/terms {"tax_treatment":"reverse_charge"} 400 tax_id
        PUT /v1/customers/no/terms {} 404
        GET /v1/credits?customer=no - 400 customer
        GET /v1/payments?limit=0&cursor=x - 400 limit cursor
        GET /v1/payments?limit=0&customer=no - 400 limit customer
        GET /v1/invoices?status=sent&customer=no&limit=0 - 400 limit customer status
        GET /v1/subscriptions?cursor=x&customer=no - 400 cursor customer
        GET /v1/commitments?limit=x&subscription=no - 400 limit subscription
        GET /v1/invoices/none - 404
        POST /v1/invoices/none/void {} 404
        POST /v1/invoices/none/finalize {} 404
        POST /v1/invoices/none/uncollectible {} 404
        DELETE /v1/invoices/none - 405
        POST /v1/subscriptions {"customer":"ann","plan":"nope","quantity":0,"timezone":"Mars"} 400 timezone quantity plan
        POST /v1/subscriptions {"customer":"ann","plan":"nope","end_at":"2020-01-01T00:00:00Z"} 400 end_at plan
        POST /v1/subscriptions/none/change {"quantity":2} 404
        POST /v1/subscriptions/none/change {"quantity":0} 400 quantity
        POST /v1/subscriptions/none/change {"preview":true} 400 plan
        POST /v1/subscriptions/none/cancel {"when":"later","at":"x"} 400 at when
        POST /v1/subscriptions/none/pause {} 404
        POST /v1/subscriptions/none/resume {} 404
        POST /v1/subscriptions/none/reactivate {} 404
        """;

    // of a customer who pays in dollars; a plan and add-ons in euros
    private const string OfSubscriptions = """
        POST NEW {"customer":"ann","plan":"euro","end_at":PAST,"add_ons":[EUR]} 400 end_at add_ons[0].add_on plan
        POST NEW {"customer":"ann","plan":"no","add_ons":[EUR,{"add_on":"no","quantity":0}]} 400 plan QUANTITY ADDON add_ons[0].add_on
        POST NEW {"customer":"no","plan":"no","add_ons":[{"add_on":1},{}]} 400 customer plan add_ons[0].add_on add_ons[1].add_on
        POST /v1/subscriptions/SUB/change {"plan":"euro","quantity":0,"add_ons":[EUR]} 400 quantity add_ons[0].add_on plan
        POST /v1/subscriptions/SUB/change {"timezone":"Mars","anchor":"calendar","preview":1} 400 timezone anchor preview
        POST /v1/subscriptions/SUB/change {"timezone":"Asia/Tokyo","when":"now"} 400 when
        POST /v1/subscriptions/SUB/change {"anchor":"2026-01-15"} 400 anchor
        POST /v1/subscriptions/SUB/cancel {"at":PAST,"preview":1} 400 at preview
        POST /v1/subscriptions/SUB/pause {"resume_at":PAST,"preview":1} 400 resume_at preview
        POST /v1/credits {"customer":"ann","kind":"prepaid","amount":"0.001"} 400 amount kind
        """;

    private const string Thirds = """{"model":"per_unit","meter":"calls","unit_amount":1,"convert":{"divide_by":3}}""";

    [Fact]
    public async Task Every_fault_is_told_with_its_field_and_nothing_is_done()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/v1/customers", new { name = "ann" });
        await server.PostAsync("/v1/customers", new { name = "jpy", currency = "JPY" });
        var table = Table.Replace("THIRDS", Thirds, StringComparison.Ordinal);
        await CheckAsync(server, table);
        foreach (var list in (string[])["credits", "coupons", "add_ons", "commitments", "payments", "credit_notes", "invoices"])
            Assert.Equal(0, (await server.GetAsync("/v1/" + list)).GetProperty("data").GetArrayLength());
    }

    [Fact]
    public async Task A_start_and_a_change_name_what_is_in_another_currency_or_in_the_past_beside_every_other_fault()
    {
        await using var server = await TestServer.StartAsync();
        await server.PostAsync("/v1/customers", new { name = "ann" });
        var volume = new { model = "volume", meter = "calls", tiers = new object[] { new { unit_amount = "1" } } };
        var fee = new { model = "flat", amount = "9", every = "month", @in = "advance" };
        await server.PostAsync("/v1/plans", new { name = "usd", operations = Array.Empty<string>(), prices = new { volume } });
        await server.PostAsync("/v1/plans",
            new { name = "euro", operations = Array.Empty<string>(), currency = "EUR", prices = new { fee } });
        await server.PostAsync("/v1/add_ons", new { name = "eur", currency = "EUR", prices = new { fee } });
        var started = await server.PostAsync("/v1/subscriptions", new { customer = "ann", plan = "usd" });
        var id = started.GetProperty("id").GetString()!;
        var before = (await server.GetAsync("/v1/subscriptions")).GetRawText();
        await CheckAsync(server, OfSubscriptions.Replace("SUB", id, StringComparison.Ordinal)
            .Replace("NEW", "/v1/subscriptions", StringComparison.Ordinal)
            .Replace("PAST", "\"2020-01-01T00:00:00Z\"", StringComparison.Ordinal)
            .Replace("EUR", """{"add_on":"eur"}""", StringComparison.Ordinal)
            .Replace("QUANTITY", "add_ons[1].quantity", StringComparison.Ordinal)
            .Replace("ADDON", "add_ons[1].add_on", StringComparison.Ordinal));
        Assert.Equal(before, (await server.GetAsync("/v1/subscriptions")).GetRawText());
    }

    private static async Task CheckAsync(TestServer server, string table)
    {
        foreach (var line in table.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            using var request = new HttpRequestMessage(new HttpMethod(parts[0]), parts[1]);
            if (parts[2] != "-")
                request.Content = new StringContent(parts[2], Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
            using var answer = await server.Admin.SendAsync(request);
            var text = await answer.Content.ReadAsStringAsync();
            Assert.True((HttpStatusCode)int.Parse(parts[3]) == answer.StatusCode, $"{line}\n{(int)answer.StatusCode} {text}");
            Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
            var fields = JsonDocument.Parse(text).RootElement.GetProperty("errors").EnumerateArray()
                .Select(e => e.GetProperty("field").GetString()).OfType<string>();
            if (parts[3] == "400")
                Assert.Equal($"{parts[1]}: {string.Join(' ', parts[4..])}", $"{parts[1]}: {string.Join(' ', fields)}");
        }
    }
}
