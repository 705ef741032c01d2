namespace Tollgate.Metering;

/// <summary>
/// Who a record is, for ever: no two records of any journal, boot or restored backup share one.
/// 16 bytes; as text 26 characters of Crockford's base 32 in upper case, whose order is the order of the numbers.
/// </summary>
/// <param name="Journal">The journal's random id, chosen once when its folder is created.</param>
/// <param name="Boot">Which opening of the journal wrote the record; grows with every opening.</param>
/// <param name="Sequence">The record's slot, counted over all boots; never used twice.</param>
public readonly record struct RecordId(uint Journal, uint Boot, ulong Sequence)
{
    /// <summary>How many characters the text form has, always.</summary>
    public const int TextLength = 26;

    private const string Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    public override string ToString() => string.Create(TextLength, this, (text, id) => id.TryFormat(text, out _));

    /// <summary>Writes the text form; false, and nothing written, when there is less room than 26 characters.</summary>
    public bool TryFormat(Span<char> destination, out int written)
    {
        written = 0;
        if (destination.Length < TextLength)
            return false;
        UInt128 rest = new(((ulong)Journal << 32) | Boot, Sequence);
        for (int i = TextLength - 1; i >= 0; i--)
        {
            destination[i] = Alphabet[(int)(uint)rest & 31];
            rest >>= 5;
        }
        written = TextLength;
        return true;
    }

    /// <summary>
    /// Reads the text form as Crockford asks: any letter case, <c>I</c> and <c>L</c> as 1, <c>O</c> as 0, since people
    /// read ids over the phone. Everything else, and a value beyond 128 bits, is refused.
    /// </summary>
    public static bool TryParse(ReadOnlySpan<char> text, out RecordId id)
    {
        id = default;
        // 26 characters hold 130 bits: the first may only carry three.
        if (text.Length != TextLength || ValueOf(text[0]) is < 0 or > 7)
            return false;
        UInt128 all = 0;
        foreach (char letter in text)
        {
            int value = ValueOf(letter);
            if (value < 0)
                return false;
            all = (all << 5) | (uint)value;
        }
        ulong upper = (ulong)(all >> 64);
        id = new RecordId((uint)(upper >> 32), (uint)upper, (ulong)all);
        return true;
    }

    private static int ValueOf(char letter) => letter switch
    {
        'I' or 'i' or 'L' or 'l' => 1,
        'O' or 'o' => 0,
        >= 'a' and <= 'z' => Alphabet.IndexOf((char)(letter - 32)),
        _ => Alphabet.IndexOf(letter),
    };
}
