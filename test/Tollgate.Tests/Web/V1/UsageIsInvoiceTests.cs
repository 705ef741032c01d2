using System.Globalization;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>What the usage API says of a billing period is what its invoice asks for: any meter, zone, dimension or override.
/// </summary>
public sealed class UsageIsInvoiceTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          m: { upstream: UPSTREAM, operations: { data: GET /v1/data } }
        meters:
          calls: { aggregation: count, event: ping }
          total: { aggregation: sum, scale: 3, event: used, value: $.v, dimensions: { region: $.r } }
          most:  { aggregation: max, scale: 3, event: used, value: $.v }
          least: { aggregation: min, scale: 3, event: used, value: $.v }
          mean:  { aggregation: average, scale: 3, event: used, value: $.v }
          kinds: { aggregation: unique_count, event: used, value: $.u }
          last:  { aggregation: latest, scale: 3, event: used, value: $.v }
        plans:
          pro:
            operations: [data]
            quotas: [{ name: q, meter: total, allowance: 50, per: month, overage: bill }]
            prices:
              calls: { meter: calls, model: per_unit, unit_amount: "1" }
              total: { meter: total, model: per_unit, unit_amount: "1", by: region }
              most:  { meter: most, model: per_unit, unit_amount: "1" }
              least: { meter: least, model: per_unit, unit_amount: "1" }
              mean:  { meter: mean, model: per_unit, unit_amount: "1" }
              kinds: { meter: kinds, model: per_unit, unit_amount: "1" }
              last:  { meter: last, model: per_unit, unit_amount: "1" }
        """;

    // zones whose offset changes in March 2026, and some with odd ones
    private static readonly string[] s_zones =
        ["America/New_York", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "UTC"];

    private static readonly string[] s_regions = ["eu", "us", "ap"];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task The_usage_of_a_period_is_what_its_invoice_says(int seed)
    {
        var random = new Random(seed);
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            File, upstream, clock: new DateTimeOffset(2026, 4, 3, 0, 0, 0, TimeSpan.Zero));
        for (var i = 0; i < s_zones.Length; i++)
        {
            await server.PostAsync("/v1/customers", new { name = $"c{i}", timezone = s_zones[i] });
            var made = await server.PostAsync(
                "/v1/subscriptions", new { customer = $"c{i}", plan = "pro", start_at = "2026-02-27T00:00:00Z" });
            if (i % 2 != 0) continue;
            using var own = new StringContent("{\"allowances\":{\"q\":7}}", System.Text.Encoding.UTF8, "application/json");
            using var put = await server.Admin.PutAsync($"/v1/subscriptions/{made.GetProperty("id").GetString()}/overrides", own,
                TestContext.Current.CancellationToken);
            Assert.True(put.IsSuccessStatusCode, await put.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        await SendAsync(server, random);
        // all of it again
        await SendAsync(server, new Random(seed));
        await server.AdvanceAsync("P40D");
        var compared = 0;
        for (var i = 0; i < s_zones.Length; i++)
            foreach (var invoice in (await server.GetAsync($"/v1/invoices?customer=c{i}")).GetProperty("data").EnumerateArray())
                compared += await CompareAsync(server, (i, s_zones[i]), [.. invoice.GetProperty("lines").EnumerateArray()]);
        Assert.True(compared >= 7 * s_zones.Length, $"only {compared} meters of periods had lines");
    }

    private static async Task<int> CompareAsync(TestServer server, (int Number, string Zone) customer, JsonElement[] lines)
    {
        foreach (var of in lines.GroupBy(l => (Meter: l.GetProperty("meter").GetString()!, From: l.GetProperty("period_start").GetString()!,
            To: l.GetProperty("period_end").GetString()!)))
        {
            var asked = $"/v1/usage?meter={of.Key.Meter}&customer=c{customer.Number}&from={of.Key.From}&to={of.Key.To}";
            var invoiced = of.Sum(l => Number(l.GetProperty("quantity")));
            Assert.Equal(invoiced, Sum(await server.GetAsync(asked)));
            if (of.Key.Meter is not ("calls" or "total")) continue;
            // what adds up is the sum of its local days and months, too
            foreach (var window in (string[])["hour", "day", "month"])
                Assert.Equal(invoiced, Sum(await server.GetAsync($"{asked}&window={window}&timezone={customer.Zone}")));
            if (of.Key.Meter == "calls") continue;
            var regions = (await server.GetAsync($"{asked}&group_by=region")).GetProperty("data").EnumerateArray()
                .Select(r => ($"region {r.GetProperty("dimensions").GetProperty("region").GetString()}", Number(r.GetProperty("value"))));
            Assert.Equal(of.Select(l => (l.GetProperty("label").GetString()!, Number(l.GetProperty("quantity")))).Order(), regions.Order());
        }

        return lines.Select(l => l.GetProperty("meter").GetString()).Distinct().Count();
    }

    private static async Task SendAsync(TestServer server, Random random)
    {
        var begin = new DateTimeOffset(2026, 2, 27, 6, 0, 0, TimeSpan.Zero);
        for (var batch = 0; batch < 6; batch++)
        {
            var events = Enumerable.Range(0, 150).Select(i => new
            {
                specversion = "1.0",
                id = $"{batch}-{i}",
                source = "random",
                type = random.Next(5) == 0 ? "ping" : "used",
                subject = $"c{random.Next(s_zones.Length)}",
                time = begin.AddSeconds(random.Next(34 * 86_400)).ToString("O", CultureInfo.InvariantCulture),
                data = new { v = $"{random.Next(1, 90_000) / 1000m}", r = s_regions[random.Next(3)], u = $"u{random.Next(12)}" },
            }).ToArray();
            var answer = await server.PostAsync("/v1/events", events);
            Assert.Equal(150, answer.GetProperty("accepted").GetInt32());
        }
    }

    private static decimal Sum(JsonElement usage) => usage.GetProperty("data").EnumerateArray().Sum(r => Number(r.GetProperty("value")));

    private static decimal Number(JsonElement text) => decimal.Parse(text.GetString()!, CultureInfo.InvariantCulture);
}
