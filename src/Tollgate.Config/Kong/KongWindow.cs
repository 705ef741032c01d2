using Tollgate.Catalog;

namespace Tollgate.Config.Kong;

/// <summary>Windows that Kong gives in seconds.</summary>
public static class KongWindow
{
    private static readonly (long Seconds, WindowUnit Unit)[] s_units =
        [(1, WindowUnit.Second), (60, WindowUnit.Minute), (3_600, WindowUnit.Hour), (86_400, WindowUnit.Day)];

    public static IEnumerable<long> Sizes => s_units.Select(u => u.Seconds);

    /// <summary>Null: no limit here has a window of this length.</summary>
    public static WindowUnit? UnitOf(long seconds)
    {
        foreach (var (length, unit) in s_units)
            if (length == seconds) return unit;
        return null;
    }
}
