using System.Globalization;

namespace Tollgate.Bench;

/// <summary>How far the ledger of a Tollgate had come at one moment.</summary>
/// <param name="Sealed">Segments of its journal that are full.</param>
/// <param name="Archived">Of those, how many are in the archive.</param>
/// <param name="Behind">Records that are not in the sums yet.</param>
internal sealed record JournalSeen(long Sealed, long Archived, long Behind)
{
    /// <summary>What a run must seal to say anything of the work behind the calls.</summary>
    public const int Enough = 2;

    public static async Task<JournalSeen> OfAsync(TollgatePeer tollgate, HttpClient client, CancellationToken stop)
    {
        var metrics = await client.GetStringAsync(new Uri(tollgate.Admin, "/metrics"), stop);
        var archive = Path.Combine(tollgate.Data, "archive");
        var archived = Directory.Exists(archive)
            ? Directory.EnumerateFiles(archive, "*.parquet", SearchOption.AllDirectories).Count() : 0;
        return new JournalSeen(archived + (long)Gauge(metrics, "tollgate_archive_lag_segments"), archived,
            (long)Gauge(metrics, "tollgate_drain_lag_records"));
    }

    /// <summary>What came since.</summary>
    public JournalSeen Since(JournalSeen before) => this with { Sealed = Sealed - before.Sealed, Archived = Archived - before.Archived };

    private static double Gauge(string metrics, string name)
    {
        var line = metrics.Split('\n').FirstOrDefault(l => l.StartsWith(name + " ", StringComparison.Ordinal))
            ?? throw new BenchException($"the server has no metric {name}");
        return double.Parse(line[(name.Length + 1)..], CultureInfo.InvariantCulture);
    }
}
