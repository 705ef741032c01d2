using System.Buffers;
using System.Text;

namespace Tollgate.Gateway.Routing;

/// <summary>
/// The target of a request in the one reading that serves routing, gating, metering and the upstream.
/// Reading <see cref="Text"/> again gives the same text.
/// </summary>
public readonly struct CanonicalTarget
{
    private readonly string? _text;
    private readonly int _pathLength;

    internal CanonicalTarget(string text, int pathLength)
    {
        _text = text;
        _pathLength = pathLength;
    }

    /// <summary>Path and query. The raw target itself, not a copy, when that already was canonical.</summary>
    public string Text => _text ?? "";

    /// <summary>Starts with '/', holds no empty segment but the last, and no dot segment.</summary>
    public ReadOnlySpan<char> Path => Text.AsSpan(0, _pathLength);

    /// <summary>The query as it came, with its '?'; empty when there is none.</summary>
    public ReadOnlySpan<char> Query => Text.AsSpan(_pathLength);
}

/// <summary>
/// Reads the target of a request (RFC 9112, 3.2) into the normal form of RFC 3986, 6.2.2, and refuses every form
/// that a gate and an upstream could read differently: who pays for a call must not depend on how its path is spelled.
/// </summary>
public static class CanonicalPath
{
    private const string LettersAndDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    // RFC 3986, 2.3. An escape of one of these means the same as the character, so it is decoded.
    private static readonly SearchValues<char> Unreserved = SearchValues.Create(LettersAndDigits + "-._~");

    // RFC 3986, 3.3: pchar and '/', without ';', which servlet containers cut off together with what follows it.
    private static readonly SearchValues<char> PlainInPath =
        SearchValues.Create(LettersAndDigits + "-._~/!$&'()*+,=:@");

    // No grammar lets these stand raw, many clients send them anyway, and everybody means their escape.
    private static readonly SearchValues<char> EscapedInPath = SearchValues.Create(" \"<>[]^`{|}");

    // Visible ASCII without '#'. A raw space would end the target in an HTTP/1.1 request line.
    private static readonly SearchValues<char> AllowedInQuery =
        SearchValues.Create(LettersAndDigits + "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~");

    // Names, IPv4, bracketed IPv6 and a port; no user information and nothing to decode.
    private static readonly SearchValues<char> AllowedInAuthority = SearchValues.Create(LettersAndDigits + "-._~:[]");

    /// <summary>Reads <paramref name="rawTarget"/>; a target that already is canonical allocates nothing.</summary>
    /// <param name="rawTarget">The request line's target, or HTTP/2's <c>:path</c>, exactly as it was sent.</param>
    /// <param name="host">The Host header (<c>:authority</c>); an absolute-form target must name the same one.</param>
    /// <param name="target">The canonical target; empty when the answer is false.</param>
    /// <returns>False when the form is ambiguous: the request is refused with <c>path_ambiguous</c>.</returns>
    public static bool TryRead(string rawTarget, string? host, out CanonicalTarget target)
    {
        ArgumentNullException.ThrowIfNull(rawTarget);
        if (rawTarget.StartsWith('/')) return TryReadOrigin(rawTarget, out target);
        target = default;
        return TryStripAuthority(rawTarget, host, out var origin) && TryReadOrigin(origin, out target);
    }

    private static bool TryReadOrigin(string origin, out CanonicalTarget target)
    {
        target = default;
        var text = origin.AsSpan();
        var pathEnd = text.IndexOfAnyExcept(PlainInPath);
        var plain = pathEnd < 0 || text[pathEnd] == '?';
        if (!plain) pathEnd = text.IndexOf('?');
        if (pathEnd < 0) pathEnd = text.Length;

        if (text[pathEnd..].ContainsAnyExcept(AllowedInQuery)) return false;

        var path = text[..pathEnd];
        if (plain && path.IndexOf("//") < 0 && path.IndexOf("/.") < 0)
        {
            target = new CanonicalTarget(origin, pathEnd);
            return true;
        }

        return TryRewrite(origin, pathEnd, out target);
    }

    private static bool TryRewrite(string origin, int pathEnd, out CanonicalTarget target)
    {
        const int longestOnStack = 1024;
        target = default;
        var path = origin.AsSpan(0, pathEnd);
        var worst = 3 * path.Length; // every character escaped
        var rented = worst > longestOnStack ? ArrayPool<char>.Shared.Rent(worst) : null;
        try
        {
            var writer = new PathWriter(rented ?? stackalloc char[longestOnStack]);
            if (!writer.TryWrite(path)) return false;

            var canonical = writer.Written;
            // A canonical path may hold escapes or a name like ".well-known": then it was rewritten into itself.
            target = canonical.SequenceEqual(path)
                ? new CanonicalTarget(origin, pathEnd)
                : new CanonicalTarget(string.Concat(canonical, origin.AsSpan(pathEnd)), canonical.Length);
            return true;
        }
        finally
        {
            if (rented is not null) ArrayPool<char>.Shared.Return(rented);
        }
    }

    /// <summary>
    /// The origin form of an absolute-form target (RFC 9112, 3.2.2) that names the host of its Host header. Another
    /// host is a request that two servers route apart; asterisk-form, authority-form and other schemes address no
    /// operation.
    /// </summary>
    private static bool TryStripAuthority(string rawTarget, string? host, out string origin)
    {
        origin = "";
        var secure = rawTarget.StartsWith("https://", StringComparison.OrdinalIgnoreCase);
        if (!secure && !rawTarget.StartsWith("http://", StringComparison.OrdinalIgnoreCase)) return false;

        var rest = rawTarget.AsSpan(secure ? "https://".Length : "http://".Length);
        var end = rest.IndexOfAny('/', '?');
        if (end < 0) end = rest.Length;
        if (rest[..end].ContainsAnyExcept(AllowedInAuthority)) return false;

        var named = WithoutDefaultPort(rest[..end], secure);
        // Ascii, because a wider folding of case would let a lookalike name pass as the same host.
        if (named.IsEmpty || !Ascii.EqualsIgnoreCase(named, WithoutDefaultPort(host, secure))) return false;

        origin = rest[end..].StartsWith('/') ? rest[end..].ToString() : string.Concat("/", rest[end..]);
        return true;
    }

    private static ReadOnlySpan<char> WithoutDefaultPort(ReadOnlySpan<char> authority, bool secure)
    {
        var port = secure ? ":443" : ":80";
        return authority.EndsWith(port) ? authority[..^port.Length] : authority;
    }

    /// <summary>Writes a path in canonical form, one segment after the other, or stops at what is refused.</summary>
    private ref struct PathWriter(Span<char> buffer)
    {
        private readonly Span<char> _buffer = buffer;
        private int _length;

        public readonly ReadOnlySpan<char> Written => _buffer[.._length];

        public bool TryWrite(ReadOnlySpan<char> path)
        {
            for (var i = 0; i < path.Length;)
            {
                var read = path[i] switch
                {
                    '/' => WriteSlash(),
                    '%' => WriteEscaped(path[i..]),
                    var c => WriteRaw(c),
                };
                if (read == 0) return false;
                i += read;
            }

            return TryEndSegment();
        }

        // The Write methods answer how many characters they have read; 0 refuses the path.

        private int WriteSlash()
        {
            if (!TryEndSegment()) return 0;
            if (!Written.EndsWith('/')) _buffer[_length++] = '/';
            return 1;
        }

        private int WriteRaw(char c)
        {
            if (PlainInPath.Contains(c)) _buffer[_length++] = c;
            else if (EscapedInPath.Contains(c)) AppendEscape((byte)c);
            else return 0;
            return 1;
        }

        private int WriteEscaped(ReadOnlySpan<char> rest)
        {
            // One escape, or the up to four that spell a character beyond ASCII.
            Span<byte> bytes = stackalloc byte[4];
            var count = 0;
            while (count < bytes.Length && TryReadEscape(rest[(3 * count)..], bytes[count..])) count++;

            // Refuses overlong forms, surrogates and halves of characters, and an escape that was none (count 0).
            if (Rune.DecodeFromUtf8(bytes[..count], out var rune, out var used) != OperationStatus.Done) return 0;
            if (rune.Value is < 0x20 or 0x7F or '/' or '\\' or ';') return 0;

            if (rune.IsAscii && Unreserved.Contains((char)rune.Value)) _buffer[_length++] = (char)rune.Value;
            else foreach (var value in bytes[..used]) AppendEscape(value);
            return 3 * used;
        }

        // Convert, not byte.TryParse: the latter takes a trailing NUL for the end of the number.
        private static bool TryReadEscape(ReadOnlySpan<char> rest, Span<byte> value) =>
            rest.Length >= 3 && rest[0] == '%'
            && Convert.FromHexString(rest[1..3], value, out _, out _) == OperationStatus.Done;

        private void AppendEscape(byte value)
        {
            _buffer[_length++] = '%';
            value.TryFormat(_buffer[_length..], out var written, "X2");
            _length += written;
        }

        /// <summary>Resolves a dot segment (RFC 3986, 5.2.4): its dots are decoded, its slashes single.</summary>
        private bool TryEndSegment()
        {
            var start = Written.LastIndexOf('/') + 1;
            var segment = Written[start..];
            // Before the segment can vanish: "/%252F/.." is as ambiguous as "/%252F".
            if (IsEncodedTwice(segment)) return false;

            if (segment is ".") _length = start;
            if (segment is "..") _length = start > 1 ? Written[..(start - 1)].LastIndexOf('/') + 1 : start;
            return true;
        }

        /// <summary>Looks at what is written, where digits once escaped ("%25%32%66") are digits.</summary>
        private static bool IsEncodedTwice(ReadOnlySpan<char> segment)
        {
            for (int at; (at = segment.IndexOf("%25")) >= 0;)
            {
                segment = segment[(at + 3)..];
                if (StartsWithHex(segment, 2)) return true;
                // IIS's own "%u002F", encoded once more.
                if (segment is ['u' or 'U', ..] && StartsWithHex(segment[1..], 4)) return true;
            }

            return false;
        }

        private static bool StartsWithHex(ReadOnlySpan<char> text, int digits)
        {
            if (text.Length < digits) return false;
            foreach (var c in text[..digits])
                if (!char.IsAsciiHexDigit(c)) return false;
            return true;
        }
    }
}
