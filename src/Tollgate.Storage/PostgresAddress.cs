using Npgsql;

namespace Tollgate.Storage;

/// <summary>How a PostgreSQL is named: a URI as most tools write it, or the key-value form of Npgsql.</summary>
internal static class PostgresAddress
{
    // what the operator does not say; the pool is per node, and a server has some hundred connections for all of them
    private const int PoolSize = 20, ConnectSeconds = 5, CommandSeconds = 30, KeepAliveSeconds = 15;

    public static bool IsOne(string where) => IsUri(where) || HasHost(where);

    /// <exception cref="StorageException">What cannot be read in it; never with the password.</exception>
    public static NpgsqlConnectionStringBuilder Parse(string where)
    {
        NpgsqlConnectionStringBuilder address;
        try
        {
            address = IsUri(where) ? FromUri(where) : new NpgsqlConnectionStringBuilder(where);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or KeyNotFoundException)
        {
            throw new StorageException("--database cannot be read: " +
                "write postgresql://user:password@host:5432/database?sslmode=require, or Host=…;Username=…;Database=… " +
                $"with the names of Npgsql ({e.GetType().Name}).");
        }

        if (string.IsNullOrWhiteSpace(address.Host))
            throw new StorageException("--database names no host: postgresql://user:password@host:5432/database.");
        SetUnlessGiven(address, "Maximum Pool Size", PoolSize);
        SetUnlessGiven(address, "Timeout", ConnectSeconds);
        SetUnlessGiven(address, "Command Timeout", CommandSeconds);
        SetUnlessGiven(address, "Keepalive", KeepAliveSeconds);
        // statements are not prepared by themselves: one that failed stays prepared where the server does not have it, and
        // breaks whoever runs it next (npgsql issue 6391)
        SetUnlessGiven(address, "Application Name", "tollgate");
        return address;
    }

    /// <summary>Host, port and database, as messages show it.</summary>
    public static string Show(NpgsqlConnectionStringBuilder address) =>
        $"postgresql://{address.Host}:{address.Port}/{address.Database ?? address.Username}";

    private static bool IsUri(string where) =>
        where.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase)
        || where.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase);

    private static bool HasHost(string where) => where.Split(';').Any(part =>
        part.TrimStart().StartsWith("host", StringComparison.OrdinalIgnoreCase) && part.Contains('=')
        || part.TrimStart().StartsWith("server", StringComparison.OrdinalIgnoreCase) && part.Contains('='));

    private static NpgsqlConnectionStringBuilder FromUri(string where)
    {
        var uri = new Uri(where);
        var address = new NpgsqlConnectionStringBuilder { Host = uri.Host };
        if (uri.Port > 0) address.Port = uri.Port;
        var user = uri.UserInfo.Split(':', 2);
        if (user[0].Length > 0) address.Username = Uri.UnescapeDataString(user[0]);
        if (user.Length > 1) address.Password = Uri.UnescapeDataString(user[1]);
        var database = Uri.UnescapeDataString(uri.AbsolutePath.TrimStart('/'));
        if (database.Length > 0) address.Database = database;
        foreach (var pair in uri.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, value) = pair.Split('=', 2) is [var n, var v] ? (n, v) : (pair, "");
            address[Uri.UnescapeDataString(name)] = ModeOf(Uri.UnescapeDataString(value));
        }

        return address;
    }

    // libpq writes verify-full, Npgsql VerifyFull
    private static string ModeOf(string value) => value is "verify-full" or "verify-ca" ? value.Replace("-", "") : value;

    private static void SetUnlessGiven(NpgsqlConnectionStringBuilder address, string key, object value)
    {
        if (!address.ContainsKey(key) || !address.ShouldSerialize(key)) address[key] = value;
    }
}
