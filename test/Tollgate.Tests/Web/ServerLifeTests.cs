using System.Diagnostics;
using System.Net.Http.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web;

/// <summary>The two ports as a process has them: how they start, what they take, how they stop.</summary>
public sealed class ServerLifeTests
{
    [Fact]
    public async Task What_the_node_logs_to_lives_until_the_node_is_closed()
    {
        using var folder = new TempFolder();
        var made = new List<Sink>();
        var server = await TollgateServer.StartAsync(Options(folder), logs => logs.Services.AddSingleton<ILoggerProvider>(_ =>
        {
            var sink = new Sink();
            made.Add(sink);
            return sink;
        }));
        Assert.All(made, sink => Assert.False(sink.Disposed));
        await server.DisposeAsync();
        Assert.All(made, sink => Assert.True(sink.Disposed));
    }

    [Fact]
    public async Task A_call_that_does_not_end_holds_a_stop_no_longer_than_was_said()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var reached = new TaskCompletionSource();
        upstream.Answer = async context =>
        {
            reached.TrySetResult();
            await Task.Delay(TimeSpan.FromSeconds(60), TimeProvider.System, context.RequestAborted);
        };
        using var folder = new TempFolder();
        var server = await StartAsync(folder, upstream, TimeSpan.FromSeconds(1));
        using var caller = new HttpClient { BaseAddress = server.ProxyAddress };
        var call = caller.GetAsync("/v1/public/data");
        await reached.Task;
        var watch = Stopwatch.StartNew();
        await server.DisposeAsync();
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(10));
        await Task.WhenAny(call); // answered or cut off, but over
        Assert.True(call.IsCompleted);
        await using var again = await StartAsync(folder, upstream, TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task A_call_that_ends_in_time_is_answered_although_the_server_stops()
    {
        await using var upstream = await TestUpstream.StartAsync();
        var reached = new TaskCompletionSource();
        var finish = new TaskCompletionSource();
        upstream.Answer = async context =>
        {
            reached.TrySetResult();
            await finish.Task;
        };
        using var folder = new TempFolder();
        var server = await StartAsync(folder, upstream, TimeSpan.FromSeconds(20));
        using var caller = new HttpClient { BaseAddress = server.ProxyAddress };
        var call = caller.GetAsync("/v1/public/data");
        await reached.Task;
        var stop = server.DisposeAsync().AsTask();
        await Task.WhenAny(stop, Task.Delay(TimeSpan.FromMilliseconds(300), TimeProvider.System));
        Assert.False(stop.IsCompleted);
        finish.SetResult();
        using var answer = await call;
        Assert.Equal(200, (int)answer.StatusCode);
        await stop;
    }

    [Theory]
    [InlineData("GET /v1/public/data HTTP/1.1\nHost: x\nConnection: close\n\n")]
    [InlineData("GET /v1/public/data HTTP/1.1\r\nHost: x\nConnection: close\r\n\r\n")]
    [InlineData("GET /v1/public/data HTTP/1.1\nHost: x\r\nConnection: close\r\n\r\n")]
    public async Task A_line_that_ends_with_a_bare_line_feed_is_a_400_on_both_ports(string request)
    {
        await using var server = await TestServer.StartAsync();
        foreach (var port in (Uri[])[server.Proxy, server.Admin.BaseAddress!])
            Assert.Equal(400, (await RawCall.SendAsync(port, request)).Status);
    }

    [Fact]
    public async Task An_install_key_that_is_none_leaves_nothing_open()
    {
        using var folder = new TempFolder();
        await using (await TollgateServer.StartAsync(Options(folder), Quiet)) { }
        var file = Path.Combine(Options(folder).Data, "install.key");
        var key = await File.ReadAllTextAsync(file);
        await File.WriteAllTextAsync(file, "nonsense");
        await Assert.ThrowsAsync<StartupException>(() => TollgateServer.StartAsync(Options(folder), Quiet));
        await File.WriteAllTextAsync(file, key);
        await using var again = await TollgateServer.StartAsync(Options(folder), Quiet);
    }

    [Fact]
    public async Task A_data_folder_is_only_its_owners()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Windows has no such modes.");
            return;
        }

        using var folder = new TempFolder();
        await using var server = await TollgateServer.StartAsync(Options(folder), Quiet);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
            File.GetUnixFileMode(Options(folder).Data));
    }

    private static async Task<TollgateServer> StartAsync(TempFolder folder, TestUpstream upstream, TimeSpan stop)
    {
        var server = await TollgateServer.StartAsync(Options(folder) with { StopTimeout = stop }, Quiet);
        using var admin = new HttpClient { BaseAddress = server.AdminAddress };
        using var service = await admin.PostAsJsonAsync("/services", new { name = "s", url = upstream.Address });
        using var route = await admin.PostAsJsonAsync("/services/s/routes", new { name = "r", paths = (string[])["/"] });
        return server;
    }

    private static void Quiet(ILoggingBuilder logs) => logs.SetMinimumLevel(LogLevel.None);

    private static TollgateOptions Options(TempFolder folder) => new()
    {
        Data = Path.Combine(folder.Path, "data"),
        Proxy = new Uri("http://127.0.0.1:0"),
        Admin = new Uri("http://127.0.0.1:0"),
    };

    private sealed class Sink : ILoggerProvider, ILogger
    {
        public bool Disposed { get; private set; }

        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose() => Disposed = true;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => Assert.False(Disposed);
    }
}
