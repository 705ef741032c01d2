using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;
using Tollgate.Tests.Support;

namespace Tollgate.IntegrationTests;

/// <summary>
/// Runs the guides as a reader would: the blocks of a page in their order, in one folder. A block marked
/// <c>run=</c> goes on in the background; <c>file=</c> is written; <c>expect</c> must stand in what was printed.
/// Only the ports differ from the page, so that two runs do not meet.
/// </summary>
public sealed partial class DocsTests
{
    [Theory]
    [InlineData("README.md")]
    [InlineData("docs/first-invoice.md")]
    [InlineData("docs/money.md")]
    public async Task The_commands_of_a_guide_do_what_it_says(string page)
    {
        using var folder = new TempFolder();
        var text = await File.ReadAllTextAsync(Path.Combine(Repository.Root, page));
        var (proxy, admin, upstream) = (Ports.Free(), Ports.Free(), Ports.Free());
        text = text.Replace("127.0.0.1:8000", $"127.0.0.1:{proxy}", StringComparison.Ordinal)
            .Replace("127.0.0.1:8001", $"127.0.0.1:{admin}", StringComparison.Ordinal)
            .Replace("127.0.0.1:5000", $"127.0.0.1:{upstream}", StringComparison.Ordinal)
            .Replace("http.server 5000", $"http.server {upstream}", StringComparison.Ordinal);
        var reader = new Reader(folder.Path, proxy, admin);
        var background = new List<Process>();
        var printed = new StringBuilder();
        try
        {
            foreach (Match block in Blocks().Matches(text))
            {
                var (info, body) = (block.Groups[1].Value, block.Groups[2].Value);
                if (info.StartsWith("yaml file=", StringComparison.Ordinal))
                    await File.WriteAllTextAsync(folder.Of(info["yaml file=".Length..]), body);
                else if (info.StartsWith("sh run=", StringComparison.Ordinal))
                    background.Add(await reader.StartAsync(body, info == "sh run=server" ? admin : upstream));
                else if (info == "sh")
                    printed.Append(await reader.RunAsync(body));
                else if (info == "text expect")
                    Assert.Contains(body.Trim(), printed.ToString());
            }
        }
        finally
        {
            foreach (var process in background)
            {
                process.Kill(entireProcessTree: true);
                await process.WaitForExitAsync();
                process.Dispose();
            }
        }
    }

    [GeneratedRegex("```([a-z]+(?: [a-z]+(?:=[^\n]+)?)?)\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Blocks();

    /// <summary>Somebody at a shell, with <c>tollgate</c> on the path.</summary>
    private sealed class Reader(string folder, int proxy, int admin)
    {
        public async Task<string> RunAsync(string commands)
        {
            using var process = Start(commands);
            var output = process.StandardOutput.ReadToEndAsync();
            var errors = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            Assert.True(process.ExitCode == 0, $"{commands}\n{await output}\n{await errors}");
            return await output + await errors;
        }

        public async Task<Process> StartAsync(string command, int port)
        {
            var process = Start(command);
            process.OutputDataReceived += (_, _) => { };
            process.ErrorDataReceived += (_, _) => { };
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
            using var client = new HttpClient();
            for (var i = 0; i < 300; i++)
            {
                try
                {
                    using var answer = await client.GetAsync($"http://127.0.0.1:{port}/readyz");
                    return process;
                }
                catch (HttpRequestException)
                {
                    await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
                }
            }

            throw new InvalidOperationException($"Nothing listens after: {command}");
        }

        private Process Start(string commands)
        {
            var dll = Path.Combine(AppContext.BaseDirectory, "Tollgate.Server.dll");
            var info = new ProcessStartInfo("bash", ["-c", $"set -e; tollgate() {{ dotnet '{dll}' \"$@\"; }}; {commands}"])
            {
                WorkingDirectory = folder,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            info.Environment["TOLLGATE_PROXY"] = $"http://127.0.0.1:{proxy}";
            info.Environment["TOLLGATE_ADMIN"] = $"http://127.0.0.1:{admin}";
            return Process.Start(info)!;
        }
    }
}
