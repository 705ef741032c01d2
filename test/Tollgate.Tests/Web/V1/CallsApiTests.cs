using System.Globalization;
using System.Text.Json;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.V1;

/// <summary>From a line to its calls, and from a request id to its call, wherever they are by now.</summary>
public sealed class CallsApiTests
{
    [Fact]
    public async Task The_calls_of_an_invoice_line_are_as_many_as_it_says_out_of_archive_and_journal()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string key;
        await using (var first = await TestServer.StartAsync(Yaml.Rates, upstream, folder))
        {
            key = await first.SubscribeAsync("fred", "metered");
            for (var i = 0; i < 5; i++) (await first.CallAsync("/api/v1/data", key)).Dispose();
            for (var i = 0; i < 3; i++) (await first.CallAsync("/api/v1/premium/analytics", key)).Dispose();
        }

        await using var server = await TestServer.StartAsync(Yaml.Rates, upstream, folder);
        // the server begins to archive as soon as it runs: whoever comes first writes the file
        await server.Node.Archive.RunAsync(server.Node.Drain.Position);
        Assert.NotEqual(0UL, server.Node.Archive.Archived);
        for (var i = 0; i < 2; i++) (await server.CallAsync("/api/v1/data", key)).Dispose();
        await server.AdvanceAsync("P2M");
        var invoice = (await server.GetAsync("/v1/invoices")).GetProperty("data").EnumerateArray()
            .First(i => i.GetProperty("lines").GetArrayLength() > 0);
        var lines = invoice.GetProperty("lines").EnumerateArray().ToArray();
        Assert.Equal(2, lines.Length);
        for (var i = 0; i < lines.Length; i++)
        {
            var path = $"/v1/invoices/{invoice.GetProperty("number").GetString()}/lines/{i + 1}/calls";
            var calls = await server.GetAsync(path);
            Assert.Equal(lines[i].GetProperty("quantity").GetString(), calls.GetProperty("quantity").GetString());
            Assert.All(calls.GetProperty("data").EnumerateArray(), c =>
            {
                Assert.Equal(lines[i].GetProperty("operation").GetString(), c.GetProperty("operation").GetString());
                Assert.Equal("fred", c.GetProperty("consumer").GetString());
                Assert.Equal(200, c.GetProperty("status").GetInt32());
            });
            var csv = (await server.TextAsync(path + "?format=csv")).Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(calls.GetProperty("data").GetArrayLength() + 1, csv.Length);
            Assert.StartsWith("request_id,admitted_at,customer,", csv[0], StringComparison.Ordinal);
        }

        Assert.Equal([7L, 3L], lines.Select(l => long.Parse(l.GetProperty("quantity").GetString()!, CultureInfo.InvariantCulture)));
    }

    [Fact]
    public async Task A_call_is_found_by_its_request_id_before_and_after_it_is_archived()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var folder = new TempFolder();
        string id;
        await using (var first = await TestServer.StartAsync(Yaml.Tiers, upstream, folder))
        {
            var key = await first.SubscribeAsync("fred", "free");
            using var answer = await first.CallAsync("/v1/public/data", key);
            id = answer.Headers.GetValues("X-Request-Id").Single();
            Check(await first.GetAsync($"/v1/calls/{id}"));
        }

        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream, folder);
        await server.Node.Archive.RunAsync(server.Node.Drain.Position);
        Assert.True(server.Node.Archive.Archived > 0);
        Check(await server.GetAsync($"/v1/calls/{id.ToLowerInvariant()}"));

        void Check(JsonElement call)
        {
            Assert.Equal(id, call.GetProperty("request_id").GetString());
            Assert.Equal(("fred", "fred", "public-data", "GET", 200, true), (
                call.GetProperty("customer").GetString(), call.GetProperty("consumer").GetString(),
                call.GetProperty("operation").GetString(), call.GetProperty("method").GetString(),
                call.GetProperty("status").GetInt32(), call.GetProperty("billable").GetBoolean()));
        }
    }

    [Fact]
    public async Task Calls_are_saved_as_parquet_with_their_names()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(Yaml.Tiers, upstream);
        var key = await server.SubscribeAsync("fred", "free");
        for (var i = 0; i < 4; i++) (await server.CallAsync("/v1/public/data", key)).Dispose();
        var bytes = await server.Admin.GetByteArrayAsync("/v1/calls?format=parquet&consumer=fred&operation=public-data",
            TestContext.Current.CancellationToken);
        var file = Path.Combine(Directory.CreateTempSubdirectory("calls-").FullName, "calls.parquet");
        await File.WriteAllBytesAsync(file, bytes, TestContext.Current.CancellationToken);
        Assert.Equal("4 fred /v1/public/data", DuckDbQuestion.Ask(
            $"select count(distinct request_id) || ' ' || min(customer) || ' ' || max(endpoint) from '{file}'"));
        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
    }

    [Theory]
    [InlineData("/v1/calls/nonsense", 400)]
    [InlineData("/v1/calls/00000000000000000000000000", 404)]
    [InlineData("/v1/calls/7ZZZZZZZZZZZZZZZZZZZZZZZZZ", 404)]
    [InlineData("/v1/calls?format=xml&limit=0&from=yesterday&consumer=nobody&operation=none&what=1", 400)]
    [InlineData("/v1/invoices/none/lines/1/calls", 404)]
    public async Task What_cannot_be_answered_is_refused(string path, int status)
    {
        await using var server = await TestServer.StartAsync(Yaml.Tiers, await TestUpstream.StartAsync());
        using var answer = await server.Admin.GetAsync(path, TestContext.Current.CancellationToken);
        Assert.Equal(status, (int)answer.StatusCode);
        var problem = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement;
        Assert.Equal(path.Contains("xml", StringComparison.Ordinal) ? 6 : 1, problem.GetProperty("errors").GetArrayLength());
    }
}

/// <summary>DuckDB as a reader of files has it.</summary>
internal static class DuckDbQuestion
{
    public static string Ask(string sql)
    {
        using var db = new DuckDB.NET.Data.DuckDBConnection("DataSource=:memory:");
        db.Open();
        using var command = db.CreateCommand();
        command.CommandText = sql;
        return Convert.ToString(command.ExecuteScalar(), CultureInfo.InvariantCulture)!;
    }
}
