using System.Net;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>A journal that is full: a plan either refuses, or passes and says so everywhere.</summary>
public sealed class UnrecordedTests
{
    private const string File = """
        version: 1
        currency: USD
        apis:
          ai:
            upstream: UPSTREAM
            operations:
              data: { match: GET /data, weight: 2 }
              chat: GET /chat
        meters:
          tokens: { aggregation: sum, value: response.body $.tokens, where: { operation: chat } }
        plans:
          closed: { operations: ["*"] }
          open: { operations: ["*"], metering: open, quotas: [{ meter: calls, allowance: 100, per: month }] }
          pays: { extends: open, prices: { t: { meter: tokens, model: per_unit, unit_amount: "0.01" } } }
        """;

    [Fact]
    public async Task Calls_of_an_open_plan_pass_a_full_journal_are_held_by_their_limits_and_counted_apart()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        await using (var server = await StartAsync(folder, upstream))
        {
            var (closed, open) = (await server.SubscribeAsync("fred", "closed"), await server.SubscribeAsync("mary", "open"));
            var pays = await server.SubscribeAsync("paul", "pays");
            Assert.Equal("ready", await server.TextAsync("/readyz"));
            var recorded = await FillAsync(server, closed);
            using (var refused = await server.CallAsync("/data", closed))
            {
                Assert.Equal((HttpStatusCode.ServiceUnavailable, TimeSpan.FromSeconds(1)),
                    (refused.StatusCode, refused.Headers.RetryAfter!.Delta));
                Assert.False(refused.Headers.Contains("Tollgate-Metering"));
            }

            upstream.Answer = context =>
            {
                context.Response.StatusCode = context.Request.Query.ContainsKey("no") ? 500 : 200;
                context.Response.ContentType = "application/json";
                return context.Response.WriteAsync("{\"tokens\":7}");
            };
            using (var passed = await server.CallAsync("/data", open))
            {
                Assert.Equal((HttpStatusCode.OK, "open", "98"), (passed.StatusCode,
                    passed.Headers.GetValues("Tollgate-Metering").Single(),
                    passed.Headers.GetValues("X-RateLimit-Remaining-Month").Single()));
                var id = passed.Headers.GetValues("X-Request-Id").Single();
                Assert.Equal(id, upstream.Seen.Last().Headers["X-Request-Id"]);
                using var unknown = await server.Admin.GetAsync($"/v1/calls/{id}");
                Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
            }

            (await server.CallAsync("/data?no", open)).Dispose();
            (await server.CallAsync("/chat", pays)).Dispose();
            var all = await Task.WhenAll(Enumerable.Range(0, 70).Select(_ => server.CallAsync("/data", open)));
            Assert.Equal(49, all.Count(a => a.StatusCode == HttpStatusCode.OK));
            Assert.Equal(21, all.Count(a => a.StatusCode == HttpStatusCode.TooManyRequests));
            Assert.StartsWith("ready, but calls of plans with 'metering: open' pass unrecorded",
                await server.TextAsync("/readyz"), StringComparison.Ordinal);
            Assert.Contains("--journal-bytes", await server.TextAsync("/readyz"), StringComparison.Ordinal);
            Assert.Contains("tollgate_unrecorded_calls_total{plan=\"open\"} 51\n",
                await server.Admin.GetStringAsync("/metrics"), StringComparison.Ordinal);
            var steps = (await server.PostAsync("/v1/explain", new { consumer = "paul", method = "GET", path = "/data" }))
                .GetProperty("steps").EnumerateArray().Last().GetProperty("detail").GetString()!;
            Assert.Contains("metering: open", steps, StringComparison.Ordinal);
            Assert.Equal(recorded * 2, await server.UsageAsync());
            Assert.Equal("0", await Cost.CallCostTests.ValueAsync(server, "tokens"));
        }

        await using var again = await StartAsync(folder, upstream);
        var rows = (await again.GetAsync("/v1/unrecorded_calls?limit=10")).GetProperty("data").EnumerateArray()
            .Select(r => (r.GetProperty("customer_name").GetString(), r.GetProperty("operation").GetString(),
                r.GetProperty("calls").GetInt64(), r.GetProperty("units").GetString())).Order().ToArray();
        Assert.Equal([("mary", "data", 51, "100"), ("paul", "chat", 1, "1")], rows);
    }

    [Fact]
    public async Task Without_an_open_plan_a_full_journal_is_not_ready()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        await using var server = await StartAsync(
            folder, upstream, File.Replace("metering: open", "metering: closed", StringComparison.Ordinal));
        var key = await server.SubscribeAsync("fred", "open");
        var before = await FillAsync(server, await server.SubscribeAsync("mary", "closed"));
        Assert.InRange(before, 100, 600);
        using var refused = await server.CallAsync("/data", key);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        using var ready = await server.Admin.GetAsync("/readyz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
    }

    [Fact]
    public async Task What_a_plan_says_stands_in_the_api_and_a_word_that_is_none_is_refused()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(File, upstream);
        Assert.Equal(("open", "closed"), ((await server.GetAsync("/v1/plans/pays")).GetProperty("metering").GetString(),
            (await server.GetAsync("/v1/plans/closed")).GetProperty("metering").GetString()));
        var made = await server.PostAsync("/v1/plans", new { name = "live", operations = new[] { "*" }, metering = "open" });
        Assert.Equal("open", made.GetProperty("metering").GetString());
        foreach (var query in new[] { "limit=0", "cursor=x", "limit=10&cursor=-1" })
        {
            using var bad = await server.Admin.GetAsync($"/v1/unrecorded_calls?{query}");
            Assert.Equal(HttpStatusCode.BadRequest, bad.StatusCode);
        }

        var problems = Tollgate.Config.File.ConfigFileReader.Read(
            "version: 1\ncurrency: USD\nplans: { a: { operations: [\"*\"], metering: ajar } }", "f").Problems;
        Assert.Equal("plans.a.metering", Assert.Single(problems).Field);
    }

    private static Task<TestServer> StartAsync(TempFolder folder, TestUpstream upstream, string? file = null) =>
        TestServer.StartAsync(file ?? File, upstream, folder, change: o => o with { JournalBytes = 64 * 1024 });

    /// <summary>Calls until the journal is full.</summary>
    /// <returns>How many it took.</returns>
    private static async Task<int> FillAsync(TestServer server, string key)
    {
        var passed = 0;
        while (passed < 2_000)
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => server.CallAsync("/data", key)));
            passed += answers.Count(a => a.StatusCode == HttpStatusCode.OK);
            foreach (var answer in answers) answer.Dispose();
            if (answers.All(a => a.StatusCode == HttpStatusCode.ServiceUnavailable)
                && server.Node.Journal.Trouble is { } why && why.Contains("--journal-bytes", StringComparison.Ordinal)) return passed;
        }

        throw new InvalidOperationException("The journal was never full.");
    }
}
