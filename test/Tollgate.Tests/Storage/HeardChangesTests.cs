using System.Threading.Channels;
using Npgsql;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>What other nodes change is heard at its notification, whenever that comes.</summary>
public sealed class HeardChangesTests
{
    public static bool IsInstalled => PostgresServer.IsInstalled;

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_change_that_is_made_while_the_one_before_is_read_is_not_left_to_the_next_look()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var where = PostgresServer.Shared.Empty();
        await using var database = Database.Open(where);
        var changes = (await database.FollowAsync(new ChangeFeed(), stop.Token))!;
        // nothing is found without being told
        changes.Poll = TimeSpan.FromHours(1);
        var heard = Channel.CreateUnbounded<int>();
        var listening = new TaskCompletionSource();
        var following = changes.RunAsync(
            change =>
            {
                heard.Writer.TryWrite(((Change.OfConsumer)change).Key);
                return Task.CompletedTask;
            },
            () => listening.TrySetResult(), stop.Token);
        await listening.Task;
        await using var other = new NpgsqlConnection(where);
        await other.OpenAsync(stop.Token);
        for (var i = 1; i <= 400; i++)
        {
            await ChangeAsync(other, 2 * i);
            await ChangeAsync(other, (2 * i) + 1);
            for (var last = 0; last != (2 * i) + 1;)
                last = await heard.Reader.ReadAsync(stop.Token).AsTask().WaitAsync(TimeSpan.FromSeconds(20), stop.Token);
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
    }

    [Fact(Skip = PostgresServer.Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_change_that_is_made_behind_ten_thousand_others_is_taken_over_before_nearly_all_of_them_and_none_is_left_out()
    {
        const int many = 10_000, late = 20_000;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var where = PostgresServer.Shared.Empty();
        await using var database = Database.Open(where);
        var changes = (await database.FollowAsync(new ChangeFeed(), stop.Token))!;
        await using var other = new NpgsqlConnection(where);
        await other.OpenAsync(stop.Token);
        await using (var bulk = new NpgsqlCommand("insert into changes (kind, subject, version) " +
            $"select 'consumer', n, nextval('change_versions') from generate_series(1, {many}) n; notify tollgate_changes", other))
            await bulk.ExecuteNonQueryAsync(stop.Token);
        var heard = new List<int>();
        var all = new TaskCompletionSource();
        var following = changes.RunAsync(
            async change =>
            {
                heard.Add(((Change.OfConsumer)change).Key);
                if (heard.Count == 500) await ChangeAsync(other, late);
            },
            () => all.TrySetResult(), stop.Token);
        await Task.WhenAny(all.Task, following);
        Assert.Equal(Enumerable.Range(1, many).Append(late), heard.Order());
        Assert.InRange(heard.IndexOf(late), 500, 520);
        // nor does the first of them wait for all that come later
        Assert.InRange(heard.IndexOf(1), 0, 20);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
    }

    /// <summary>As a trigger writes it down.</summary>
    private static async Task ChangeAsync(NpgsqlConnection connection, int consumer)
    {
        await using var command = new NpgsqlCommand(
            "insert into changes (kind, subject, version) values ('consumer', @subject, nextval('change_versions')); " +
            "notify tollgate_changes", connection);
        command.Parameters.AddWithValue("subject", (long)consumer);
        await command.ExecuteNonQueryAsync();
    }
}
