using System.Data.Common;

namespace Tollgate.Metering;

/// <summary>
/// What became of records from outside when they were drained first. A replay takes whose they were from here, since who a
/// subject is may have changed, and checks which of them counted: an event counts once, and the first of its kind does.
/// </summary>
internal sealed class RecordedStamps
{
    /// <summary>Of the tables that a replay has put aside.</summary>
    public const string Prefix = "before_";

    private const int Most = 5;

    // events that do not count, of which none that counts was seen so far; a node drains beside others
    private readonly Dictionary<UInt128, ulong> _uncounted = [];
    private readonly List<string> _doubts = [];

    // journals whose events have stamps; those that were drained by an older version have none, and come before
    private readonly HashSet<uint> _kept = [];

    /// <summary>What cannot be, in words; bounded. Complete at the end.</summary>
    /// <param name="whole">Whether every event was seen.</param>
    public IEnumerable<string> Doubts(bool whole) => _doubts.Concat(_uncounted.Take(whole ? Most : 0)
        .Select(u => $"the event at sequence {u.Value} counts nothing, and none of its source and id does"));

    /// <summary>The stamps of a stretch of records.</summary>
    public async Task<Dictionary<ulong, OutsideStamp>> ReadAsync(DbConnection db, uint journal, (ulong First, ulong Next) stretch)
    {
        try
        {
            var stamps = await OutsideStamps.ReadAsync(db, journal, stretch, Prefix);
            if (stamps.Count > 0) _kept.Add(journal);
            return stamps;
        }
        catch (InvalidDataException e)
        {
            Doubt(e.Message);
            return [];
        }
    }

    /// <summary>The events that counted. An event without a stamp is judged anew.</summary>
    public async Task<List<EventGroup>> TakeAsync(
        DbConnection db, (uint Journal, int Today) at, List<EventGroup> groups,
        (Dictionary<ulong, OutsideStamp> Known, EventIdentities Identities) by)
    {
        foreach (var group in groups)
            if (!by.Known.ContainsKey(group.Sequence) && _kept.Contains(at.Journal))
                Doubt($"the event at sequence {group.Sequence} has no stamp: whose it was is not on record");
        var (counted, others) = (new List<EventGroup>(groups.Count), new List<EventGroup>());
        foreach (var group in groups)
            (by.Known.TryGetValue(group.Sequence, out var stamp) && !stamp.Counts ? others : counted).Add(group);
        var fresh = await by.Identities.TakeAsync(db, at.Journal, at.Today, counted);
        if (fresh.Count < counted.Count)
        {
            var first = fresh.Select(g => g.Sequence).ToHashSet();
            foreach (var twice in counted.Where(c => !first.Contains(c.Sequence) && by.Known.ContainsKey(c.Sequence)))
            {
                Doubt($"the event at sequence {twice.Sequence} counts, and one of its source and id did before");
                fresh.Add(twice);
            }
        }

        foreach (var group in counted) _uncounted.Remove(group.Identity);
        if (others.Count == 0) return fresh;
        var known = (await by.Identities.FindAsync(db, others.Select(o => o.Identity).ToArray())).ToHashSet();
        foreach (var group in others)
            if (!known.Contains(group.Identity)) _uncounted[group.Identity] = group.Sequence;
        return fresh;
    }

    private void Doubt(string words)
    {
        if (_doubts.Count < Most) _doubts.Add(words);
    }
}
