using StackExchange.Redis;

namespace Tollgate.Storage;

/// <summary>
/// The counters that several nodes share, in a Redis 7. Every node has its own share in a counter: what it has spent in
/// the window, and what it may still spend on its own. It always tells the whole of what it spent, so an answer that was
/// lost, a question that comes twice and a Redis that forgot everything are put right by the next question.
/// </summary>
/// <remarks>One counter is one hash: <c>node</c> → spent and leased, <c>node:g</c> → leased of that, <c>node:s</c> → the
/// number of the last question. All keys of one question carry one hash tag, so they lie on one node of a cluster.</remarks>
public sealed partial class SharedCounters : IAsyncDisposable
{
    /// <summary>How long a call waits for Redis; then its plan says what happens.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    private const string WantedChannel = "tollgate:wanted";

    private readonly ConfigurationOptions _options;
    private readonly RedisValue _node;
    private ConnectionMultiplexer? _redis;
    private long _question;
    private volatile bool _away;
    private volatile bool _isCluster;

    private SharedCounters(ConfigurationOptions options, string node) => (_options, _node) = (options, node);

    /// <summary>Host and port, for messages.</summary>
    public string Address => RedisAddress.Show(_options);

    /// <summary>True once it was reached and is listened to; it stays so when it goes away again.</summary>
    public bool IsListening { get; private set; }

    /// <summary>Why it was last not reached.</summary>
    public string? Trouble { get; private set; }

    /// <summary>True from a question without an answer until <see cref="ProbeAsync"/> hears from Redis again.</summary>
    public bool IsAway => _away;

    /// <summary>Whether subscriptions lie on different nodes of it, so that one step is about one of them only.</summary>
    public bool IsCluster => _isCluster;

    /// <summary>How many processes listen at this Redis, as of the last probe. Of a Redis Cluster those of one of its nodes.
    /// </summary>
    public int Nodes { get; private set; } = 1;

    /// <summary>How far our clock is from Redis's; the middle of the way of the last probe.</summary>
    public TimeSpan Skew { get; private set; }

    /// <param name="address"><c>redis://:password@host:6379</c>, <c>rediss://</c> for TLS, or the driver's own form
    /// (several hosts; <c>serviceName=</c> for Sentinel).</param>
    /// <param name="node">Names this process among all that ever counted: a restarted one is another.</param>
    /// <returns>Away when nobody answers there yet: then <see cref="ListenAsync"/> tries again.</returns>
    /// <exception cref="StorageException">The address cannot be read, or what answers there cannot be used.</exception>
    public static async Task<SharedCounters> OpenAsync(string address, string node)
    {
        var options = RedisAddress.Parse(address);
        options.ClientName = "tollgate";
        options.AbortOnConnectFail = true;
        options.ConnectTimeout = 3_000;
        options.AsyncTimeout = (int)Patience.TotalMilliseconds;
        options.SyncTimeout = (int)Patience.TotalMilliseconds;
        options.BacklogPolicy = BacklogPolicy.FailFast;
        options.HeartbeatInterval = TimeSpan.FromMilliseconds(250);
        options.ReconnectRetryPolicy = new LinearRetry(250);
        // its check is a command that a Sentinel does not know
        options.HighIntegrity = string.IsNullOrEmpty(options.ServiceName);
        var counters = new SharedCounters(options, node);
        counters._away = !await counters.ConnectAsync();
        return counters;
    }

    /// <summary>Reaches it where it was not there so far, and calls back with the key of a counter of which somebody else
    /// needs what lies idle.</summary>
    /// <exception cref="StorageException">What answers there cannot be used.</exception>
    public async Task ListenAsync(Action<string> wanted)
    {
        if (IsListening || (_redis is null && !await ConnectAsync())) return;
        try
        {
            await _redis!.GetSubscriber().SubscribeAsync(
                RedisChannel.Literal(WantedChannel), (_, key) => wanted(key.ToString()));
            IsListening = true;
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            // anew, so that nothing is heard twice
            (_away, Trouble) = (true, e.Message);
            await _redis!.DisposeAsync();
            _redis = null;
        }
    }

    /// <summary>Tells what was spent and asks for more, for counters of one hash tag, in one step. Questions about one
    /// counter follow one after the other.</summary>
    /// <returns>Null when Redis did not answer; what was asked may have happened.</returns>
    public async Task<CounterAnswer[]?> AskAsync(IReadOnlyList<CounterQuestion> questions)
    {
        if (_away || _redis is not { } redis) return null;
        var keys = new RedisKey[questions.Count];
        var values = new RedisValue[2 + questions.Count * 6];
        (values[0], values[1]) = (_node, Interlocked.Increment(ref _question));
        for (var i = 0; i < keys.Length; i++)
        {
            var q = questions[i];
            keys[i] = q.Key;
            var at = 2 + i * 6;
            (values[at], values[at + 1], values[at + 2]) = (q.Limit, q.Spent, q.Before);
            (values[at + 3], values[at + 4], values[at + 5]) = (q.Demand, q.Want, q.ExpireAtMillis);
        }

        try
        {
            var answers = (RedisResult[])(await redis.GetDatabase().ScriptEvaluateAsync(RedisScripts.Counters, keys, values))!;
            return Array.ConvertAll(answers, a =>
            {
                var parts = (long[])a!;
                return new CounterAnswer(parts[0], parts[1], parts[2]);
            });
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            // a cluster behind a proxy that does not say so
            _isCluster |= e is RedisServerException && e.Message.Contains("slot", StringComparison.OrdinalIgnoreCase);
            (_away, Trouble) = (true, e.Message);
            return null;
        }
    }

    /// <summary>Asks for the time: whether Redis is there, and whether the clocks agree.</summary>
    public async Task ProbeAsync(TimeProvider wall)
    {
        if (_redis is not { } redis) return;
        try
        {
            var before = wall.GetUtcNow();
            var theirs = (RedisResult[])(await redis.GetDatabase().ExecuteAsync("TIME"))!;
            var now = wall.GetUtcNow();
            var at = DateTimeOffset.FromUnixTimeSeconds((long)theirs[0]).AddMicroseconds((long)theirs[1]);
            Skew = before + (now - before) / 2 - at;
            var listening = (RedisResult[])(await redis.GetDatabase().ExecuteAsync("PUBSUB", "NUMSUB", WantedChannel))!;
            Nodes = Math.Max(1, (int)listening[1]);
            _away = false;
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            (_away, Trouble) = (true, e.Message);
        }
    }

    public ValueTask DisposeAsync() => _redis?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task<bool> ConnectAsync()
    {
        try
        {
            var redis = await ConnectionMultiplexer.ConnectAsync(_options);
            if (redis.GetServers().FirstOrDefault(s => s.IsConnected) is { Version: { Major: < 7 } version })
            {
                await redis.DisposeAsync();
                throw new StorageException($"--redis is Redis {version}; Tollgate needs 7 or newer.");
            }

            _isCluster = redis.GetServers().Any(s => s.ServerType == ServerType.Cluster);
            _redis = redis;
            return true;
        }
        catch (RedisConnectionException e) when (e.FailureType != ConnectionFailureType.AuthenticationFailure)
        {
            Trouble = e.Message;
            return false;
        }
        catch (RedisException e)
        {
            throw new StorageException($"--redis {Address} cannot be used: {e.Message}", e);
        }
    }
}

/// <param name="Key">With the window in it, and a hash tag.</param>
/// <param name="Limit">Of all nodes together.</param>
/// <param name="Spent">By this node in this window; what it had leased beyond that is given back.</param>
/// <param name="Before">What had been used before anybody counted here.</param>
/// <param name="Demand">What calls are waiting for now.</param>
/// <param name="Want">What would be used up soon.</param>
/// <param name="ExpireAtMillis">When Redis may forget the counter; Unix time. 0 for calls at a time: then what a node said
/// is forgotten ten seconds after it was last heard.</param>
public readonly record struct CounterQuestion(
    string Key, long Limit, long Spent, long Before, long Demand, long Want, long ExpireAtMillis);

/// <param name="Granted">Up to which number this node may spend in all; −1: the question was out of date.</param>
/// <param name="Others">Spent or leased by the others, and before.</param>
/// <param name="Idle">Of that, what others have leased and may give back.</param>
public readonly record struct CounterAnswer(long Granted, long Others, long Idle);
