using System.Globalization;

namespace Tollgate.Bench;

/// <summary>Memory of a process that is in RAM.</summary>
/// <param name="Bytes">All of it.</param>
/// <param name="Own">Of that, what no file stands behind. The rest is the program itself and what it has mapped, as segments of
/// the journal: the kernel takes that back when memory is short.</param>
internal readonly record struct Resident(long Bytes, long Own);

/// <summary>What a process and all that it started have used so far, as /proc tells.</summary>
internal static class ProcessTree
{
    // USER_HZ is 100 on every Linux that .NET runs on: one tick is 10 ms, 0.1 % of a ten-second run.
    private const int TicksPerSecond = 100;

    /// <summary>Threads of Tollgate for work that is no call: what drains, archives and bills, what the admin port is asked,
    /// and what prepares the journal's files. No other target has threads of these names.</summary>
    private static readonly string[] BehindCalls = ["background", "admin", "usage journal"];

    /// <summary>User and system time of the living processes of the tree.</summary>
    public static TimeSpan Cpu(int root)
    {
        var ticks = Members(root).Sum(member => member.CpuTicks);
        return TimeSpan.FromSeconds(ticks / (double)TicksPerSecond);
    }

    /// <summary>Of one process: what its living threads of <see cref="BehindCalls"/> have used.</summary>
    public static TimeSpan CpuBehindCalls(int id)
    {
        var ticks = Directory.EnumerateDirectories($"/proc/{id}/task")
            .Select(thread => Stat.ReadFile(Path.Combine(thread, "stat")))
            .OfType<Stat>().Where(thread => BehindCalls.Contains(thread.Name)).Sum(thread => thread.CpuTicks);
        return TimeSpan.FromSeconds(ticks / (double)TicksPerSecond);
    }

    /// <summary>Whether a living thread is for work behind the calls.</summary>
    public static bool IsBehindCalls(int id, int thread) =>
        Stat.ReadFile($"/proc/{id}/task/{thread}/stat") is { } found && BehindCalls.Contains(found.Name);

    /// <summary>Resident memory, summed; pages that processes share count once for each.</summary>
    public static Resident ResidentOf(int root) => Members(root)
        .Select(member => new Resident(FieldOf(member.Id, "VmRSS:"), FieldOf(member.Id, "RssAnon:")))
        .Aggregate(new Resident(0, 0), (sum, one) => new Resident(sum.Bytes + one.Bytes, sum.Own + one.Own));

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

    private static long FieldOf(int id, string label)
    {
        try
        {
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

    private sealed record Stat(int Id, string Name, int ParentId, long CpuTicks)
    {
        public static Stat? Read(int id) => ReadFile($"/proc/{id}/stat");

        public static Stat? ReadFile(string file)
        {
            try
            {
                // "pid (name) state ppid …": the name may hold blanks and parentheses, so count from its end.
                var text = File.ReadAllText(file);
                var (nameAt, end) = (text.IndexOf('(') + 1, text.LastIndexOf(')'));
                var fields = text[(end + 2)..].Split(' ');
                var (parent, user, system) = (fields[1], fields[11], fields[12]);
                return new Stat((int)Whole(text[..(nameAt - 2)]), text[nameAt..end], (int)Whole(parent), Whole(user) + Whole(system));
            }
            catch (IOException)
            {
                return null; // it ended in the meantime
            }
        }
    }
}
