using System.Diagnostics;
using System.Text.RegularExpressions;
using Tollgate.Tests.Metering;
using Tollgate.Tests.Support;
using Tollgate.Tests.Web.V1;

namespace Tollgate.Tests.House;

/// <summary>What docs/calls.md says about the files is run against files.</summary>
public sealed partial class CallDocsTests
{
    private static string Page => File.ReadAllText(Path.Combine(Repository.Root, "docs", "calls.md"));

    [Fact]
    public async Task The_queries_of_the_page_answer()
    {
        await using var ledger = await ArchivedAsync();
        foreach (Match block in Sql().Matches(Page))
            Assert.NotEmpty(DuckDbQuestion.Ask(
                block.Groups[1].Value.Replace("data/archive", ledger.ArchiveFolder, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task The_pandas_of_the_page_prints_what_was_called()
    {
        Assert.SkipUnless(await PythonAsync("import pandas, pyarrow") is not null,
            "pandas is not there: apt-get install python3-pandas; pip install pyarrow");
        await using var ledger = await ArchivedAsync();
        var printed = await PythonAsync(Python().Match(Page).Groups[1].Value
            .Replace("data/archive", ledger.ArchiveFolder, StringComparison.Ordinal));
        Assert.Contains("GET", printed, StringComparison.Ordinal);
    }

    private static async Task<LedgerFolder> ArchivedAsync()
    {
        var ledger = new LedgerFolder();
        await ledger.OpenAsync();
        ledger.Call(3 * LedgerFolder.CallsInSegment);
        await ledger.ArchiveAsync();
        return ledger;
    }

    private static async Task<string?> PythonAsync(string program)
    {
        try
        {
            using var python = Process.Start(new ProcessStartInfo("python3", ["-c", program])
            {
                RedirectStandardOutput = true, RedirectStandardError = true,
            })!;
            var printed = await python.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            await python.WaitForExitAsync(TestContext.Current.CancellationToken);
            return python.ExitCode == 0 ? printed : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    [GeneratedRegex("```sql\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Sql();

    [GeneratedRegex("```python\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Python();
}
