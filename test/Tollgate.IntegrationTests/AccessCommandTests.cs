using System.Net;
using System.Text.Json;

namespace Tollgate.IntegrationTests;

/// <summary>The command line around configuration, keys and tokens, against a server that runs.</summary>
public sealed class AccessCommandTests
{
    private const string Shop = """
        version: 1
        currency: USD
        apis:
          shop: { upstream: "http://127.0.0.1:9", operations: { data: GET /data } }
        plans:
          free: { operations: [data], limits: [100/minute] }
        """;

    [Fact]
    public async Task Diff_apply_export_and_a_hangup_change_a_running_server()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder.Of("home"));
        var file = folder.Of("tollgate.yaml");
        await File.WriteAllTextAsync(file, Shop);
        using var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        string[] admin = ["--admin", server.Admin.ToString()];
        Task<(int ExitCode, string Output)> Run(params string[] command) =>
            ServerProcess.RunAsync(folder.Of("home"), [.. command, .. admin]);

        Assert.Equal((0, "nothing differs"), Trimmed(await Run("diff", file)));
        var next = folder.Of("next.yaml");
        await File.WriteAllTextAsync(next, Shop.Replace("100/minute", "7/minute", StringComparison.Ordinal));
        Assert.Equal((1, "~ plan free: limits"), Trimmed(await Run("diff", next)));
        var (code, json) = await Run("diff", next, "--json");
        Assert.Equal((1, "free"), (code,
            JsonDocument.Parse(json).RootElement.GetProperty("changed")[0].GetProperty("name").GetString()));
        Assert.Equal((0, "~ plan free: limits"), Trimmed(await Run("apply", next)));
        Assert.Equal((0, (await File.ReadAllTextAsync(next)).Trim()), Trimmed(await Run("export")));

        await File.WriteAllTextAsync(next, "version: 1\nplans: { free: { limits: [x] } }\n");
        var (refused, faults) = await Run("apply", next);
        Assert.Equal(1, refused);
        Assert.Contains("next.yaml:2:", faults, StringComparison.Ordinal);
        Assert.Contains("'currency' is missing", faults, StringComparison.Ordinal);
        Assert.Equal(3, (await ServerProcess.RunAsync(folder.Of("home"), "diff", file, "--admin", "http://127.0.0.1:9")).ExitCode);
        Assert.Equal(2, (await Run("diff", file, file)).ExitCode);

        // the server's own file wins again when it is asked to look
        Assert.SkipWhen(ServerProcess.IgnoresHangups, "SIGHUP is ignored by what was started under nohup.");
        await server.HangUpAsync();
        for (var i = 0; i < 100 && (await Run("diff", file)).ExitCode != 0; i++) ;
        var after = await Run("diff", file);
        Assert.True(after.ExitCode == 0, $"{after.Output}\n{server.Output}");
        Assert.Equal(0, await server.StopAsync());
    }

    [Fact]
    public async Task Keys_tokens_and_explain_do_what_they_say()
    {
        using var folder = new TempFolder();
        var file = folder.Of("tollgate.yaml");
        await File.WriteAllTextAsync(file, Shop);
        using var server = await ServerProcess.StartAsync(folder.Of("data"), "--config", file);
        using var client = new HttpClient { BaseAddress = server.Admin };
        foreach (var (path, body) in ((string, string)[])[("customers", """{"name":"ann"}"""),
            ("consumers", """{"username":"ann","customer":"ann"}"""), ("subscriptions", """{"customer":"ann","plan":"free"}""")])
        {
            using var content = new StringContent(body);
            using var made = await client.PostAsync("/v1/" + path, content);
            Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        }

        Task<(int ExitCode, string Output)> Run(params string[] command) =>
            ServerProcess.RunAsync(folder.Of("data"), [.. command, "--admin", server.Admin.ToString()]);
        var key = (await Run("keys", "create", "ann")).Output.Trim();
        Assert.StartsWith("tg_live_", key, StringComparison.Ordinal);
        await File.WriteAllTextAsync(folder.Of("key"), key);
        var (passes, steps) = await Run("explain", "GET", "/data", "--key-file", folder.Of("key"));
        Assert.Equal(0, passes);
        Assert.Contains("the call passes", steps, StringComparison.Ordinal);
        Assert.DoesNotContain(key, steps, StringComparison.Ordinal);
        var (denied, why) = await Run("explain", "POST", "/data", "--consumer", "ann");
        Assert.Equal(1, denied);
        Assert.Contains("refused: 404 no_route", why, StringComparison.Ordinal);

        var id = JsonDocument.Parse((await Run("keys", "list", "ann")).Output).RootElement
            .GetProperty("data")[0].GetProperty("id").GetString()!;
        var rotated = (await Run("keys", "rotate", "ann", id, "--overlap", "PT0S")).Output.Trim();
        Assert.StartsWith("tg_live_", rotated, StringComparison.Ordinal);
        var expired = await Run("explain", "GET", "/data", "--key-file", folder.Of("key"));
        Assert.Contains("key_expired", expired.Output, StringComparison.Ordinal);
        Assert.Equal(0, (await Run("keys", "revoke", "ann", id)).ExitCode);
        Assert.Equal(1, (await Run("keys", "revoke", "ann", "key_nothing")).ExitCode);

        var token = await Run("tokens", "create", "ci", "--scope", "read");
        Assert.Equal(0, token.ExitCode);
        Assert.Contains("tg_admin_", token.Output, StringComparison.Ordinal);
        var list = await Run("tokens", "list");
        Assert.Contains("ci", list.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(token.Output.Trim(), list.Output, StringComparison.Ordinal);
        Assert.Equal(0, (await Run("tokens", "revoke", "ci")).ExitCode);
    }

    private static (int, string) Trimmed((int ExitCode, string Output) result) => (result.ExitCode, result.Output.Trim());
}
