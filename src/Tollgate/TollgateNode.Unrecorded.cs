using Microsoft.Extensions.Logging;
using Tollgate.Config;

namespace Tollgate;

/// <content>Calls that pass though they cannot be written down, since their plans say <c>metering: open</c>.</content>
public sealed partial class TollgateNode
{
    private (long From, long Last)? _unrecorded;

    /// <summary>Whether the journal's trouble keeps this node from taking calls: some of them pass where a plan is open.
    /// </summary>
    private string? Refusing => Publisher.Current.Plans.Any(p => p.Metering == MeteringUnavailable.Open) ? null : Journal.Trouble;

    private string? PassingUnrecorded => Refusing is null && Journal.Trouble is { } trouble
        ? $"calls of plans with 'metering: open' pass unrecorded, {Table.Unrecorded!.Total} since the start; others are refused. {trouble}"
        : null;

    /// <summary>Says once when it begins and once when it is over, and stores what was counted.</summary>
    private async Task NoteUnrecordedAsync()
    {
        var total = Table.Unrecorded!.Total;
        if (_unrecorded is not { } known)
        {
            if (total > _noted)
            {
                _log.LogError("Calls pass unrecorded (metering: open), and nobody is billed for them: {Trouble}",
                    Journal.Trouble ?? "the journal had no room for a moment.");
                _unrecorded = (_noted, total);
            }
        }
        else if (total == known.Last && Journal.Trouble is null)
        {
            _log.LogWarning("Calls are recorded again. {Count} passed unrecorded; GET /v1/unrecorded_calls tells whose.",
                total - known.From);
            (_unrecorded, _noted) = (null, total);
        }
        else _unrecorded = known with { Last = total };

        await Table.Unrecorded.SaveAsync();
    }

    private long _noted;
}
