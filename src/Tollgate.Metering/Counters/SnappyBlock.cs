namespace Tollgate.Metering;

/// <summary>Unpacks the block format of Snappy, in which remote write is sent.</summary>
internal static class SnappyBlock
{
    /// <summary>How long the unpacked bytes are, as the block says.</summary>
    /// <exception cref="InvalidDataException">It says nothing.</exception>
    public static int LengthOf(ReadOnlySpan<byte> block, out int headerLength)
    {
        var length = 0UL;
        for (headerLength = 0; headerLength < Math.Min(5, block.Length);)
        {
            var part = block[headerLength];
            length |= (ulong)(part & 0x7F) << (7 * headerLength++);
            if (part < 0x80) return length <= int.MaxValue ? (int)length : throw Broken("its length is too large");
        }

        throw Broken("it has no length");
    }

    /// <summary>Unpacks a block whole.</summary>
    /// <exception cref="InvalidDataException">The block is damaged.</exception>
    public static void Unpack(ReadOnlySpan<byte> block, Span<byte> into)
    {
        if (LengthOf(block, out var at) != into.Length) throw Broken("its length is another one");
        var done = 0;
        while (at < block.Length)
        {
            var tag = block[at++];
            if ((tag & 3) == 0)
            {
                var length = Literal(block, ref at, tag >> 2);
                if (length > block.Length - at || length > into.Length - done) throw Broken("a literal is longer than what is left");
                block.Slice(at, length).CopyTo(into[done..]);
                at += length;
                done += length;
                continue;
            }

            var (count, back) = Copy(block, ref at, tag);
            if (back <= 0 || back > done || count > into.Length - done) throw Broken("a copy points outside");

            // a copy may reach into what it writes itself, so that it repeats
            for (var end = done + count; done < end; done++) into[done] = into[done - back];
        }

        if (done != into.Length) throw Broken("it ends too early");
    }

    private static int Literal(ReadOnlySpan<byte> block, ref int at, int length)
    {
        if (length < 60) return length + 1;
        var bytes = length - 59;
        if (bytes > block.Length - at) throw Broken("it ends within a length");
        var read = 0L;
        for (var i = 0; i < bytes; i++) read |= (long)block[at++] << (8 * i);
        return read < int.MaxValue ? (int)read + 1 : throw Broken("a literal is too long");
    }

    private static (int Count, int Back) Copy(ReadOnlySpan<byte> block, ref int at, byte tag)
    {
        var bytes = (tag & 3) switch { 1 => 1, 2 => 2, _ => 4 };
        if (bytes > block.Length - at) throw Broken("it ends within a copy");
        var back = 0L;
        for (var i = 0; i < bytes; i++) back |= (long)block[at++] << (8 * i);
        if (bytes == 1) return (4 + ((tag >> 2) & 7), (int)back | ((tag >> 5) << 8));
        return ((tag >> 2) + 1, back <= int.MaxValue ? (int)back : 0);
    }

    private static InvalidDataException Broken(string why) => new($"This is no block of Snappy: {why}.");
}
