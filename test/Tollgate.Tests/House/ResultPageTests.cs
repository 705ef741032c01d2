using Tollgate.Bench;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.House;

/// <summary>Pages of long runs are not lost to short ones.</summary>
public sealed class ResultPageTests
{
    [Fact]
    public async Task A_page_is_replaced_by_one_of_a_run_as_long_and_never_by_one_of_a_shorter_run()
    {
        using var folder = new TempFolder();
        var stop = TestContext.Current.CancellationToken;
        var half = await WriteAsync(30);
        Assert.EndsWith("-soak.md", half, StringComparison.Ordinal);
        var short_ = await WriteAsync(2);
        Assert.EndsWith("-soak-2.md", short_, StringComparison.Ordinal);
        Assert.Equal(short_, await WriteAsync(3));
        Assert.EndsWith("-soak-3.md", await WriteAsync(0.5), StringComparison.Ordinal);
        Assert.Contains("--minutes 30`", await File.ReadAllTextAsync(half, stop), StringComparison.Ordinal);
        Assert.Equal(half, await WriteAsync(30));
        Assert.Equal(half, await WriteAsync(60));
        Assert.Equal(3, Directory.GetFiles(folder.Path).Length);

        Task<string> WriteAsync(double minutes) => ResultPage.WriteAsync(folder.Path, "soak", minutes,
            FormattableString.Invariant($"# Soak\n\n`dotnet dev.cs soak --minutes {minutes}` on a machine"), stop);
    }

    [Theory]
    [InlineData("`dotnet dev.cs soak --minutes 2.5 --connections 32` on", 2.5)]
    [InlineData("`dotnet dev.cs torture --runs 500` on", 500)]
    [InlineData("`dotnet dev.cs ingest --ids 100000000 --seconds 60 --rate 20000` on", 100_000_000)]
    [InlineData("`dotnet dev.cs drain --records 4000000 --keys 10000,1000000` on", 4_000_000)]
    [InlineData("`dotnet dev.cs bench --full` on", 0)]
    [InlineData("", 0)]
    public void How_long_a_run_was_stands_in_its_command(string page, double length) => Assert.Equal(length, ResultPage.LengthOf(page));
}
