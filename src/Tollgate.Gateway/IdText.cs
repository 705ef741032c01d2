using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>
/// Ids in 16 bytes, as text only when somebody asks: a million of them as strings take 96 bytes each. The texts of those that
/// call often are kept, as many as there are places.
/// </summary>
internal static class IdText
{
    private const int Places = 4_096;
    private const int Hex = 32, Most = Hex + 16;

    private static readonly string?[] s_kept = new string?[Places];

    /// <summary>Whether the text is what <see cref="Of"/> makes of the value again.</summary>
    public static bool TryPack<T>(string text, out Guid value)
        where T : IIdentified
    {
        var read = Id<T>.TryParse(text, out var id);
        value = id.Value;
        Span<char> again = stackalloc char[Most];
        return read && Write<T>(value, again).SequenceEqual(text);
    }

    public static string Of<T>(Guid value)
        where T : IIdentified
    {
        Span<char> buffer = stackalloc char[Most];
        var text = Write<T>(value, buffer);
        ref var place = ref s_kept[value.GetHashCode() & (Places - 1)];
        return place is { } kept && text.SequenceEqual(kept) ? kept : place = text.ToString();
    }

    private static ReadOnlySpan<char> Write<T>(Guid value, Span<char> into)
        where T : IIdentified
    {
        T.IdPrefix.CopyTo(into);
        into[T.IdPrefix.Length] = '_';
        value.TryFormat(into[(T.IdPrefix.Length + 1)..], out var length, "N");
        return into[..(T.IdPrefix.Length + 1 + length)];
    }
}
