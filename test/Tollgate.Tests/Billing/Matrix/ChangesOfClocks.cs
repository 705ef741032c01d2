namespace Tollgate.Tests.Billing.Matrix;

/// <summary>Days of 23 and 25 hours, and midnights that do not exist: a day is a day.</summary>
[Collection(PlayedMatrix.Name)]
public sealed class ChangesOfClocks(MatrixPlay play)
{
    public static MatrixStories Stories { get; } = new()
    {
        { "upgrade on the long day", "Pacific/Auckland", "EUR", """
            2026-04-01        start    base flat 30.00 advance
            2026-04-01        invoice  2026-04-01..2026-05-01 base 30.00 = 30.00
            2026-04-05T02:30  change   base flat 60.00 advance
            2026-04-05T02:30  invoice  2026-04-01..2026-05-01 base 26/30 -26.00, base 26/30 52.00 = 26.00
            2026-04-06        end      period_end
            2026-06-01        quiet
            """ },
        { "cancel on the short day", "Pacific/Auckland", "JPY", """
            2026-09-01        start    base flat 3000 arrears
            2026-09-27T12:00  end
            2026-09-27T13:00  invoice  2026-09-01..2026-09-27T12:00 base 26/30 2600 = 2600
            2026-11-01        quiet
            """ },
        { "usage of the last hour of the month in which clocks change", "America/New_York", "USD", """
            2026-03-01        start    data per_unit 0.01
            2026-03-08T03:00  use      1
            2026-03-31T23:59  use      10
            2026-04-01T00:00  use      100
            2026-04-01T01:00  invoice  2026-03-01..2026-04-01 data x11 0.11 = 0.11
            2026-04-02        end      period_end
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 data x100 1.00 = 1.00
            """ },
        { "upgrade by the second in a month that lacks an hour", "America/New_York", "USD", """
            2026-03-01        start    by-second | base flat 26748.00 advance
            2026-03-01        invoice  2026-03-01..2026-04-01 base 26748.00 = 26748.00
            2026-03-08T12:00  change   base flat 53496.00 advance
            2026-03-08T12:00  invoice  2026-03-01..2026-04-01 base 2030400/2674800 -20304.00, base 2030400/2674800 40608.00 = 20304.00
            2026-03-09        end      period_end
            2026-06-01        quiet
            """ },
        { "cancel by the second in a month with an hour more", "America/New_York", "USD", """
            2026-11-01        start    by-second | base flat 25956.00 arrears
            2026-11-01T12:00  end
            2026-11-01T13:00  invoice  2026-11-01..2026-11-01T12:00 base 46800/2595600 468.00 = 468.00
            2027-01-01        quiet
            """ },
        { "a month that begins in an hour that is not", "America/Santiago", "CLF", """
            2026-08-06        start    anniversary | base flat 3.1000 advance
            2026-08-06        invoice  2026-08-06..2026-09-06T01:00 base 3.1000 = 3.1000
            2026-09-06T02:00  invoice  2026-08-06..2026-09-06T01:00 base 3.1000 = 3.1000
            2026-09-16        change   now | base flat 6.2000 advance
            2026-09-16        invoice  2026-09-06T01:00..2026-10-06 base 20/30 -2.0667, base 20/30 4.1333 = 2.0666
            2026-09-17        end      period_end
            2026-12-01        quiet
            """ },
        { "days of 23 and 25 hours are days", "Pacific/Auckland", "USD", """
            2026-04-04        start    anniversary day | base flat 1.00 arrears; data per_unit 0.01
            2026-04-05T01:00  invoice  2026-04-04..2026-04-05 base 1.00 = 1.00
            2026-04-05T23:59  use      5
            2026-04-06T01:00  invoice  2026-04-05..2026-04-06 base 1.00, data x5 0.05 = 1.05
            2026-04-06T02:00  end
            2026-04-06T03:00  quiet
            """ },
        { "no clock changes where none is kept", "Asia/Kolkata", "EUR", """
            2026-03-29T02:30  start    base flat 31.00 advance
            2026-03-29T02:30  invoice  2026-03-29T02:30..2026-04-01 base 3/31 3.00 = 3.00
            2026-03-30        end      period_end
            2026-06-01        quiet
            """ },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public void Is_billed_as_told(string story) => play.Check(nameof(ChangesOfClocks), story);
}
