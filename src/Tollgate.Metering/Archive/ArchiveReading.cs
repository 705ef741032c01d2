using System.Globalization;
using System.Security.Cryptography;
using DuckDB.NET.Data;

namespace Tollgate.Metering;

/// <summary>What a file of the archive says about itself.</summary>
internal static class ArchiveReading
{
    /// <summary>Reads a whole file and describes it as it was when it was written.</summary>
    /// <exception cref="InvalidDataException">The file cannot be read.</exception>
    public static ArchiveFile Describe(string folder, string name, uint journal, ulong first, ulong next)
    {
        try
        {
            return Read(folder, name, journal, first, next);
        }
        catch (DuckDBException e)
        {
            throw new InvalidDataException(
                $"{Path.Combine(folder, name)} cannot be read, and the database does not know its calls: {e.Message} " +
                "Restore the file; or move it away, and its calls are not counted.", e);
        }
    }

    private static ArchiveFile Read(string folder, string name, uint journal, ulong first, ulong next)
    {
        var path = Path.Combine(folder, name);
        using var db = DuckDb.Open(folder);
        using var command = db.CreateCommand();
        command.CommandText =
            "select coalesce(max(boot), 0)::bigint, (count(*) filter (where admitted or kind <> 'call') + " +
            "count(*) filter (where settled_after is not null))::bigint, (count(*) filter (where admitted))::bigint, " +
            "coalesce(sum(quantity) filter (where kind = 'call' and billable), 0)::bigint, " +
            "coalesce(min(epoch_us(admitted_at)), 0)::bigint, coalesce(max(epoch_us(admitted_at)), 0)::bigint " +
            $"from read_parquet({DuckDb.Text(path)})";
        using var reader = command.ExecuteReader();
        reader.Read();
        return new ArchiveFile
        {
            Journal = journal,
            First = first,
            Next = next,
            Boot = (uint)reader.GetInt64(0),
            Bytes = new FileInfo(path).Length,
            Checksum = ChecksumOf(path),
            Records = reader.GetInt64(1),
            Holes = (long)(next - first) - reader.GetInt64(1),
            Calls = reader.GetInt64(2),
            Quantity = reader.GetInt64(3),
            MinAt = reader.GetInt64(4),
            MaxAt = reader.GetInt64(5),
        };
    }

    public static string ChecksumOf(string path)
    {
        using var file = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(file));
    }

    /// <summary>What is wrong with a file; null when nothing is.</summary>
    public static string? Fault(string folder, ArchiveFile file)
    {
        var path = Path.Combine(folder, file.Name);
        if (!File.Exists(path))
            return $"{path} is gone: sequences {file.First} to {file.Next - 1}, {file.Calls} calls";
        if (ChecksumOf(path) != file.Checksum)
            return string.Create(CultureInfo.InvariantCulture,
                $"{path} was changed: its checksum is not the one that was written down; {file.Calls} calls stand in it");
        var found = Describe(folder, file.Name, file.Journal, file.First, file.Next);
        return found == file ? null : $"{path} is as it was written, and the database says something else of it: " +
            $"{Words(file)} and not {Words(found)}";

        static string Words(ArchiveFile f) => string.Create(CultureInfo.InvariantCulture,
            $"boot {f.Boot}, {f.Bytes} bytes, {f.Records} records, {f.Holes} holes, {f.Calls} calls, {f.Quantity} units, " +
            $"from {f.MinAt} to {f.MaxAt}");
    }
}
