using System.Buffers.Binary;
using System.Numerics;

namespace Tollgate.Metering;

/// <summary>
/// The first 4 KiB of a segment file; what is not named here is zero. Little-endian.
/// <code>0 magic : 8 | 8 version : 4 | 12 journal : 4 | 16 boot : 4 | 24 first sequence : 8 | 32 capacity, slots : 8
/// 40 used slots, all ones while open : 8 | 60 CRC-32C over bytes 0 to 59 : 4</code>
/// The sequences from the first on, as many as the capacity, are the file's own for ever. Used counts the slots that a
/// sealed file still has; it is <see cref="Open"/> while the file may be written.
/// </summary>
internal readonly record struct SegmentHeader(uint Journal, uint Boot, ulong First, ulong Capacity, ulong Used)
{
    internal const int Bytes = 4096;
    internal const ulong Open = ulong.MaxValue;
    private const int CoveredBytes = 60;
    private const uint Version = 1;

    private static ReadOnlySpan<byte> Magic => "TOLLJRNL"u8;

    internal void Write(Span<byte> block)
    {
        block[..Bytes].Clear();
        Magic.CopyTo(block);
        BinaryPrimitives.WriteUInt32LittleEndian(block[8..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(block[12..], Journal);
        BinaryPrimitives.WriteUInt32LittleEndian(block[16..], Boot);
        BinaryPrimitives.WriteUInt64LittleEndian(block[24..], First);
        BinaryPrimitives.WriteUInt64LittleEndian(block[32..], Capacity);
        BinaryPrimitives.WriteUInt64LittleEndian(block[40..], Used);
        BinaryPrimitives.WriteUInt32LittleEndian(block[CoveredBytes..], Checksum(block));
    }

    /// <summary>Reads a header; null when it is damaged. A good header that is not ours to read is an error.</summary>
    /// <exception cref="InvalidDataException">The file is of another format version.</exception>
    internal static SegmentHeader? Read(ReadOnlySpan<byte> block, string path)
    {
        if (block.Length < CoveredBytes + sizeof(uint) || !block.StartsWith(Magic))
            return null;
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(block[8..]);
        // Asked before the checksum, which another version may keep elsewhere: taking its records for damage loses
        // money.
        if (version != Version)
            throw new InvalidDataException(
                $"{path} is a usage journal segment of format version {version}; this program reads version {Version}. "
                + "Open it with the program that wrote it, or drain it there first.");
        if (BinaryPrimitives.ReadUInt32LittleEndian(block[CoveredBytes..]) != Checksum(block))
            return null;
        return new SegmentHeader(
            BinaryPrimitives.ReadUInt32LittleEndian(block[12..]),
            BinaryPrimitives.ReadUInt32LittleEndian(block[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(block[24..]),
            BinaryPrimitives.ReadUInt64LittleEndian(block[32..]),
            BinaryPrimitives.ReadUInt64LittleEndian(block[40..]));
    }

    private static uint Checksum(ReadOnlySpan<byte> block)
    {
        uint check = uint.MaxValue;
        for (int i = 0; i < CoveredBytes; i += sizeof(uint))
            check = BitOperations.Crc32C(check, BinaryPrimitives.ReadUInt32LittleEndian(block[i..]));
        return check;
    }
}
