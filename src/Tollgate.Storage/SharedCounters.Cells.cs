using System.Globalization;
using StackExchange.Redis;

namespace Tollgate.Storage;

/// <content>
/// Cells: what several nodes have to agree about and what only they can add up, such as what a customer has used. A cell has a
/// base, which says since when and from where on it counts, and a share of each node. It is written only by who has seen all
/// of it as it is; anybody else is told how it is and decides again. So whatever a node works out of a cell, nobody else has
/// changed it in between.
/// </content>
/// <remarks>One cell is one hash: <c>g</c> names the base (a new one each time, so that a cell that was lost and made again is
/// not taken for the one before), <c>b</c> is the base, <c>v</c> counts writes, <c>s:</c> and a node's name are shares.</remarks>
public sealed partial class SharedCounters
{
    /// <summary>A cell that nobody has written for so long is forgotten; the store knows what was in it.</summary>
    private static readonly TimeSpan s_cellLife = TimeSpan.FromDays(1);

    /// <summary>Reads a cell.</summary>
    /// <returns>Null when Redis did not answer.</returns>
    public Task<CellAnswer?> ReadAsync(string key) => WriteAsync(new CellWrite(key, "", -1));

    /// <summary>Writes a cell if it is still as it was seen.</summary>
    /// <returns>Null when Redis did not answer; it may have been written, and then is another one than was seen.</returns>
    public async Task<CellAnswer?> WriteAsync(CellWrite write)
    {
        if (_away || _redis is not { } redis) return null;
        RedisValue[] values =
        [
            write.Generation, write.Version, write.NewGeneration, write.Base, write.Node, write.Share,
            (long)s_cellLife.TotalMilliseconds, .. write.Dropped.Select(d => (RedisValue)d),
        ];
        try
        {
            var answer = (RedisResult[])(await redis.GetDatabase()
                .ScriptEvaluateAsync(RedisScripts.Cells, [write.Key], values))!;
            var (written, version) = ((long)answer[0] == 1, long.Parse((string)answer[1]!, CultureInfo.InvariantCulture));
            var shares = new Dictionary<string, string>(StringComparer.Ordinal);
            if (written)
            {
                var name = write.NewGeneration.Length > 0 ? write.NewGeneration : write.Generation;
                return new CellAnswer(true, version, name, "", shares);
            }

            for (var i = 4; i + 1 < answer.Length; i += 2) shares[(string)answer[i]!] = (string)answer[i + 1]!;
            return new CellAnswer(false, version, (string)answer[2]!, (string)answer[3]!, shares);
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            (_away, Trouble) = (true, e.Message);
            return null;
        }
    }

    /// <summary>Says to the other nodes that somebody needs what they do not use of a counter or a cell.</summary>
    public async Task WantAsync(string key)
    {
        try
        {
            if (!_away && _redis is { } redis)
                await redis.GetSubscriber().PublishAsync(RedisChannel.Literal(WantedChannel), key);
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            (_away, Trouble) = (true, e.Message);
        }
    }
}

/// <summary>What to write into a cell that is seen as it is.</summary>
/// <param name="Key">With a hash tag.</param>
/// <param name="Generation">The base that was seen; empty for a cell that is not there.</param>
/// <param name="Version">The write that was seen; 0 for a cell that is not there, below 0 to be told only.</param>
public sealed record CellWrite(string Key, string Generation, long Version)
{
    /// <summary>The name of a new base; empty leaves the one that is there.</summary>
    public string NewGeneration { get; init; } = "";

    public string Base { get; init; } = "";

    /// <summary>Whose share is written; empty for nobody's.</summary>
    public string Node { get; init; } = "";

    public string Share { get; init; } = "";

    /// <summary>Nodes whose share is gone.</summary>
    public IReadOnlyList<string> Dropped { get; init; } = [];
}

/// <param name="Written">False: it is another one by now, and this is how it is.</param>
/// <param name="Version">As it is now.</param>
/// <param name="Generation">The name of its base; empty when there is no such cell.</param>
/// <param name="Base">Empty when it was known to who asked.</param>
/// <param name="Shares">By node; none when it was written.</param>
public sealed record CellAnswer(
    bool Written, long Version, string Generation, string Base, IReadOnlyDictionary<string, string> Shares);
