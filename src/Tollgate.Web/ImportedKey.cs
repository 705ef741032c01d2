namespace Tollgate.Web;

/// <summary>A key that somebody brings along, from another gateway for instance.</summary>
internal static class ImportedKey
{
    public const string Expected = "must be visible ASCII characters without spaces, as a header can carry them; one that " +
        "begins with tg_live_ or tg_test_ must be one that Tollgate made, whole";

    /// <summary>Whether a header can carry a key as it is; any other key could never be used.</summary>
    public static bool CanBeSent(string key) => key.All(c => c is > ' ' and <= '~');
}
