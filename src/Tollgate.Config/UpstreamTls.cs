using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Serialization;

namespace Tollgate.Config;

/// <summary>Whom the gate takes for an https upstream, and who it says that it is. Private keys stand in files of each
/// node and nowhere else. Compared by value: equal ones share connections.</summary>
public sealed record UpstreamTls
{
    /// <summary>What holds unless an API says otherwise.</summary>
    public static UpstreamTls Usual { get; } = new();

    /// <summary>Whether the upstream's certificate must be good: signed by a trusted authority, of this time, for its name.
    /// </summary>
    public bool Verify { get; init; } = true;

    /// <summary>The name that is asked for (SNI) and that the certificate must have; null: the host of the URL.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? ServerName { get; init; }

    /// <summary>PEM of the authorities that are trusted in place of the machine's.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Ca { get; init; }

    /// <summary>A file with them, on the machine of each node.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CaFile { get; init; }

    /// <summary>A PEM file with the certificate that the upstream is shown, and what leads to its authority.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? CertificateFile { get; init; }

    /// <summary>A PEM file with its key; null: it stands with the certificate.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? KeyFile { get; init; }
}

/// <summary>Certificates of authorities as PEM.</summary>
public static class CaText
{
    /// <summary>Characters and certificates, at most.</summary>
    public const int MostCharacters = 256 * 1024, MostCertificates = 200;

    /// <summary>What is wrong with it; null when nothing is.</summary>
    public static string? FaultOf(string pem)
    {
        if (pem.Length > MostCharacters) return $"These certificates are larger than {MostCharacters >> 10} KiB.";
        if (pem.Contains("PRIVATE KEY-----", StringComparison.Ordinal))
            return "A private key stands in this: only certificates belong here.";
        var read = new X509Certificate2Collection();
        try
        {
            read.ImportFromPem(pem);
        }
        catch (CryptographicException)
        {
            return "This is not a certificate as PEM, as '-----BEGIN CERTIFICATE-----'.";
        }

        foreach (var certificate in read) certificate.Dispose();
        return read.Count is > 0 and <= MostCertificates ? null
            : $"These are {read.Count} certificates as PEM ('-----BEGIN CERTIFICATE-----'); 1 to {MostCertificates} are read.";
    }
}
