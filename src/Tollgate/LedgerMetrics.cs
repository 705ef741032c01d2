using Prometheus;
using Tollgate.Metering;

namespace Tollgate;

/// <summary>How far the ledger is behind the calls, for operations: read when they are scraped.</summary>
internal static class LedgerMetrics
{
    public static void Register(CollectorRegistry registry, UsageJournal journal, UsageDrain drain, UsageArchive archive)
    {
        var metrics = Metrics.WithCustomRegistry(registry);
        var records = metrics.CreateGauge("tollgate_journal_records",
            "Sequence of the next record; it grows by two for each call, and jumps at a start.");
        var behind = metrics.CreateGauge("tollgate_drain_lag_records", "Records that are not in the sums yet.");
        var unarchived = metrics.CreateGauge("tollgate_archive_lag_segments",
            "Full or old segments of the journal that are not in the archive yet.");
        var refusing = metrics.CreateGauge("tollgate_journal_trouble",
            "1 while calls are refused, or soon will be, because they cannot be written down; /readyz says why.");
        registry.AddBeforeCollectCallback(() =>
        {
            var next = journal.NextSequence;
            records.Set(next);
            behind.Set(next - Math.Min(next, Math.Max(drain.Position, journal.BootFirst)));
            unarchived.Set(journal.Sealed().Count(s => s.End > archive.Archived && s.End > s.First));
            refusing.Set(journal.Trouble is null ? 0 : 1);
        });
    }

    /// <summary>Events from outside, by what became of them.</summary>
    public static void Register(CollectorRegistry registry, EventIntake intake)
    {
        var events = Metrics.WithCustomRegistry(registry).CreateCounter("tollgate_events_total",
            "Events from outside: accepted, rejected for a fault, or turned away (503) since the journal had no room.", "outcome");
        registry.AddBeforeCollectCallback(() =>
        {
            var (accepted, rejected, turnedAway) = intake.Seen;
            events.WithLabels("accepted").IncTo(accepted);
            events.WithLabels("rejected").IncTo(rejected);
            events.WithLabels("turned_away").IncTo(turnedAway);
        });
    }

    /// <summary>How the reading of counters stands.</summary>
    public static void Register(CollectorRegistry registry, CounterIntake counters)
    {
        var metrics = Metrics.WithCustomRegistry(registry);
        var resets = metrics.CreateCounter("tollgate_source_resets_total",
            "Counters that began again at zero; what a process counted between its last scrape and its end is lost.", "source");
        var refused = metrics.CreateCounter("tollgate_source_refused_samples_total",
            "Samples that can be no count, have no subject, or are of series beyond most_series.", "source");
        var startless = metrics.CreateGauge("tollgate_source_targets_without_start",
            "Targets that do not say when their process started: two processes behind one of them may be counted too high.", "source");
        var parked = metrics.CreateGauge("tollgate_source_parked_targets",
            "Targets behind which two processes answered, so that nothing of them is counted; /v1/sources says why.", "source");
        var lag = metrics.CreateGauge("tollgate_source_read_to_seconds",
            "Unix time up to which a source was read; 0: not yet.", "source");
        registry.AddBeforeCollectCallback(() =>
        {
            foreach (var s in counters.Standing)
            {
                resets.WithLabels(s.Source.Name).IncTo(s.Tally.Resets);
                refused.WithLabels(s.Source.Name).IncTo(s.Tally.Refused + s.Tally.Nobodys + s.Tally.TooMany);
                parked.WithLabels(s.Source.Name).Set(s.Parked.Count);
                startless.WithLabels(s.Source.Name).Set(s.WithoutStart);
                lag.WithLabels(s.Source.Name).Set(s.ReadTo / 1_000_000);
            }
        });
    }
}
