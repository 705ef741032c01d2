using System.Buffers.Binary;

namespace Tollgate.Gateway;

/// <summary>Whose call it is, as far as limits tell calls apart.</summary>
/// <param name="Address">The client's address; of IPv6 the /64, since that is what one client is given. 0 when unknown.
/// </param>
public readonly record struct Caller(int Consumer, int Credential, int Operation, ulong Address)
{
    /// <summary>An address as <see cref="Address"/>. Allocates nothing.</summary>
    public static ulong AddressOf(System.Net.IPAddress? address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (address is null || !address.TryWriteBytes(bytes, out var length)) return 0;
        if (length == 4) return BinaryPrimitives.ReadUInt32BigEndian(bytes);
        return address.IsIPv4MappedToIPv6
            ? BinaryPrimitives.ReadUInt32BigEndian(bytes[12..])
            : BinaryPrimitives.ReadUInt64BigEndian(bytes);
    }
}
