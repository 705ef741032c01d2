using StackExchange.Redis;

namespace Tollgate.Storage;

/// <content>Sliding windows and buckets: every admission is asked for, those of calls that wait together.</content>
public sealed partial class SharedCounters
{
    /// <summary>Asks for admissions to windows of one hash tag, in one step.</summary>
    /// <returns>Null when Redis did not answer; what was asked may have been given, and then is used up.</returns>
    public async Task<WindowAnswer[]?> AskAsync(IReadOnlyList<WindowQuestion> questions)
    {
        const int each = 9;
        if (_away || _redis is not { } redis) return null;
        var keys = new RedisKey[questions.Count];
        var values = new RedisValue[1 + questions.Count * each];
        values[0] = _node;
        for (var i = 0; i < keys.Length; i++)
        {
            var q = questions[i];
            keys[i] = q.Key;
            RedisValue[] of = [q.Drains ? 1 : 0, q.Limit, q.Length, q.Step, q.Burst, q.Demand, q.Back, q.BackAt, q.Tells];
            of.CopyTo(values, 1 + i * each);
        }

        try
        {
            var answers = (RedisResult[])(await redis.GetDatabase().ScriptEvaluateAsync(RedisScripts.Windows, keys, values))!;
            return Array.ConvertAll(answers, a =>
            {
                var parts = (long[])a!;
                return new WindowAnswer(parts[0], parts[1], parts[2], parts[3]);
            });
        }
        catch (Exception e) when (e is RedisException or TimeoutException)
        {
            (_away, Trouble) = (true, e.Message);
            return null;
        }
    }
}

/// <param name="Key">With a hash tag, and the length of the step where it slides.</param>
/// <param name="Drains">A bucket; else a sliding window.</param>
/// <param name="Limit">Of all nodes together; of a bucket, what drains in <paramref name="Length"/>.</param>
/// <param name="Length">Microseconds.</param>
/// <param name="Step">Microseconds in which a sliding window is counted; a bucket has none.</param>
/// <param name="Burst">What a bucket holds.</param>
/// <param name="Demand">Admissions that calls wait for.</param>
/// <param name="Back">Admissions of before that no call used.</param>
/// <param name="BackAt">The step in which they were given.</param>
/// <param name="Tells">What this process knows, for a Redis that does not: <c>?</c> when it has told it before; else
/// steps ago and admissions, as <c>3:1,0:2</c>; with <c>!</c> in front what must be counted whoever else has told.</param>
public readonly record struct WindowQuestion(
    string Key, bool Drains, long Limit, long Length, long Step, long Burst, long Demand, long Back, long BackAt, string Tells);

/// <param name="Granted">Admissions; <see cref="Forgotten"/>: Redis has lost what it was told.</param>
/// <param name="Left">What anybody might still get.</param>
/// <param name="Wait">Until more is left, if nobody asks; microseconds.</param>
/// <param name="At">The step in which it was given.</param>
public readonly record struct WindowAnswer(long Granted, long Left, long Wait, long At)
{
    public const long Forgotten = -2;
}
