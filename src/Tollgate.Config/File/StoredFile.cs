using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using Dapper;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>
/// The configuration file as it was last applied, whoever brought it. Everything that a file manages came out of this
/// text, so applying it again changes nothing: that is what an export answers, with its comments.
/// </summary>
/// <param name="Name">The file's name in messages.</param>
/// <param name="Hash">SHA-256 of the text, in hex.</param>
/// <param name="Currency">Of customers who name none.</param>
/// <param name="AppliedBy">The name of a token; <c>root</c>, <c>loopback</c> or <c>file</c>.</param>
public sealed record StoredFile(
    string Name, string Text, string Hash, string Currency, string AppliedBy, long AppliedAt)
{
    private const string Columns = "name, text, hash, currency, applied_by, applied_at";

    /// <summary>The file that was applied last; null before the first.</summary>
    public static Task<StoredFile?> FindAsync(DbConnection db) =>
        db.QueryFirstOrDefaultAsync<StoredFile?>($"select {Columns} from config_files where key = 1");

    /// <summary>Keeps a file in the transaction in which it is applied.</summary>
    public static Task KeepAsync(DbConnection db, StoredFile file) => db.ExecuteAsync(
        $"insert into config_files (key, {Columns}) values (1, @Name, @Text, @Hash, @Currency, @AppliedBy, @AppliedAt) " +
        "on conflict (key) do update set name = excluded.name, text = excluded.text, hash = excluded.hash, " +
        "currency = excluded.currency, applied_by = excluded.applied_by, applied_at = excluded.applied_at", file);

    public static async Task<Currency?> CurrencyAsync(DbConnection db) =>
        await db.ExecuteScalarAsync<string?>("select currency from config_files where key = 1") is { } code
            ? Catalog.Currency.Find(code) : null;

    public static string HashOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}
