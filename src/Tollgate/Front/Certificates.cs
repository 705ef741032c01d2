using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace Tollgate.Front;

/// <summary>
/// The certificates of the front, from PEM files: which one a caller sees follows the name that it asks for (SNI) and
/// the names in the certificates; the first is for all others. Files are read again when they have changed, at most once
/// a second and only when somebody calls; a file that is broken then changes nothing, and says so once.
/// </summary>
internal sealed partial class Certificates
{
    private const int MostFiles = 1_000;

    private static readonly List<SslApplicationProtocol> s_protocols =
        [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];

    private readonly IReadOnlyList<string> _paths;
    private readonly TimeProvider _machine;
    private readonly ILogger _log;
    private readonly Lock _reading = new();
    private volatile Loaded _loaded;
    private long _lookedAt;

    private Certificates(IReadOnlyList<string> paths, TimeProvider machine, ILogger log)
    {
        (_paths, _machine, _log) = (paths, machine, log);
        _lookedAt = machine.GetTimestamp();
        var files = Read(paths);
        _loaded = new Loaded(MarkOf(files), Load(files));
    }

    /// <summary>Reads the files; any fault stops the start.</summary>
    /// <param name="paths">PEM files, each a chain with its key in it or beside it (<c>NAME.key</c>), or folders of
    /// such files (<c>*.pem</c>, <c>*.crt</c>).</param>
    /// <exception cref="StartupException">Which file, and what is wrong with it.</exception>
    public static Certificates Open(IReadOnlyList<string> paths, TimeProvider machine, ILogger log)
    {
        try
        {
            return new Certificates(paths, machine, log);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new StartupException($"--tls {string.Join(',', paths)}: {e.Message}", e);
        }
    }

    /// <summary>What a handshake goes by.</summary>
    public ValueTask<SslServerAuthenticationOptions> OnConnection(TlsHandshakeCallbackContext handshake)
    {
        Refresh();
        return new(_loaded.Set.Find(handshake.ClientHelloInfo.ServerName));
    }

    private void Refresh()
    {
        if (_machine.GetElapsedTime(Volatile.Read(ref _lookedAt)) < TimeSpan.FromSeconds(1)) return;
        // one handshake looks, the others go on with what there is
        if (!_reading.TryEnter()) return;
        try
        {
            Volatile.Write(ref _lookedAt, _machine.GetTimestamp());
            Reread();
        }
        finally
        {
            _reading.Exit();
        }
    }

    private void Reread()
    {
        try
        {
            var files = Read(_paths);
            var mark = MarkOf(files);
            if (mark == _loaded.Mark) return;
            // remembered first: a broken file is told once, not at every handshake
            _loaded = _loaded with { Mark = mark };
            _loaded = new Loaded(mark, Load(files));
            LogRead(_log, files.Count);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            LogBroken(_log, e.Message);
        }
    }

    private static List<(string Name, string Pem, string Key)> Read(IReadOnlyList<string> paths)
    {
        var files = paths.SelectMany(p => Directory.Exists(p)
            ? Directory.EnumerateFiles(p).Where(f => f.EndsWith(".pem", StringComparison.Ordinal)
                || f.EndsWith(".crt", StringComparison.Ordinal)).Order(StringComparer.Ordinal)
            : (IEnumerable<string>)[p]).Take(MostFiles + 1).ToArray();
        if (files.Length > MostFiles) throw new IOException($"there are more than {MostFiles} certificates");
        if (files.Length == 0) throw new IOException("there is no *.pem or *.crt in it");
        return [.. files.Select(f =>
        {
            var pem = File.ReadAllText(f);
            var beside = Path.ChangeExtension(f, ".key");
            return (f, pem, pem.Contains("PRIVATE KEY-----", StringComparison.Ordinal) ? pem
                : File.Exists(beside) ? File.ReadAllText(beside)
                : throw new IOException($"{f} holds no private key, and there is no {beside}"));
        })];
    }

    private static string MarkOf(List<(string Name, string Pem, string Key)> files) => Convert.ToHexString(
        SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(string.Concat(files.Select(f => f.Name + f.Pem + f.Key)))));

    private static BySni Load(List<(string Name, string Pem, string Key)> files) => new([.. files.Select(f =>
    {
        var chain = new X509Certificate2Collection();
        try
        {
            chain.ImportFromPem(f.Pem);
            // the first certificate is the server's, the others lead to its issuer (RFC 8446 4.4.2)
            var own = X509Certificate2.CreateFromPem(f.Pem, f.Key);
            return (own, new SslServerAuthenticationOptions
            {
                ServerCertificateContext = SslStreamCertificateContext.Create(own, chain, offline: true),
                ApplicationProtocols = s_protocols,
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
            });
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            throw new CryptographicException($"{f.Name} is not a certificate with its key: {e.Message}", e);
        }
    })]);

    [LoggerMessage(1, LogLevel.Information, "The certificates of the proxy were read again: {Files} files")]
    private static partial void LogRead(ILogger log, int files);

    [LoggerMessage(2, LogLevel.Error, "The certificates of the proxy have changed and cannot be used, so the old ones stay: {Why}")]
    private static partial void LogBroken(ILogger log, string why);

    private sealed record Loaded(string Mark, BySni Set);

    /// <summary>Certificates by the names that they are for.</summary>
    private sealed class BySni
    {
        private readonly SslServerAuthenticationOptions _first;
        private readonly Dictionary<string, SslServerAuthenticationOptions> _byName = new(StringComparer.OrdinalIgnoreCase);

        public BySni(IReadOnlyList<(X509Certificate2 Own, SslServerAuthenticationOptions Options)> all)
        {
            _first = all[0].Options;
            foreach (var (own, options) in all)
                foreach (var name in NamesOf(own))
                    _byName.TryAdd(name, options);
        }

        /// <summary>The name itself, then a wildcard for its first label (RFC 9525 6.3), then the first of all.</summary>
        public SslServerAuthenticationOptions Find(string? name)
        {
            if (string.IsNullOrEmpty(name)) return _first;
            if (_byName.TryGetValue(name, out var exact)) return exact;
            var dot = name.IndexOf('.');
            return dot > 0 && _byName.TryGetValue("*" + name[dot..], out var wild) ? wild : _first;
        }

        private static IEnumerable<string> NamesOf(X509Certificate2 certificate) =>
            certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(e => e.EnumerateDnsNames())
                .Append(certificate.GetNameInfo(X509NameType.DnsName, false)).Where(n => n.Length > 0);
    }
}
