using System.Buffers.Binary;
using System.Text;

namespace Tollgate.Metering;

/// <summary>Reads a Protocol Buffers message field by field, as far as remote write needs it.</summary>
/// <param name="message">The whole message.</param>
internal ref struct ProtoReader(ReadOnlySpan<byte> message)
{
    private static readonly UTF8Encoding s_utf8 = new(false, throwOnInvalidBytes: true);

    private ReadOnlySpan<byte> _rest = message;
    private int _wire;

    public readonly bool IsPacked => _wire == 2;

    public readonly bool IsAtEnd => _rest.IsEmpty;

    /// <summary>Goes to the next field; false at the end.</summary>
    /// <exception cref="InvalidDataException">The message is damaged; so with all that follows.</exception>
    public bool TryNext(out int field)
    {
        field = 0;
        if (_rest.IsEmpty) return false;
        var tag = Varint();
        _wire = (int)(tag & 7);
        if (tag >> 3 is 0 or > 536_870_911) throw Broken("a field has no number");
        field = (int)(tag >> 3);
        return true;
    }

    public ulong Varint()
    {
        var value = 0UL;
        for (var i = 0; i < Math.Min(10, _rest.Length); i++)
        {
            value |= (ulong)(_rest[i] & 0x7F) << (7 * i);
            if (_rest[i] >= 0x80) continue;
            _rest = _rest[(i + 1)..];
            return value;
        }

        throw Broken("a number has no end");
    }

    public long Whole() => _wire == 0 ? (long)Varint() : throw Broken("a whole number is of another kind");

    public double Double()
    {
        if (_wire != 1) throw Broken("a number is of another kind");
        return BinaryPrimitives.ReadDoubleLittleEndian(Take(8));
    }

    public ReadOnlySpan<byte> Bytes()
    {
        if (_wire != 2) throw Broken("a part is of another kind");
        var length = Varint();
        return length <= (ulong)_rest.Length ? Take((int)length) : throw Broken("a part is longer than what is left");
    }

    public string Text()
    {
        try
        {
            return s_utf8.GetString(Bytes());
        }
        catch (DecoderFallbackException)
        {
            throw Broken("a text is not UTF-8");
        }
    }

    /// <summary>Passes over a field that nobody asks for.</summary>
    public void Skip()
    {
        switch (_wire)
        {
            case 0: Varint(); break;
            case 1: Take(8); break;
            case 2: Bytes(); break;
            case 5: Take(4); break;
            default: throw Broken("a field is of a kind that is not known");
        }
    }

    public static InvalidDataException Broken(string why) => new($"This is no message of remote write: {why}.");

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length > _rest.Length) throw Broken("it ends too early");
        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }
}
