using StackExchange.Redis;

namespace Tollgate.Storage;

/// <summary>The address of a Redis, as operators write it.</summary>
public static class RedisAddress
{
    /// <exception cref="StorageException">What cannot be read, without the password.</exception>
    public static ConfigurationOptions Parse(string address)
    {
        try
        {
            if (!address.Contains("://", StringComparison.Ordinal)) return Checked(ConfigurationOptions.Parse(address));
            if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("redis" or "rediss"))
                throw Unreadable("it is no redis:// or rediss:// address");
            var options = new ConfigurationOptions { Ssl = uri.Scheme == "rediss" };
            options.EndPoints.Add(uri.IdnHost, uri.Port > 0 ? uri.Port : 6379);
            if (options.Ssl) options.SslHost = uri.IdnHost;
            var login = uri.UserInfo.Split(':', 2);
            if (login is [var user, var password])
            {
                if (user.Length > 0) options.User = Uri.UnescapeDataString(user);
                options.Password = Uri.UnescapeDataString(password);
            }
            else if (login[0].Length > 0)
            {
                throw Unreadable("it has a user and no password; write redis://user:password@host or redis://:password@host");
            }

            var path = uri.AbsolutePath.Trim('/');
            if (path.Length > 0)
                options.DefaultDatabase = int.TryParse(path, out var number) && number >= 0 ? number
                    : throw Unreadable("its path is the number of a database, as redis://host:6379/0");
            ReadQuery(uri, options);
            return Checked(options);
        }
        catch (ArgumentException)
        {
            // the driver's words would repeat the password
            throw Unreadable("the driver does not understand it");
        }
    }

    private static void ReadQuery(Uri uri, ConfigurationOptions options)
    {
        foreach (var pair in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            if (pair.Split('=', 2) is not ["ca", { Length: > 0 } path] || !options.Ssl)
                throw Unreadable("behind the question mark only ca= is known, the file of an authority that a rediss:// " +
                    "server is certified by");
            path = Uri.UnescapeDataString(path);
            if (!File.Exists(path)) throw Unreadable($"there is no file {path}");
            options.TrustIssuer(path);
        }
    }

    /// <summary>For messages: hosts and nothing secret.</summary>
    public static string Show(ConfigurationOptions options) =>
        string.Join(',', options.EndPoints.Select(e => e.ToString()?.Replace("Unspecified/", "", StringComparison.Ordinal)));

    private static ConfigurationOptions Checked(ConfigurationOptions options) =>
        options.EndPoints.Count > 0 ? options : throw Unreadable("it names no host");

    private static StorageException Unreadable(string why) => new(
        $"--redis cannot be read: {why}. Write redis://:password@host:6379, or rediss:// for TLS.");
}
