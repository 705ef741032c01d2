using System.Globalization;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Metering;

namespace Tollgate.Tests.Metering;

/// <summary>A journal's folder for one test, and the handful of things that every journal test does.</summary>
internal sealed class JournalHome : IDisposable
{
    /// <summary>The smallest segment: a 4 KiB header and 64 slots.</summary>
    internal static readonly JournalOptions Small = new() { SegmentBytes = 8192 };

    internal const int SmallSlots = 64;
    internal const int HeaderBytes = 4096;
    internal const int SlotBytes = 64;

    internal string Folder { get; } = Directory.CreateTempSubdirectory("journal-").FullName;

    internal FakeTimeProvider Clock { get; } = new(new DateTimeOffset(2026, 1, 10, 0, 0, 0, TimeSpan.Zero));

    public void Dispose()
    {
        if (Directory.Exists(Folder))
            Directory.Delete(Folder, recursive: true);
    }

    internal UsageJournal Open(JournalOptions? options = null) => UsageJournal.Open(Folder, options ?? Small, Clock);

    internal string[] Segments() => Segments(Folder);

    internal static string[] Segments(string folder) => [.. Directory.GetFiles(folder, "*.journal").Order()];

    internal static ulong FirstOf(string segment) =>
        ulong.Parse(Path.GetFileNameWithoutExtension(segment), CultureInfo.InvariantCulture);

    internal static Admission Call(int number) => new()
    {
        AdmittedAt = 1_767_225_600_000_000 + number,
        Entitlement = number,
        Consumer = number ^ 0x55,
        Operation = -number,
        Credential = number * 3,
        Period = (number % 7) - 3,
        Method = (byte)number,
    };

    internal static Settlement Answer(ulong admission, in Admission call) => new()
    {
        AdmissionSequence = admission,
        Admission = call,
        Status = 200,
        Billable = true,
        Quantity = call.Entitlement * 10L,
        LatencyMicros = 1234,
    };

    /// <summary>Waits for room (a segment may be in the making) and writes an admission.</summary>
    internal static ulong Admit(UsageJournal journal, int number)
    {
        Assert.True(SpinWait.SpinUntil(journal.TryReserve, TimeSpan.FromSeconds(20)), journal.Trouble);
        return journal.AppendAdmitted(Call(number)).Sequence;
    }

    /// <summary>Whole calls, two records each.</summary>
    internal static void Write(UsageJournal journal, int calls, int from = 0)
    {
        for (int i = from; i < from + calls; i++)
            journal.AppendSettled(Answer(Admit(journal, i), Call(i)));
    }

    internal static List<JournalRecord> ReadAll(UsageJournal journal, ulong position = 0)
    {
        var all = new List<JournalRecord>();
        var batch = new JournalRecord[50];
        int count;
        while ((count = journal.Read(ref position, batch)) > 0)
            all.AddRange(batch.AsSpan(0, count));
        return all;
    }

    /// <summary>What a process that is killed now leaves: its pages as they are, nothing closed.</summary>
    internal JournalHome CopyAsAfterAKill()
    {
        var copy = new JournalHome();
        foreach (string file in Directory.GetFiles(Folder).Where(f => !f.EndsWith(".lock", StringComparison.Ordinal)))
        {
            try
            {
                File.Copy(file, Path.Combine(copy.Folder, Path.GetFileName(file)));
            }
            catch (FileNotFoundException) when (file.EndsWith(".new", StringComparison.Ordinal))
            {
                // It got its name meanwhile: a segment younger than this copy.
            }
        }
        return copy;
    }

    internal static void Overwrite(string file, long at, params byte[] bytes)
    {
        using var handle = File.OpenHandle(file, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        RandomAccess.Write(handle, bytes, at);
    }

    internal static long SlotAt(int slot) => HeaderBytes + (long)slot * SlotBytes;
}
