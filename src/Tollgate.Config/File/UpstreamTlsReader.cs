namespace Tollgate.Config.File;

/// <summary>Reads whom the gate takes for an https upstream, and who it says that it is.</summary>
internal sealed class UpstreamTlsReader(Findings findings)
{
    private const string Example = "{ ca_file: /etc/tollgate/ca.pem }";

    public UpstreamTls? Read(Node? node)
    {
        if (node is null || MapReader.Open(node, findings, Example) is not { } fields) return null;
        var (nameAt, caAt, fileAt, keyAt) =
            (fields.Take("server_name"), fields.Take("ca"), fields.Take("ca_file"), fields.Take("key_file"));
        var tls = new UpstreamTls
        {
            Verify = findings.Flag(fields.Take("verify")) ?? true,
            ServerName = Name(nameAt),
            Ca = Ca(caAt),
            CaFile = Path(fileAt, "/etc/tollgate/ca.pem"),
            CertificateFile = Path(fields.Take("certificate_file"), "/etc/tollgate/client.pem"),
            KeyFile = Path(keyAt, "/etc/tollgate/client.key"),
        };
        fields.Close();
        if (caAt is not null && fileAt is not null)
            findings.Add(Code.BadValue, fileAt, "ca and ca_file exclude each other: keep one.");
        if (!tls.Verify && (caAt ?? fileAt) is { } trusted)
            findings.Add(Code.BadValue, trusted, "With 'verify: false' every certificate is taken, so authorities mean nothing. " +
                "Remove one of the two.");
        if (keyAt is not null && tls.CertificateFile is null)
            findings.Add(Code.BadValue, keyAt, "A key is for a certificate: add 'certificate_file: /etc/tollgate/client.pem'.");
        return tls;
    }

    private string? Name(Node? node)
    {
        if (findings.Text(node, "api.internal") is not { } text) return null;
        if (text.Length <= 253 && !text.Contains('*') && Uri.CheckHostName(text) is UriHostNameType.Dns or UriHostNameType.IPv4
            or UriHostNameType.IPv6) return text;
        findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not the name of a server, as 'api.internal'.");
        return null;
    }

    private string? Ca(Node? node)
    {
        if (findings.Text(node, "\"-----BEGIN CERTIFICATE-----…\"") is not { } text) return null;
        if (CaText.FaultOf(text) is not { } fault) return text;
        findings.Add(Code.BadValue, node!, fault);
        return null;
    }

    private string? Path(Node? node, string example)
    {
        if (findings.Text(node, example) is not { } text) return null;
        if (text.Length is > 0 and <= 1_024 && !text.Any(char.IsControl)) return text;
        // it may be a key that was pasted
        findings.Add(Code.BadValue, node!, $"This is not the path of a file, as '{example}'. A key itself must not stand in the file.");
        return null;
    }
}
