using System.Collections.Concurrent;
using Dapper;
using Microsoft.Extensions.Logging;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing;

public sealed class BillingLogTests
{
    [Fact]
    public async Task A_parked_subscription_is_said_once_and_not_on_each_run()
    {
        using var folder = new TempFolder();
        var lines = new Lines();
        await using var node = await TollgateNode.OpenAsync(
            new TollgateOptions { Data = folder.Path, TestClock = TestServer.Start }, lines);
        await node.Database.WriteAsync(db => db.ExecuteAsync("""
            insert into customers values (1, 'cus_1', 'acme', 'USD', 'UTC', 'api', 0);
            insert into subscriptions (id, customer_key, plan_id, priority, anchor, timezone, start_at, managed_by,
                created_at, next_bill_at) values ('sub_1', 1, 'plan_1', 0, '2026-01-01', 'Atlantis', 1000, 'api', 0, 1000);
            insert into entitlements (subscription_id, customer_key, plan_id, plan_version, priority, anchor, timezone,
                start_at) values ('sub_1', 1, 'plan_1', 1, 0, '2026-01-01', 'Atlantis', 1000);
            """));
        ((TestClock)node.Clocks.Business).Set(TestServer.Start.AddMonths(1));
        for (var i = 0; i < 3; i++) await node.WorkAsync();
        Assert.Contains("sub_1", Assert.Single(lines.Errors));
    }

    private sealed class Lines : ILogger
    {
        public ConcurrentQueue<string> Errors { get; } = new();

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Error) Errors.Enqueue(formatter(state, exception));
        }
    }
}
