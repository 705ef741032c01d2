using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using Tollgate.Gateway.Routing;

namespace Tollgate.Tests.Gateway;

/// <summary>Nobody reaches an operation, or dodges its bill, by spelling its path in another way.</summary>
public sealed partial class HostilePathTests
{
    private const string Refused = "refused";

    // What attacks on path matching are made of, and enough that is harmless for some of it to be accepted.
    private static readonly Gen<string> HostileTarget = Gen.Frequency(
            (6, Gen.OneOf("/", "a", "B", "7", ".", "..", "/../", "//", "%2e", "%2E%2e", "%41", "%7e", "%c3%a9")),
            (3, Gen.OneOf("%25", "%20", "%7B", "%3F", "{", "[", " ", "-", ":", "*", "%E2%82%AC", "%2C", "u002f")),
            (1, Gen.OneOf("%2f", "%5C", "%3b", ";", "\\", "%00", "%7f", "\t", "#", "%", "%2", "%zz", "%C3", "%A9")),
            (1, Gen.OneOf("%25%32%66", "%252e", "%C0%AF", "%ED%A0%80", "%F4%90%80%80", "é", "／", "\uD800")),
            (1, Gen.OneOf("?", "?a=/../b", "?%2f")))
        .Array[0, 14].Select(parts => "/" + string.Concat(parts));

    [Fact]
    public void Every_spelling_in_the_corpus_is_read_as_written_beside_it()
    {
        var rows = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Gateway", "hostile-paths.txt"))
            .Where(line => line.Length > 0 && !line.StartsWith("# ", StringComparison.Ordinal))
            .Select(line => line.Split('\t')).ToList();

        var failures = rows.Select(row => (Row: row, Actual: Read(Raw(row[0]), Host(row))))
            .Where(read => read.Actual != read.Row[1])
            .Select(read => $"{string.Join(" | ", read.Row)}: read as {read.Actual}").ToList();

        Assert.True(rows.Count >= 300, $"The corpus has {rows.Count} rows: is it copied whole?");
        Assert.True(failures.Count == 0, string.Join('\n', failures));
    }

    [Fact]
    public void Reading_twice_is_reading_once() => HostileTarget.Sample(
        raw =>
        {
            if (!CanonicalPath.TryRead(raw, "api.test", out var once)) return;
            Assert.True(CanonicalPath.TryRead(once.Text, "api.test", out var twice));
            Assert.Same(once.Text, twice.Text);
            Assert.Equal(once.Path.Length, twice.Path.Length);
        },
        iter: 50_000);

    [Fact]
    public void Nothing_that_is_accepted_holds_a_refused_form() => HostileTarget.Sample(
        raw =>
        {
            if (!CanonicalPath.TryRead(raw, "api.test", out var target)) return;
            var path = target.Path.ToString();
            Assert.Matches(CanonicalForm(), path);
            Assert.DoesNotMatch(RefusedForm(), path);
            Assert.DoesNotMatch(NotNormal(), path);
            // Whoever decodes once more than he should still finds no other segments than everybody else.
            var decoded = Uri.UnescapeDataString(path);
            Assert.Equal(path.Count('/'), decoded.Count(c => c is '/' or '\\'));
            Assert.Equal(raw.Contains('?') ? raw[raw.IndexOf('?')..] : "", target.Query.ToString());
        },
        iter: 50_000);

    [Fact]
    public void A_slow_reader_that_follows_the_text_of_the_rules_reads_the_same() => HostileTarget.Sample(
        raw => Assert.Equal(ReadByTheRules(raw) ?? Refused, Read(raw, "api.test")),
        iter: 50_000);

    private static string Read(string raw, string? host) =>
        CanonicalPath.TryRead(raw, host, out var target) ? target.Text : Refused;

    private static string? Host(string[] row) =>
        row.Length < 3 ? "api.test" : row[2] == "-" ? null : Raw(row[2]);

    private static string Raw(string written) => CodePoint().Replace(written, match =>
    {
        if (match.Groups[1].Length == 0) return "";
        var code = int.Parse(match.Groups[1].ValueSpan, NumberStyles.AllowHexSpecifier);
        return code > char.MaxValue ? char.ConvertFromUtf32(code) : ((char)code).ToString();
    });

    /// <summary>The rules one after the other over the whole path; null is refused.</summary>
    private static string? ReadByTheRules(string raw)
    {
        var cut = raw.IndexOf('?');
        var (path, query) = cut < 0 ? (raw, "") : (raw[..cut], raw[cut..]);
        if (query.Any(c => c is <= ' ' or >= '\x7F' or '#')) return null;
        if (path.Any(c => c is < ' ' or >= '\x7F' or '#' or ';' or '\\')) return null;
        if (BrokenEscape().IsMatch(path)) return null;

        // Each byte as one character, so that what an escape stands for cannot be confused with an escape.
        var bytes = Escape().Replace(
            path, match => ((char)(0x100 + Convert.ToByte(match.Groups[1].Value, 16))).ToString());
        if (bytes.Any(c => c is >= '\x100' and < '\x120' or '\x17F' or '\x12F' or '\x15C' or '\x13B')) return null;
        try
        {
            new UTF8Encoding(false, throwOnInvalidBytes: true).GetCharCount([.. bytes.Select(c => (byte)c)]);
        }
        catch (DecoderFallbackException)
        {
            return null;
        }

        var normal = string.Concat(bytes.Select(c =>
            c >= 0x100 && !(char.IsAsciiLetterOrDigit((char)(byte)c) || "-._~".Contains((char)(byte)c))
            || "\"<>^`{|}[] ".Contains(c)
                ? $"%{(byte)c:X2}"
                : ((char)(byte)c).ToString()));
        if (EncodedTwice().IsMatch(normal)) return null;

        var segments = new List<string>();
        var parts = RepeatedSlash().Replace(normal, "/").Split('/')[1..];
        foreach (var part in parts)
        {
            if (part == ".." && segments.Count > 0) segments.RemoveAt(segments.Count - 1);
            if (part is not ("." or ".." or "")) segments.Add(part);
        }

        var open = parts[^1] is "." or ".." or "" && segments.Count > 0;
        return "/" + string.Join('/', segments) + (open ? "/" : "") + query;
    }

    [GeneratedRegex("«([0-9A-F]*)»")]
    private static partial Regex CodePoint();

    [GeneratedRegex(@"\A/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-F]{2})*\z")]
    private static partial Regex CanonicalForm();

    [GeneratedRegex("%(?:2F|5C|3B|[01][0-9A-F]|7F|C[01]|ED%[AB]|F[5-9A-F])|%25[0-9A-Fa-f]{2}|%25[uU][0-9A-Fa-f]{4}")]
    private static partial Regex RefusedForm();

    [GeneratedRegex(@"//|/\.\.?(?:/|\z)|%(?:2D|2E|5F|7E|3\d|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])")]
    private static partial Regex NotNormal();

    [GeneratedRegex("%(?![0-9A-Fa-f]{2})")]
    private static partial Regex BrokenEscape();

    [GeneratedRegex("%([0-9A-Fa-f]{2})")]
    private static partial Regex Escape();

    [GeneratedRegex("%25(?:[0-9A-Fa-f]{2}|[uU][0-9A-Fa-f]{4})")]
    private static partial Regex EncodedTwice();

    [GeneratedRegex("/+")]
    private static partial Regex RepeatedSlash();
}
