using System.Globalization;

namespace Tollgate.Bench;

/// <summary>What a process and all that it started have used so far, as /proc tells.</summary>
internal static class ProcessTree
{
    // USER_HZ is 100 on every Linux that .NET runs on: one tick is 10 ms, 0.1 % of a ten-second run.
    private const int TicksPerSecond = 100;

    /// <summary>User and system time of the living processes of the tree.</summary>
    public static TimeSpan Cpu(int root)
    {
        var ticks = Members(root).Sum(member => member.CpuTicks);
        return TimeSpan.FromSeconds(ticks / (double)TicksPerSecond);
    }

    /// <summary>Resident memory, summed; pages that processes share count once for each.</summary>
    public static long ResidentBytes(int root) => Members(root).Sum(member => ResidentBytesOf(member.Id));

    private static List<Stat> Members(int root)
    {
        var all = Directory.EnumerateDirectories("/proc")
            .Select(folder => int.TryParse(Path.GetFileName(folder), out var id) ? Stat.Read(id) : null)
            .OfType<Stat>()
            .ToLookup(stat => stat.ParentId);
        var members = Stat.Read(root) is { } first ? new List<Stat> { first } : [];
        for (var next = 0; next < members.Count; next++)
            members.AddRange(all[members[next].Id]);
        return members;
    }

    private static long ResidentBytesOf(int id)
    {
        try
        {
            const string label = "VmRSS:";
            var line = File.ReadLines($"/proc/{id}/status")
                .FirstOrDefault(line => line.StartsWith(label, StringComparison.Ordinal));
            return line is null ? 0 : 1024 * Whole(line[label.Length..^" kB".Length]);
        }
        catch (IOException)
        {
            return 0; // it ended in the meantime
        }
    }

    private static long Whole(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    private sealed record Stat(int Id, int ParentId, long CpuTicks)
    {
        public static Stat? Read(int id)
        {
            try
            {
                // "pid (name) state ppid …": the name may hold blanks and parentheses, so count from its end.
                var text = File.ReadAllText($"/proc/{id}/stat");
                var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
                var (parent, user, system) = (fields[1], fields[11], fields[12]);
                return new Stat(id, (int)Whole(parent), Whole(user) + Whole(system));
            }
            catch (IOException)
            {
                return null; // it ended in the meantime
            }
        }
    }
}
