using System.Data.Common;
using Npgsql;

namespace Tollgate.Storage;

/// <summary>
/// Hears what other nodes change: a notification says that there is something, a table says what, and once a second
/// the table is asked without having been told. What a node was away for, it finds when it is back.
/// </summary>
public sealed class PostgresChanges
{
    private const string Channel = "tollgate_changes";

    /// <summary>So many are taken over before the table is looked at again, for what must not wait behind them.</summary>
    private const int Between = 16;

    /// <summary>Which tables the gate is compiled from, and whose change a row of them is. Versions of this list make
    /// triggers of a new name.</summary>
    private static readonly (string Table, string Kind, string? Subject)[] s_watched =
    [
        ("config_objects", "publication", null),
        ("config_files", "publication", null),
        ("plan_versions", "publication", null),
        ("consumers", "consumer", "key"),
        ("credentials", "consumer", "consumer_key"),
        ("token_credentials", "consumer", "consumer_key"),
        ("access_groups", "consumer", "consumer_key"),
        ("entitlements", "customer", "customer_key"),
        ("balances", "customer", "customer_key"),
        ("grants", "customer", "customer_key"),
    ];

    /// <summary>After so long the table is asked without having been told.</summary>
    public TimeSpan Poll { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>The tables whose changes other nodes hear.</summary>
    public static IReadOnlyList<string> Watched => [.. s_watched.Select(w => w.Table)];

    private readonly string _connection;
    private readonly ChangeFeed _feed;
    private readonly PendingChanges _pending = new();
    private long _read;

    private PostgresChanges(string connection, ChangeFeed feed, long version) =>
        (_connection, _feed, _read) = (connection, feed, version);

    /// <summary>Makes the store write down what changes, in tables that are watched and not yet.</summary>
    internal static void Watch(NpgsqlConnection open)
    {
        var present = Engine.NamesOf(open,
            "select table_name from information_schema.tables where table_schema = current_schema()").ToHashSet();
        foreach (var (table, kind, subject) in s_watched.Where(w => present.Contains(w.Table)))
        {
            var arguments = subject is null ? $"'{kind}'" : $"'{kind}', '{subject}'";
            using var command = open.CreateCommand();
            command.CommandText =
                $"create or replace trigger changed after insert or update or delete on {table} " +
                $"for each {(subject is null ? "statement" : "row")} execute function tollgate_changed({arguments})";
            command.ExecuteNonQuery();
        }
    }

    /// <summary>Marks where the store is now. Whoever then loads its tables and runs this misses nothing.</summary>
    internal static async Task<PostgresChanges> BeginAsync(
        NpgsqlConnectionStringBuilder address, ChangeFeed feed, CancellationToken cancel)
    {
        var own = new NpgsqlConnectionStringBuilder(address.ConnectionString)
        {
            Pooling = false,
            CommandTimeout = 5,
            KeepAlive = 0,
        };
        await using var connection = new NpgsqlConnection(own.ConnectionString);
        await connection.OpenAsync(cancel);
        await using var command = new NpgsqlCommand("select coalesce(max(version), 0) from changes", connection);
        return new PostgresChanges(own.ConnectionString, feed, (long)(await command.ExecuteScalarAsync(cancel))!);
    }

    /// <summary>Announces what changes until it is cancelled or something fails; then it is called again.</summary>
    /// <param name="announce">Takes a change over; a change whose taking over throws comes again. See <see cref="PendingChanges"/>
    /// for their order.</param>
    /// <param name="heard">Called whenever everything until now is taken over.</param>
    public async Task RunAsync(Func<Change, Task> announce, Action heard, CancellationToken cancel)
    {
        await using var connection = new NpgsqlConnection(_connection);
        await connection.OpenAsync(cancel);
        // one that comes while the table is read would not end the waiting after it, and the change it tells of is not in what is read
        var told = false;
        connection.Notification += (_, _) => told = true;
        await using (var listen = new NpgsqlCommand($"listen {Channel}", connection))
            await listen.ExecuteNonQueryAsync(cancel);
        while (true)
        {
            told = false;
            var isAll = await ReadAsync(connection, cancel);
            for (var i = 0; i < Between && _pending.Next() is { } next; i++)
            {
                await announce(next);
                _pending.Done(next);
            }

            if (!isAll || _pending.Count > 0) continue;
            _feed.Heard();
            heard();
            if (!told) await connection.WaitAsync(Poll, cancel);
        }
    }

    /// <returns>Whether there was no more.</returns>
    private async Task<bool> ReadAsync(DbConnection connection, CancellationToken cancel)
    {
        var room = PendingChanges.Most - _pending.Count;
        if (room == 0) return false;
        await using var command = connection.CreateCommand();
        command.CommandText =
            $"select kind, subject, version from changes where version > {_read} order by version limit {room}";
        await using var reader = await command.ExecuteReaderAsync(cancel);
        for (; await reader.ReadAsync(cancel); room--)
        {
            _read = reader.GetInt64(2);
            if (Of(reader.GetString(0), reader.GetInt64(1)) is { } change) _pending.Put(change, _read);
        }

        return room > 0;
    }

    // a kind of a newer version is that one's business
    private static Change? Of(string kind, long subject) => kind switch
    {
        "publication" => new Change.Publication(),
        "consumer" => new Change.OfConsumer((int)subject),
        "customer" => new Change.OfCustomer((int)subject),
        _ => null,
    };
}
