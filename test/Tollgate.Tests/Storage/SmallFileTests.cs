using System.Diagnostics;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>Files that configuration names may be any: what is no regular file is not opened.</summary>
public sealed class SmallFileTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public async Task A_pipe_that_nobody_writes_to_is_refused_at_once()
    {
        var pipe = Path.Combine(_folder.Path, "pipe");
        using (var make = Process.Start("mkfifo", [pipe])) await make.WaitForExitAsync(TestContext.Current.CancellationToken);
        var read = Task.Run(() => Assert.Throws<IOException>(() => SmallFile.Read(pipe, 1_024)), TestContext.Current.CancellationToken);
        var refused = await read.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Contains("is no regular file", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/dev/zero")]
    [InlineData("/dev/null")]
    [InlineData("/proc/self/environ")]
    public void What_is_no_regular_file_is_refused(string path) =>
        Assert.Contains("is no regular file", Assert.Throws<IOException>(() => SmallFile.Read(path, 1_024)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void A_link_to_a_link_to_a_file_is_read_and_one_to_nothing_or_to_a_device_is_not()
    {
        var (file, link, again) = (At("file"), At("link"), At("again"));
        File.WriteAllText(file, "text");
        File.CreateSymbolicLink(link, file);
        File.CreateSymbolicLink(again, link);
        Assert.Equal("text", SmallFile.Read(again, 4));
        Assert.Throws<IOException>(() => SmallFile.Read(again, 3));
        File.CreateSymbolicLink(At("zero"), "/dev/zero");
        Assert.Throws<IOException>(() => SmallFile.Read(At("zero"), 1_024));
        File.Delete(file);
        Assert.Throws<FileNotFoundException>(() => SmallFile.Read(again, 4));
    }

    public void Dispose() => _folder.Dispose();

    private string At(string name) => Path.Combine(_folder.Path, name);
}
