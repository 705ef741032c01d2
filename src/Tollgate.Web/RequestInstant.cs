using Tollgate.Catalog;

namespace Tollgate.Web;

/// <summary>Instants as callers write them. RFC 3339 can say more than an instant of ours can be: the year 0, and an
/// offset that leads beyond the year 9999.</summary>
public static class RequestInstant
{
    private static readonly long s_first = Micros.Of(DateTimeOffset.MinValue);
    private static readonly long s_last = Micros.Of(DateTimeOffset.MaxValue);

    /// <summary>False when it is no RFC 3339 instant of the years 1 to 9999 in UTC.</summary>
    public static bool TryRead(string text, out long micros)
    {
        try
        {
            return Micros.TryParse(text, out micros) && micros >= s_first && micros <= s_last;
        }
        catch (Exception e) when (e is OverflowException or ArgumentOutOfRangeException)
        {
            micros = 0;
            return false;
        }
    }
}
