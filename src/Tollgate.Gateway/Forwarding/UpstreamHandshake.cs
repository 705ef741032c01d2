using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// Makes the connections to an https upstream. The client would check a certificate against the host of the request, which
/// is the caller's word where that is preserved; here it is the upstream's own name. Files are read at each handshake, so
/// that certificates that were renewed are used by the next connection; broken ones leave what was read before.
/// </summary>
internal sealed class UpstreamHandshake(UpstreamTls tls)
{
    private static readonly Oid s_serverAuthentication = new("1.3.6.1.5.5.7.3.1");

    private volatile UpstreamCertificates? _certificates;

    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        Stream stream;
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancel);
            stream = new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        var request = context.InitialRequestMessage;
        return request.RequestUri?.Scheme == Uri.UriSchemeHttps
            ? await SecureAsync(stream, tls.ServerName ?? context.DnsEndPoint.Host, ProtocolsOf(request), cancel) : stream;
    }

    private async Task<Stream> SecureAsync(
        Stream stream, string name, List<SslApplicationProtocol> protocols, CancellationToken cancel)
    {
        string? fault = null;
        var secure = new SslStream(stream);
        try
        {
            var certificates = Certificates();
            await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = name,
                ApplicationProtocols = protocols,
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                ClientCertificateContext = certificates.Own,
                CertificateChainPolicy = PolicyOf(certificates),
                RemoteCertificateValidationCallback = (_, _, chain, errors) =>
                {
                    if (errors == SslPolicyErrors.None || !tls.Verify) return true;
                    fault = FaultOf(errors, chain);
                    return false;
                },
            }, cancel);
            return secure;
        }
        catch (Exception e)
        {
            await secure.DisposeAsync();
            if (fault is not null || e is AuthenticationException or CryptographicException or UnauthorizedAccessException
                or IOException { InnerException: null })
                throw new UpstreamTlsException(fault ?? "Its TLS handshake failed", e);
            throw;
        }
    }

    private UpstreamCertificates Certificates()
    {
        try
        {
            var texts = UpstreamCertificates.Read(tls);
            if (_certificates is not { } known || known.Texts != texts) _certificates = UpstreamCertificates.Load(texts);
        }
        catch (Exception e) when (_certificates is not null
            && e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            // half written, perhaps: the next connection looks again
        }

        return _certificates!;
    }

    private static X509ChainPolicy PolicyOf(UpstreamCertificates certificates)
    {
        var policy = new X509ChainPolicy
        {
            RevocationMode = X509RevocationMode.NoCheck,
            // nothing is fetched for a call
            DisableCertificateDownloads = true,
        };
        policy.ApplicationPolicy.Add(s_serverAuthentication);
        if (certificates.Trusted is not { } trusted) return policy;
        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        policy.CustomTrustStore.AddRange(trusted);
        return policy;
    }

    private static List<SslApplicationProtocol> ProtocolsOf(HttpRequestMessage request) =>
        request.Version.Major < 2 ? [SslApplicationProtocol.Http11]
        : request.VersionPolicy == HttpVersionPolicy.RequestVersionOrLower
            ? [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11] : [SslApplicationProtocol.Http2];

    private static string FaultOf(SslPolicyErrors errors, X509Chain? chain)
    {
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable)) return "It shows no certificate";
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch)) return "Its certificate is for another name";
        var status = chain?.ChainStatus.Aggregate(X509ChainStatusFlags.NoError, (all, s) => all | s.Status) ?? default;
        return status.HasFlag(X509ChainStatusFlags.NotTimeValid) ? "Its certificate has expired, or is not valid yet"
            : (status & (X509ChainStatusFlags.UntrustedRoot | X509ChainStatusFlags.PartialChain)) != 0
                ? "Its certificate is of no trusted authority"
            : $"Its certificate is not accepted ({status})";
    }
}

/// <summary>An https upstream was not taken for what it says it is, or did not take us.</summary>
internal sealed class UpstreamTlsException(string fault, Exception inner) : IOException(fault, inner);

/// <summary>Whom a node trusts for an upstream, and what it shows it.</summary>
public sealed class UpstreamCertificates
{
    private UpstreamCertificates(Pem texts) => Texts = texts;

    internal Pem Texts { get; }

    /// <summary>Null: the machine's.</summary>
    internal X509Certificate2Collection? Trusted { get; private init; }

    internal SslStreamCertificateContext? Own { get; private init; }

    /// <summary>What this node cannot do of these settings: a file that is not there, or holds something else.</summary>
    public static string? FaultOf(UpstreamTls tls)
    {
        try
        {
            Load(Read(tls));
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            return e.Message;
        }
    }

    internal static Pem Read(UpstreamTls tls) => new(
        tls.CaFile is { } ca ? Small(ca) : tls.Ca,
        tls.CertificateFile is { } own ? Small(own) : null,
        tls.KeyFile is { } key ? Small(key) : null);

    private static string Small(string path) => SmallFile.Read(path, CaText.MostCharacters);

    internal static UpstreamCertificates Load(Pem texts) => new(texts)
    {
        Trusted = texts.Ca is { } ca ? Authorities(ca) : null,
        Own = texts.Own is { } own ? Client(own, texts.Key ?? own) : null,
    };

    private static X509Certificate2Collection Authorities(string pem)
    {
        if (CaText.FaultOf(pem) is { } fault) throw new CryptographicException(fault);
        var trusted = new X509Certificate2Collection();
        trusted.ImportFromPem(pem);
        return trusted;
    }

    private static SslStreamCertificateContext Client(string pem, string key)
    {
        try
        {
            var chain = new X509Certificate2Collection();
            chain.ImportFromPem(pem);
            return SslStreamCertificateContext.Create(X509Certificate2.CreateFromPem(pem, key), chain, offline: true);
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new CryptographicException("The client certificate with its key cannot be read as PEM.", e);
        }
    }

    internal sealed record Pem(string? Ca, string? Own, string? Key);
}
