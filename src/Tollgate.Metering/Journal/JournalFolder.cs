using System.Globalization;
using System.Security.Cryptography;

namespace Tollgate.Metering;

/// <summary>
/// What earlier boots left: segments in the order of their sequences, the newest boot (0 when there was none), and one
/// past the last sequence that any of them may have used.
/// </summary>
internal sealed record JournalRemains(
    uint Journal, IReadOnlyList<Segment> Segments, uint LastBoot, ulong End, JournalRecovery Report);

/// <summary>
/// A folder that is one journal: <c>journal.id</c>, <c>journal.lock</c> and the segment files. Holding this object is
/// holding the folder; a second opener, of this or another process, is refused.
/// </summary>
internal sealed class JournalFolder : IDisposable
{
    /// <summary>
    /// Ends the name of a file that is not whole yet; a crash may leave it, the next boot removes it.
    /// </summary>
    internal const string UnbornSuffix = ".new";

    private const string IdFile = "journal.id";
    private const string LockFile = "journal.lock";

    private readonly FileStream held;

    private JournalFolder(string path, FileStream held)
    {
        Path = path;
        this.held = held;
    }

    internal string Path { get; }

    /// <exception cref="IOException">Somebody else has the folder.</exception>
    internal static JournalFolder Take(string folder)
    {
        string path = System.IO.Path.GetFullPath(folder);
        Directory.CreateDirectory(path);
        string name = System.IO.Path.Combine(path, LockFile);
        try
        {
            return new JournalFolder(
                path, new FileStream(name, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e) when (File.Exists(name))
        {
            throw new IOException(
                $"The usage journal in {path} is in use: another process holds {name}. "
                + "Stop it, or give this one another data folder.", e);
        }
    }

    public void Dispose() => held.Dispose();

    /// <summary>Reads every segment to its end, tidies up, and settles the journal's id.</summary>
    /// <exception cref="InvalidDataException">A file here is not this journal's, or not of this format.</exception>
    internal JournalRemains Recover()
    {
        foreach (string unborn in Directory.EnumerateFiles(Path, "*" + UnbornSuffix))
            File.Delete(unborn);
        var findings = new Findings();
        uint? journal = ReadId();
        bool known = journal is not null;
        var scans = new List<SegmentScan>();
        foreach ((ulong first, string path) in SegmentFiles(findings))
            scans.Add(SegmentScan.Read(path, first, ref journal, findings));
        if (!known && scans.Count > 0)
        {
            if (journal is null)
                throw new InvalidDataException(
                    $"{Path} has usage journal segments but neither {IdFile} nor a readable header. Restore {IdFile}.");
            findings.Add($"{Path}: {IdFile} was missing; the segments say {journal:x8}");
        }
        uint id = journal ?? NewId();
        if (!known)
            WriteId(id);

        long records = scans.Sum(s => s.Records), corrupt = scans.Sum(s => s.Corrupt), holes = 0;
        var segments = new List<Segment>();
        for (int i = 0; i < scans.Count; i++)
        {
            SegmentScan scan = scans[i];
            ulong used = UsedOf(scans, i);
            holes += (long)used - scan.Records - scan.CorruptSlots;
            if (Tidy(scan, used, isLast: i == scans.Count - 1, findings))
                segments.Add(Segment.Found(scan.Path, scan.First, scan.Capacity, used));
        }
        ulong end = scans.Count == 0 ? 0 : scans.Max(s => s.First + s.Capacity);
        uint lastBoot = scans.Count == 0 ? 0 : scans.Max(s => s.Boot);
        return new JournalRemains(
            id, segments, lastBoot, end, new(scans.Count, records, holes, corrupt, findings.ToList()));
    }

    /// <summary>
    /// A segment that a later one of its boot goes on from was reserved to its end, whatever its last slots say.
    /// </summary>
    private static ulong UsedOf(List<SegmentScan> scans, int index)
    {
        SegmentScan scan = scans[index];
        bool wentOn = index + 1 < scans.Count && scans[index + 1].Used > 0 && scans[index + 1].Boot == scan.Boot
            && scans[index + 1].First == scan.First + scan.Capacity;
        return wentOn && !scan.IsDamaged ? scan.Capacity : scan.Used;
    }

    /// <summary>
    /// Gives back what an earlier boot preallocated and did not use. The last file stays even when it is empty: its
    /// header remembers boot and sequence. A damaged file stays as it was found. False when the file is gone.
    /// </summary>
    private static bool Tidy(SegmentScan scan, ulong used, bool isLast, Findings findings)
    {
        try
        {
            if (scan.Header is not { } header || scan.IsDamaged)
                return true;
            if (used == 0 && !isLast)
            {
                File.Delete(scan.Path);
                return false;
            }
            if (header.Used == SegmentHeader.Open)
                Segment.Seal(scan.Path, header with { Used = used });
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            findings.Add($"{scan.Path}: could not give back its unused space: {e.Message}");
        }
        return true;
    }

    private IEnumerable<(ulong First, string Path)> SegmentFiles(Findings findings)
    {
        var files = new List<(ulong First, string Path)>();
        foreach (string path in Directory.EnumerateFiles(Path, "*.journal"))
        {
            string name = System.IO.Path.GetFileNameWithoutExtension(path);
            if (name.Length == 20 && ulong.TryParse(name, NumberStyles.None, null, out ulong first))
                files.Add((first, path));
            else
                findings.Add($"{path}: not a segment's name; left alone");
        }
        return files.OrderBy(f => f.First);
    }

    private uint? ReadId()
    {
        string name = System.IO.Path.Combine(Path, IdFile);
        if (!File.Exists(name))
            return null;
        string text = File.ReadAllText(name).Trim();
        if (text.Length == 8 && uint.TryParse(text, NumberStyles.AllowHexSpecifier, null, out uint id) && id != 0)
            return id;
        throw new InvalidDataException($"{name} must hold the journal's id, 8 hexadecimal digits. Restore it.");
    }

    private static uint NewId()
    {
        uint id;
        do
        {
            id = BitConverter.ToUInt32(RandomNumberGenerator.GetBytes(sizeof(uint)));
        }
        while (id == 0); // zero is kept for "no journal"
        return id;
    }

    private void WriteId(uint id)
    {
        string name = System.IO.Path.Combine(Path, IdFile);
        string unborn = name + UnbornSuffix;
        using (var file = new FileStream(unborn, FileMode.Create, FileAccess.Write))
        {
            file.Write(System.Text.Encoding.ASCII.GetBytes($"{id:x8}\n"));
            file.Flush(flushToDisk: true);
        }
        File.Move(unborn, name, overwrite: true);
        DurableFile.SyncFolder(Path);
    }
}
