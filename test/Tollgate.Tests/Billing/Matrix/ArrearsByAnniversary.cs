namespace Tollgate.Tests.Billing.Matrix;

/// <summary>Fees in arrears of months that begin on the day of the start.</summary>
[Collection(PlayedMatrix.Name)]
public sealed class ArrearsByAnniversary(MatrixPlay play)
{
    public static MatrixStories Stories { get; } = new()
    {
        { "upgrade", "Asia/Kolkata", "EUR", """
            2026-01-31        start    anniversary | base flat 28.00 arrears
            2026-02-14        change   base flat 56.00 arrears
            2026-02-15        end      period_end
            2026-02-28T01:00  invoice  2026-01-31..2026-02-28 base 14/28 14.00, base 14/28 28.00 = 42.00
            """ },
        { "downgrade", "America/Sao_Paulo", "JPY", """
            2026-03-15        start    anniversary | base flat 6200 arrears
            2026-04-01        change   base flat 3100 arrears
            2026-04-15T01:00  invoice  2026-03-15..2026-04-15 base 6200 = 6200
            2026-04-16        end      period_end
            2026-05-15T01:00  invoice  2026-04-15..2026-05-15 base 3100 = 3100
            """ },
        { "downgrade now", "America/New_York", "USD", """
            2026-03-15        start    anniversary | base flat 62.00 arrears
            2026-04-05        change   now | base flat 31.00 arrears
            2026-04-06        end      period_end
            2026-04-15T01:00  invoice  2026-03-15..2026-04-15 base 21/31 42.00, base 10/31 10.00 = 52.00
            """ },
        { "more seats", "Pacific/Auckland", "KWD", """
            2026-03-20        start    anniversary | seat flat 3.100 arrears
            2026-04-10T23:30  change   x2 |
            2026-04-11        end      period_end
            2026-04-20T01:00  invoice  2026-03-20..2026-04-20 seat 21/31 2.100, seat x2 10/31 2.000 = 4.100
            """ },
        { "fewer seats", "Pacific/Kiritimati", "CLF", """
            2026-03-20        start    anniversary x3 | seat flat 0.1000 arrears
            2026-04-10        change   x1 |
            2026-04-20T01:00  invoice  2026-03-20..2026-04-20 seat x3 0.3000 = 0.3000
            2026-04-21        end      period_end
            2026-05-20T01:00  invoice  2026-04-20..2026-05-20 seat 0.1000 = 0.1000
            """ },
        { "cancel now", "America/New_York", "USD", """
            2026-10-15        start    anniversary | base flat 31.00 arrears; data per_unit 0.01
            2026-11-01T01:30  use      9
            2026-11-01T12:00  end
            2026-11-01T13:00  invoice  2026-10-15..2026-11-01T12:00 base 17/31 17.00, data x9 0.09 = 17.09
            2027-01-01        quiet
            """ },
        { "cancel at the end of the month", "Pacific/Auckland", "EUR", """
            2026-08-31        start    anniversary | base flat 30.00 arrears
            2026-09-10        end      period_end
            2026-09-30T01:00  invoice  2026-08-31..2026-09-30 base 30.00 = 30.00
            2026-12-01        quiet
            """ },
        { "pause and resume", "America/Sao_Paulo", "EUR", """
            2026-04-10        start    anniversary | base flat 30.00 arrears
            2026-04-20        pause
            2026-04-30        resume
            2026-05-01        end      period_end
            2026-05-10T01:00  invoice  2026-04-10..2026-05-10 base 10/30 10.00, base 10/30 10.00 = 20.00
            """ },
        { "trial", "Pacific/Kiritimati", "USD", """
            2026-05-01        start    anniversary trial=2026-05-15 | base flat 31.00 arrears
            2026-05-20        end      period_end
            2026-06-15T01:00  invoice  2026-05-15..2026-06-15 base 31.00 = 31.00
            """ },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public void Is_billed_as_told(string story) => play.Check(nameof(ArrearsByAnniversary), story);
}
