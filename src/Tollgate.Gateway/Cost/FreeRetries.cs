using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;

namespace Tollgate.Gateway.Cost;

/// <summary>
/// Calls that were billed and whose answers did not reach their callers whole: repeated with the same
/// <c>Idempotency-Key</c>, consumer, target and body they cost nothing, a few times within ten minutes. Only broken calls
/// stand here, so that the table is small; it is bounded, and the oldest goes first. It lives and dies with the process:
/// whoever repeats a call at another node, or after a restart, pays as for any call.
/// </summary>
public sealed class FreeRetries(TimeProvider machine, GateMetrics? metrics = null, int most = FreeRetries.Most)
{
    /// <summary>Broken calls that are remembered; each takes about 200 bytes.</summary>
    public const int Most = 50_000;

    /// <summary>From the end of the broken call, machine time.</summary>
    public static readonly TimeSpan For = TimeSpan.FromMinutes(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<KeyHash, Broken> _broken = [];

    // in order of time; entries that were replaced or used up stay until their time is over
    private readonly Queue<(KeyHash Call, long At)> _order = new();

    /// <summary>Whether the call may be repeated for nothing, if only its body is the same.</summary>
    public bool Knows(RepeatableCall call)
    {
        lock (_lock) return Find(call.Hash) is not null;
    }

    /// <summary>Takes one of the free repetitions of a broken call. Whoever is not billed after all gives it back.</summary>
    /// <param name="call">Its body has been read to the end; else nothing is known of it.</param>
    public bool TryClaim(RepeatableCall call)
    {
        if (call.IsClaimed) return true;
        if (call.BodyHash() is not { } body) return false;
        lock (_lock)
        {
            if (Find(call.Hash) is not { } broken || broken.Body != body || broken.Left == 0) return false;
            broken.Left--;
            metrics?.FreeRetry();
            return call.IsClaimed = true;
        }
    }

    public void GiveBack(RepeatableCall call)
    {
        if (!call.IsClaimed) return;
        call.IsClaimed = false;
        lock (_lock)
            if (Find(call.Hash) is { } broken) broken.Left++;
    }

    /// <summary>A call that the plan bills has ended.</summary>
    /// <param name="call">How it is told apart.</param>
    /// <param name="delivered">Whether its answer reached the caller whole.</param>
    /// <param name="free">How often it may be repeated for nothing.</param>
    public void End(RepeatableCall call, bool delivered, int free)
    {
        if (call.BodyHash() is not { } body) return;
        lock (_lock)
        {
            if (delivered)
            {
                if (Find(call.Hash) is { } known && known.Body == body) _broken.Remove(call.Hash);
                return;
            }

            // a free one that broke off as well is one of those that were free
            if (call.IsClaimed) return;
            var now = machine.GetTimestamp();
            Forget(now);
            _broken[call.Hash] = new Broken { Body = body, Left = free, At = now };
            _order.Enqueue((call.Hash, now));
        }
    }

    private Broken? Find(KeyHash call) =>
        _broken.TryGetValue(call, out var broken) && machine.GetElapsedTime(broken.At) < For ? broken : null;

    private void Forget(long now)
    {
        while (_order.TryPeek(out var oldest)
            && (_order.Count >= most || machine.GetElapsedTime(oldest.At, now) >= For))
        {
            _order.Dequeue();
            if (!_broken.TryGetValue(oldest.Call, out var broken) || broken.At != oldest.At) continue;
            if (machine.GetElapsedTime(oldest.At, now) < For && broken.Left > 0) metrics?.FreeRetryForgotten();
            _broken.Remove(oldest.Call);
        }
    }

    private sealed class Broken
    {
        public required KeyHash Body { get; init; }

        public required long At { get; init; }

        public int Left { get; set; }
    }
}

/// <summary>A call with an <c>Idempotency-Key</c>, at an operation that lets broken ones be repeated for nothing.</summary>
public sealed class RepeatableCall
{
    private const int LongestKey = 255;

    private readonly IncrementalHash? _body;
    private KeyHash? _whole;

    private RepeatableCall(KeyHash hash, IncrementalHash? body)
    {
        (Hash, _body) = (hash, body);
        if (body is null) _whole = default(KeyHash);
    }

    /// <summary>Of the consumer, the operation, method, target and the key: all that tells it apart but the body.</summary>
    public KeyHash Hash { get; }

    /// <summary>Whether it costs nothing because it is a repetition.</summary>
    public bool IsClaimed { get; set; }

    /// <summary>Null when the call brings no key that can be told apart from others: there must be exactly one, of 1 to 255
    /// characters.</summary>
    /// <param name="request">With the key.</param>
    /// <param name="call">That was decided.</param>
    /// <param name="hasBody">Whether a body may follow.</param>
    internal static RepeatableCall? Of(HttpRequest request, GateCall call, bool hasBody)
    {
        if (!request.Headers.TryGetValue("Idempotency-Key", out var keys)) return null;
        if (keys is not [{ Length: > 0 and <= LongestKey } key] || call.Decision.Consumer is not { Key: > 0 } consumer) return null;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> numbers = stackalloc byte[12];
        BitConverter.TryWriteBytes(numbers, consumer.Key);
        BitConverter.TryWriteBytes(numbers[4..], call.Operation!.Key);
        BitConverter.TryWriteBytes(numbers[8..], key.Length);
        hash.AppendData(numbers);
        hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes(key.AsSpan()));
        hash.AppendData(System.Text.Encoding.UTF8.GetBytes($"{request.Method} {call.Target.Text}"));
        return new RepeatableCall(Result(hash), hasBody ? IncrementalHash.CreateHash(HashAlgorithmName.SHA256) : null);
    }

    /// <summary>Null until the body has been read to its end.</summary>
    public KeyHash? BodyHash() => _whole;

    /// <summary>The body as it passes; 0 bytes are its end.</summary>
    internal void Passed(ReadOnlySpan<byte> piece)
    {
        if (_whole is not null) return;
        if (piece.Length > 0) _body!.AppendData(piece);
        else
        {
            _whole = Result(_body!);
            _body!.Dispose();
        }
    }

    private static KeyHash Result(IncrementalHash hash)
    {
        Span<byte> result = stackalloc byte[SHA256.HashSizeInBytes];
        hash.GetHashAndReset(result);
        return System.Runtime.InteropServices.MemoryMarshal.Read<KeyHash>(result);
    }
}
