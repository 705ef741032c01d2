using System.Text;
using System.Text.RegularExpressions;
using Prometheus;
using Tollgate.Gateway;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway;

/// <summary>Series of metrics are as dear as they are many: so many consumers have a name in them, and no more.</summary>
public sealed partial class NamedConsumerTests
{
    [Fact]
    public async Task The_first_thousand_consumers_have_a_name_in_metrics_for_good_and_the_others_share_one()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await Proxy.ProxyHost.StartAsync(upstream, "");
        var operation = server.Node.Table.Snapshot.Match("GET", "/v1/data")!;
        var registry = Metrics.NewCustomRegistry();
        var metrics = new GateMetrics(registry);
        var consumers = Enumerable.Range(1, GateMetrics.NamedConsumers + 20)
            .Select(i => new ConsumerEntry(i, $"con_{i}", $"name_{i}", null)).ToArray();
        for (var turn = 0; turn < 3; turn++)
            foreach (var consumer in turn == 1 ? consumers.Reverse() : consumers) Observe(consumer);
        Observe(ConsumerEntry.Anonymous);

        var text = new MemoryStream();
        await registry.CollectAndExportAsTextAsync(text, TestContext.Current.CancellationToken);
        var told = Requests().Matches(Encoding.UTF8.GetString(text.ToArray()))
            .ToDictionary(m => m.Groups[1].Value, m => m.Groups[2].Value, StringComparer.Ordinal);
        Assert.Equal(GateMetrics.NamedConsumers + 1, told.Count);
        Assert.Equal(("3", "3"), (told["name_1"], told[$"name_{GateMetrics.NamedConsumers}"]));
        Assert.Equal("61", told["other"]);
        // another node of this process has places of its own
        Assert.False(ConsumerEntry.Anonymous.IsNameless);

        void Observe(ConsumerEntry consumer)
        {
            var call = new GateCall { Target = default, Operation = operation, StartedAt = 0, Now = 0 };
            call.Decision.Consumer = consumer;
            metrics.Observe(call, "GET", TimeSpan.FromMilliseconds(3));
        }
    }

    [GeneratedRegex("""^api_requests_total\{consumer_id="([^"]*)"[^}]*\} (\d+)""", RegexOptions.Multiline)]
    private static partial Regex Requests();
}
