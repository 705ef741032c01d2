using Microsoft.Extensions.Logging;
using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <content>Samples that Prometheus sends by itself. It sends a request again until it is taken, so what cannot be written
/// down now is turned away; a sample that was taken before counts nothing.</content>
public sealed partial class CounterIntake
{
    /// <summary>Requests that may wait for one source.</summary>
    private const int MostWaiting = 64;

    /// <summary>How often it is written down up to when a source was read.</summary>
    private static readonly TimeSpan s_noteEvery = TimeSpan.FromSeconds(15);

    /// <summary>Takes samples: what they count is in the journal when this returns.</summary>
    /// <returns>Null, or why they are to be sent again later.</returns>
    public async Task<string?> TakeSentAsync(CounterSource source, SentSamples sent, CancellationToken stop)
    {
        var reader = WatchedOf(source);
        if (reader.Waiting >= MostWaiting) return $"{MostWaiting} requests wait for this source already.";
        using (await reader.TurnAsync(stop))
        {
            try
            {
                if (!reader.IsLoaded) await LoadAsync(reader, source);
                await TakeAsync(reader, source, sent.Samples, Micros.Now(clocks.Business) / Micros.PerSecond);
                await NoteAsync(reader, sent);
                reader.Trouble = null;
                return null;
            }
            catch (Exception e) when (!stop.IsCancellationRequested)
            {
                if (reader.Trouble is null) log.LogError("Source {Source} takes no samples: {Why}", source.Name, e.Message);
                reader.Trouble = e.Message;
                return e.Message;
            }
        }
    }

    private async Task NoteAsync(WatchedSource reader, SentSamples sent)
    {
        if (sent.Samples.Count > 0) reader.ReadTo = Math.Max(reader.ReadTo, sent.Samples.Max(s => s.At));
        if (reader.ReadAt is { } last && clocks.Machine.GetElapsedTime(last) < s_noteEvery) return;
        reader.ReadAt = clocks.Machine.GetTimestamp();
        await drain.CatchUpAsync();
        await CounterStore.ReadToAsync(database, reader.Key, reader.ReadTo, reader.IsShort);
    }
}
