using Tollgate.Config;
using Tollgate.Metering;

namespace Tollgate;

/// <summary>Which events feed which meters, out of what is published: Metering knows nothing of Config.</summary>
internal static class EventTypesOf
{
    public static EventTypes Published(Published published) => new(
        published.Meters.Where(m => m.EventType is not null).GroupBy(m => m.EventType!, StringComparer.Ordinal)
            .ToDictionary(g => g.Key, g => (IReadOnlyList<EventMeter>)[.. g.Select(m => new EventMeter
            {
                Meter = m.Meter,
                Value = m.Value,
                Dimensions = m.Dimensions,
                Where = m.Where,
            })], StringComparer.Ordinal));
}
