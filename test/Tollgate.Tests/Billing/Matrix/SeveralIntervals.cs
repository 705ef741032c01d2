namespace Tollgate.Tests.Billing.Matrix;

/// <summary>From the day to the year, and several of them on one subscription.</summary>
[Collection(PlayedMatrix.Name)]
public sealed class SeveralIntervals(MatrixPlay play)
{
    public static MatrixStories Stories { get; } = new()
    {
        { "a week from a Friday", "Pacific/Auckland", "EUR", """
            2026-04-03        start    anniversary week | base flat 7.00 advance; data per_unit 0.01
            2026-04-03        invoice  2026-04-03..2026-04-10 base 7.00 = 7.00
            2026-04-05T02:30  use      10
            2026-04-10T01:00  invoice  2026-04-03..2026-04-10 data x10 0.10, base 7.00 = 7.10
            2026-04-12        end
            2026-04-12T01:00  invoice  2026-04-10..2026-04-12 base 5/7 -5.00 = -5.00
            """ },
        { "a quarter from the 31st", "Pacific/Kiritimati", "JPY", """
            2026-01-31        start    anniversary quarter | base flat 8900 advance
            2026-01-31        invoice  2026-01-31..2026-04-30 base 8900 = 8900
            2026-03-01        change   base flat 17800 advance
            2026-03-01        invoice  2026-01-31..2026-04-30 base 60/89 -6000, base 60/89 12000 = 6000
            2026-04-30T01:00  invoice  2026-01-31..2026-04-30 base 17800 = 17800
            2026-05-01        end      period_end
            """ },
        { "a quarter of the calendar begins in the middle", "America/New_York", "USD", """
            2026-05-16        start    quarter | base flat 91.00 arrears
            2026-05-17        end      period_end
            2026-07-01T01:00  invoice  2026-05-16..2026-07-01 base 46/91 46.00 = 46.00
            """ },
        { "a year, a month and a week on one subscription", "Asia/Kolkata", "USD", """
            2026-03-02        start    anniversary month | y flat 365.00 advance year; m flat 31.00 arrears month; w flat 7.00 advance week
            2026-03-02        invoice  2026-03-02..2026-04-02 y 365.00, w 7.00 = 372.00
            2026-03-09        invoice  2026-03-02..2026-04-02 w 7.00 = 7.00
            2026-03-16        invoice  2026-03-02..2026-04-02 w 7.00 = 7.00
            2026-03-23        invoice  2026-03-02..2026-04-02 w 7.00 = 7.00
            2026-03-30        invoice  2026-03-02..2026-04-02 w 7.00 = 7.00
            2026-04-02        end
            2026-04-02T01:00  invoice  2026-03-02..2026-04-02 m 31.00, y 334/365 -334.00, w 4/7 -4.00 = -307.00
            2026-06-01        quiet
            """ },
        { "from the month to the year at the end of the month", "America/Sao_Paulo", "EUR", """
            2026-04-01        start    base flat 30.00 advance
            2026-04-01        invoice  2026-04-01..2026-05-01 base 30.00 = 30.00
            2026-04-11        change   period_end year | base flat 245.00 advance
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 245/365 164.45 = 164.45
            2026-05-02        end      period_end
            2027-02-01        quiet
            """ },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public void Is_billed_as_told(string story) => play.Check(nameof(SeveralIntervals), story);
}
