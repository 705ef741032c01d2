namespace Tollgate.Tests.Billing.Matrix;

/// <summary>Fees in advance of calendar months; every part is counted in local days.</summary>
[Collection(PlayedMatrix.Name)]
public sealed class AdvanceByCalendar(MatrixPlay play)
{
    public static MatrixStories Stories { get; } = new()
    {
        { "upgrade", "Pacific/Auckland", "EUR", """
            2026-04-01        start    base flat 30.00 advance; data per_unit 0.01
            2026-04-01        invoice  2026-04-01..2026-05-01 base 30.00 = 30.00
            2026-04-10T23:59  use      100
            2026-04-11T00:30  change   base flat 60.00 advance; data per_unit 0.02
            2026-04-11T00:30  invoice  2026-04-01..2026-05-01 base 20/30 -20.00, base 20/30 40.00 = 20.00
            2026-04-11T12:00  use      50
            2026-05-01T00:59  quiet
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 data x100 1.00, data x50 1.00, base 60.00 = 62.00
            2026-05-02        end      period_end
            2026-07-01        quiet
            """ },
        { "upgrade at the end of the month", "America/New_York", "USD", """
            2026-04-01        start    base flat 30.00 advance
            2026-04-01        invoice  2026-04-01..2026-05-01 base 30.00 = 30.00
            2026-04-11        change   period_end | base flat 60.00 advance
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 60.00 = 60.00
            2026-05-02        end      period_end
            """ },
        { "downgrade", "Pacific/Kiritimati", "JPY", """
            2026-04-01        start    base flat 6000 advance
            2026-04-01        invoice  2026-04-01..2026-05-01 base 6000 = 6000
            2026-04-11        change   base flat 3000 advance
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 3000 = 3000
            2026-05-02        end      period_end
            """ },
        { "downgrade now", "Asia/Kolkata", "KWD", """
            2026-03-01        start    base flat 10.000 advance
            2026-03-01        invoice  2026-03-01..2026-04-01 base 10.000 = 10.000
            2026-03-22        change   now | base flat 1.000 advance
            2026-03-22        invoice  2026-03-01..2026-04-01 base 10/31 -3.226, base 10/31 0.323 = -2.903
            2026-04-01T01:00  invoice  2026-03-01..2026-04-01 base 1.000 = 1.000
            2026-04-02        end      period_end
            """ },
        { "more seats", "America/Sao_Paulo", "CLF", """
            2026-05-01        start    x2 | seat flat 1.5000 advance
            2026-05-01        invoice  2026-05-01..2026-06-01 seat x2 3.0000 = 3.0000
            2026-05-21        change   x3 |
            2026-05-21        invoice  2026-05-01..2026-06-01 seat x2 11/31 -1.0645, seat x3 11/31 1.5968 = 0.5323
            2026-06-01T01:00  invoice  2026-05-01..2026-06-01 seat x3 4.5000 = 4.5000
            2026-06-02        end      period_end
            """ },
        { "fewer seats", "America/New_York", "USD", """
            2026-05-01        start    x3 | seat flat 10.00 advance
            2026-05-01        invoice  2026-05-01..2026-06-01 seat x3 30.00 = 30.00
            2026-05-21        change   x1 |
            2026-06-01T01:00  invoice  2026-05-01..2026-06-01 seat 10.00 = 10.00
            2026-06-02        end      period_end
            """ },
        { "cancel now", "America/New_York", "USD", """
            2026-03-01        start    base flat 31.00 advance; data per_unit 0.01
            2026-03-01        invoice  2026-03-01..2026-04-01 base 31.00 = 31.00
            2026-03-08T03:30  use      7
            2026-03-08T12:00  end
            2026-03-08T13:00  invoice  2026-03-01..2026-03-08T12:00 data x7 0.07, base 24/31 -24.00 = -23.93
            2026-06-01        quiet
            """ },
        { "cancel at the end of the month", "Pacific/Auckland", "EUR", """
            2026-04-01        start    base flat 30.00 advance; data per_unit 0.01
            2026-04-01        invoice  2026-04-01..2026-05-01 base 30.00 = 30.00
            2026-04-11        end      period_end
            2026-04-30T23:59  use      100
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 data x100 1.00 = 1.00
            2026-07-01        quiet
            """ },
        { "cancel on a date", "Pacific/Kiritimati", "USD", """
            2026-04-01        start    base flat 31.00 advance
            2026-04-01        invoice  2026-04-01..2026-05-01 base 31.00 = 31.00
            2026-04-11        end      2026-05-11
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 10/31 10.00 = 10.00
            2026-07-01        quiet
            """ },
        { "cancel and come back", "America/Sao_Paulo", "EUR", """
            2026-04-01        start    base flat 30.00 advance
            2026-04-01        invoice  2026-04-01..2026-05-01 base 30.00 = 30.00
            2026-04-11        end
            2026-04-11T01:00  invoice  2026-04-01..2026-04-11 base 20/30 -20.00 = -20.00
            2026-06-21        reactivate
            2026-06-21        invoice  2026-06-21..2026-07-01 base 10/30 10.00 = 10.00
            2026-06-22        end      period_end
            2026-08-01        quiet
            """ },
        { "pause and resume", "Pacific/Auckland", "JPY", """
            2026-04-01        start    base flat 3000 advance
            2026-04-01        invoice  2026-04-01..2026-05-01 base 3000 = 3000
            2026-04-11        pause
            2026-04-11        invoice  2026-04-01..2026-05-01 base 20/30 -2000 = -2000
            2026-06-21        resume
            2026-06-21        invoice  2026-06-01..2026-07-01 base 10/30 1000 = 1000
            2026-07-01T01:00  invoice  2026-06-01..2026-07-01 base 3000 = 3000
            2026-07-02        end      period_end
            """ },
        { "trial", "Asia/Kolkata", "USD", """
            2026-01-08        start    trial=2026-01-22 | base flat 31.00 advance; data per_unit 0.01
            2026-01-10        use      500
            2026-01-22        invoice  2026-01-08..2026-02-01 base 10/31 10.00 = 10.00
            2026-01-23        use      100
            2026-02-01T01:00  invoice  2026-01-08..2026-02-01 data x100 1.00, base 31.00 = 32.00
            2026-02-02        end      period_end
            """ },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public void Is_billed_as_told(string story) => play.Check(nameof(AdvanceByCalendar), story);
}
