using Dapper;
using Tollgate.Storage;

namespace Tollgate.Config;

/// <summary>What all nodes of an installation must have in common.</summary>
public static class Installation
{
    private const string InstallKey = "install_key";

    /// <summary>Compares the install key of this node with the one that the store was first opened with. With another
    /// one no API key would be recognised, and none made here would be elsewhere.</summary>
    /// <exception cref="StorageException">They differ.</exception>
    public static async Task CheckAsync(Database database, ApiKeys keys)
    {
        var mine = Convert.ToHexStringLower(keys.Hash("tollgate: fingerprint of the install key")!.AsSpan(0, 8));
        var stored = await database.ReadAsync(db => db.ExecuteScalarAsync<string?>(
            "select value from installation where name = @InstallKey", new { InstallKey }));
        stored ??= await database.WriteAsync(async db =>
        {
            await db.ExecuteAsync("insert into installation (name, value) values (@InstallKey, @mine) " +
                "on conflict (name) do nothing", new { InstallKey, mine });
            return await db.ExecuteScalarAsync<string>(
                "select value from installation where name = @InstallKey", new { InstallKey });
        });
        if (stored != mine)
            throw new StorageException($"The install.key in the data folder is not the one that {database.Path} was " +
                "first opened with: no API key would be recognised. Copy install.key from a node " +
                "that works, or from a backup.");
    }
}
