namespace Tollgate.Catalog;

/// <summary>What has an id: the prefix says of what it is when somebody reads it in a log or a mail.</summary>
public interface IIdentified
{
    /// <summary>Short, lower case, without the underscore: <c>sub</c>.</summary>
    public static abstract string IdPrefix { get; }
}

/// <summary>
/// The name of one thing outside the process, written <c>sub_0198f2c1…</c>: a prefix and the 32 hex digits of a
/// UUIDv7, so ids sort by creation. Inside rollups and the journal the same thing has an integer key.
/// </summary>
public readonly record struct Id<T>(Guid Value) where T : IIdentified
{
    public static Id<T> New(TimeProvider clock) => new(Guid.CreateVersion7(clock.GetUtcNow()));

    /// <summary>Reads the prefixed form, or a bare UUID as Kong's tools write it.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out Id<T> id)
    {
        var prefix = T.IdPrefix;
        if (text.Length == prefix.Length + 33 && text.StartsWith(prefix) && text[prefix.Length] == '_')
        {
            var ok = Guid.TryParseExact(text[(prefix.Length + 1)..], "N", out var value);
            id = new Id<T>(value);
            return ok;
        }

        // the length: parsing alone would let white space pass
        var bare = Guid.TryParseExact(text, "D", out var guid) && text.Length == 36;
        id = new Id<T>(bare ? guid : default);
        return bare;
    }

    public override string ToString() => $"{T.IdPrefix}_{Value:N}";
}
