using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>A meter that events of one type feed, as the intake needs it.</summary>
public sealed record EventMeter
{
    public required Meter Meter { get; init; }

    /// <summary>Where the number, or the value of a unique count, stands in the event's data; none for counts.</summary>
    public JsonPath? Value { get; init; }

    /// <summary>In ordinal order of the names.</summary>
    public IReadOnlyList<(string Name, JsonPath Path)> Dimensions { get; init; } = [];

    /// <summary>The event counts only when each place holds one of its texts.</summary>
    public IReadOnlyList<(JsonPath Path, IReadOnlySet<string> Values)> Where { get; init; } = [];
}

/// <summary>Which events feed which meters: immutable, swapped whole with what is published.</summary>
public sealed class EventTypes(IReadOnlyDictionary<string, IReadOnlyList<EventMeter>> byType)
{
    public static EventTypes None { get; } = new(new Dictionary<string, IReadOnlyList<EventMeter>>());

    public IEnumerable<string> Known => byType.Keys;

    public IReadOnlyList<EventMeter>? Find(string type) => byType.GetValueOrDefault(type);
}

/// <summary>An event from outside, as CloudEvents describes it, before it is judged.</summary>
public readonly record struct IncomingEvent
{
    /// <summary>Unique with <see cref="Source"/>: both together are the identity.</summary>
    public string? Id { get; init; }

    public string? Source { get; init; }

    public string? Type { get; init; }

    /// <summary>Whose usage it is: a consumer, a customer or a subscription.</summary>
    public string? Subject { get; init; }

    /// <summary>RFC 3339; null for now.</summary>
    public string? Time { get; init; }

    /// <summary>Microseconds UTC, for shapes that tell time as a number.</summary>
    public long? At { get; init; }

    public System.Text.Json.JsonElement Data { get; init; }

    /// <summary>What was wrong with its shape already.</summary>
    public Problem? Fault { get; init; }
}

/// <summary>What became of one event.</summary>
/// <param name="Reason">Null: accepted. It counts unless it was counted before.</param>
public readonly record struct EventAnswer(string? Source, string? Id, Problem? Reason)
{
    public bool Accepted => Reason is null;
}

/// <summary>What events and values are told apart by.</summary>
public static class EventHash
{
    /// <summary>The identity of an event: half of a SHA-256 over source and id, which no text can run together.</summary>
    public static UInt128 Identity(string source, string id)
    {
        var sourceBytes = Encoding.UTF8.GetByteCount(source);
        var length = sizeof(int) + sourceBytes + Encoding.UTF8.GetByteCount(id);
        Span<byte> text = length <= 1_024 ? stackalloc byte[length] : new byte[length];
        BinaryPrimitives.WriteInt32LittleEndian(text, sourceBytes);
        Encoding.UTF8.GetBytes(source, text[sizeof(int)..]);
        Encoding.UTF8.GetBytes(id, text[(sizeof(int) + sourceBytes)..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(text, hash);
        return BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }

    /// <summary>The hash of a value of a unique count: the same wherever the value comes from.</summary>
    public static long Value(ReadOnlySpan<byte> value)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(value, hash);
        return BinaryPrimitives.ReadInt64LittleEndian(hash);
    }
}
