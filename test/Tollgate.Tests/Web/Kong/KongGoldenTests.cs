using System.Runtime.CompilerServices;
using System.Text;

namespace Tollgate.Tests.Web.Kong;

/// <summary>Whole answers, as their readers parse them. TOLLGATE_UPDATE_GOLDEN=1 writes them anew.</summary>
public sealed class KongGoldenTests
{
    [Fact]
    public async Task The_answers_to_the_script_are_as_written_down()
    {
        await using var kong = await KongHost.StartAsync();
        var text = new StringBuilder();
        foreach (var (path, fields) in KongScript.Steps)
            text.Append($"POST {path} {string.Join('&', fields)}\n{(await kong.PostAsync(path, fields)).Masked()}\n");
        Check("script.txt", text.ToString());
    }

    [Fact]
    public async Task The_answers_to_the_script_run_again_are_as_written_down()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        var text = new StringBuilder();
        foreach (var (path, fields) in KongScript.Steps)
            text.Append($"POST {path} {string.Join('&', fields)}\n{(await kong.PostAsync(path, fields)).Masked()}\n");
        Check("script-again.txt", text.ToString());
    }

    [Fact]
    public async Task What_is_read_back_is_as_written_down()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        var text = new StringBuilder();
        foreach (var path in (string[])
            ["/", "/status", "/services", "/routes?size=1000",
            "/consumers/free_user_1/key-auth", "/consumers/pro_user_1/consumer_groups",
            "/consumer_groups/enterprise/consumers", "/services/nobody"])
            text.Append($"GET {path}\n{(await kong.GetAsync(path)).Masked()}\n");
        Check("read-back.txt", text.ToString());
    }

    [Fact]
    public async Task Refusals_are_as_written_down()
    {
        await using var kong = await KongHost.StartAsync();
        await KongScript.RunAsync(kong);
        var text = new StringBuilder();
        foreach (var (path, form) in ((string, string)[])
        [
            ("/consumer_groups/enterprise/plugins",
                "name=rate-limiting&config.minute=many&config.policy=redis&config.burst=1"),
            ("/services/my-api-service/plugins", "name=ai-proxy&config.x=1&wat=1"),
            ("/services/my-api-service/routes", "paths[]=/ok&paths[]=~/re&hosts=a.example&methods=get"),
            ("/routes", "service.name=nobody&paths=/x"),
            ("/consumers/free_user_1/consumer_groups", "group=gold"),
            ("/services", "name=x&url=nowhere"),
        ])
            text.Append($"POST {path} {form}\n{(await kong.PostAsync(path, form)).Masked()}\n");
        Check("refusals.txt", text.ToString());
    }

    private static void Check(string name, string text, [CallerFilePath] string here = "")
    {
        var file = Path.Combine(Path.GetDirectoryName(here)!, "golden", name);
        if (Environment.GetEnvironmentVariable("TOLLGATE_UPDATE_GOLDEN") == "1") File.WriteAllText(file, text);
        Assert.Equal(File.ReadAllText(file), text);
    }
}
