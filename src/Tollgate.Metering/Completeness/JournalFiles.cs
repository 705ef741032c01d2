using System.Globalization;

namespace Tollgate.Metering;

/// <summary>A segment as it lies in the folder.</summary>
/// <param name="End">One past the last slot that was written to.</param>
internal readonly record struct JournalStretch(ulong First, ulong End, uint Boot, long Records, long Corrupt);

/// <summary>
/// The journal of a data folder, read without opening it: nothing is written, and whoever runs on it goes on.
/// </summary>
internal sealed class JournalFiles
{
    private readonly string _folder;
    private readonly Findings _findings = new();
    private readonly List<(JournalStretch Stretch, string Path)> _segments = [];

    // the segment that is being read, as a whole
    private List<JournalRecord> _loaded = [];
    private int _of = -1;

    private JournalFiles(string folder, uint id) => (_folder, Id) = (folder, id);

    public uint Id { get; }

    public IReadOnlyList<JournalStretch> Stretches => [.. _segments.Select(s => s.Stretch)];

    /// <summary>What is damaged, by file and slot.</summary>
    public IReadOnlyList<string> Faults => _findings.ToList();

    /// <exception cref="InvalidDataException">The folder is no journal, or of another format.</exception>
    public static JournalFiles Read(string folder)
    {
        var idFile = Path.Combine(folder, "journal.id");
        if (!File.Exists(idFile)) throw new InvalidDataException($"{folder} holds no usage journal: {idFile} is not there.");
        if (!uint.TryParse(File.ReadAllText(idFile).Trim(), NumberStyles.AllowHexSpecifier, null, out var id))
            throw new InvalidDataException($"{idFile} must hold the journal's id, 8 hexadecimal digits.");
        var journal = new JournalFiles(folder, id);
        journal.Scan();
        return journal;
    }

    /// <summary>Reads records from a position on, as <see cref="UsageJournal.Read"/> does.</summary>
    public int Read(ref ulong position, Span<JournalRecord> into)
    {
        var count = 0;
        for (var i = 0; i < _segments.Count && count < into.Length; i++)
        {
            if (_segments[i].Stretch.End <= position) continue;
            Load(i);
            var at = position;
            foreach (var record in _loaded.SkipWhile(r => r.Sequence < at))
            {
                if (count == into.Length) return count;
                into[count++] = record;
                position = record.Sequence + 1;
            }

            position = Math.Max(position, _segments[i].Stretch.End);
        }

        return count;
    }

    private void Scan()
    {
        foreach (var path in Directory.EnumerateFiles(_folder, "*.journal").Order(StringComparer.Ordinal))
        {
            if (!ulong.TryParse(Path.GetFileNameWithoutExtension(path), NumberStyles.None, null, out var first)) continue;
            try
            {
                uint? id = Id;
                var scan = SegmentScan.Read(path, first, ref id, _findings);
                if (scan.Used > 0)
                    _segments.Add((new JournalStretch(first, first + scan.Used, scan.Boot, scan.Records, scan.Corrupt), path));
            }
            catch (Exception e) when (e is FileNotFoundException or InvalidDataException)
            {
                // archived and gone in the meantime, or not ours to read
                if (e is InvalidDataException) _findings.Add(e.Message);
            }
        }
    }

    private void Load(int segment)
    {
        if (_of == segment) return;
        var (stretch, path) = _segments[segment];
        var records = new List<JournalRecord>((int)stretch.Records);
        uint? id = Id;
        SegmentScan.Read(path, stretch.First, ref id, new Findings(), records.Add);
        (_loaded, _of) = (records, segment);
    }
}
