namespace Tollgate.Config;

/// <summary>An origin as a browser sends it: scheme, host, and a port that is not the scheme's own.</summary>
public static class CorsOrigin
{
    /// <summary>What is wrong with it, or null; <c>*</c> is every origin.</summary>
    public static string? WrongWith(string text) => text == "*" || (Uri.TryCreate(text, UriKind.Absolute, out var uri)
        && uri.Scheme is "http" or "https" && uri.UserInfo.Length == 0 && uri.GetLeftPart(UriPartial.Authority) == text)
        ? null : "is not an origin: scheme, host in small letters and a port that is not the usual one, as 'https://app.example.com'";
}
