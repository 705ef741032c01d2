namespace Tollgate.Catalog;

/// <summary>
/// HTTP methods as one byte, for the journal and the rollups. The codes are stored: they never change meaning.
/// </summary>
public static class MethodCode
{
    public const byte Other = 0;

    private static readonly string[] s_names =
        ["other", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

    /// <summary>Case-sensitive, as methods are (RFC 9110 9.1); what is not in the list is <see cref="Other"/>.</summary>
    public static byte Of(string method)
    {
        for (byte i = 1; i < s_names.Length; i++)
            if (string.Equals(s_names[i], method, StringComparison.Ordinal)) return i;
        return Other;
    }

    /// <summary>The method, or <c>other</c>: a bounded set, fit for labels.</summary>
    public static string NameOf(byte code) => code < s_names.Length ? s_names[code] : s_names[0];
}
