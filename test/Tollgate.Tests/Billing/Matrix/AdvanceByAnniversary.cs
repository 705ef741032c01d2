namespace Tollgate.Tests.Billing.Matrix;

/// <summary>Fees in advance of months that begin on the day of the start.</summary>
[Collection(PlayedMatrix.Name)]
public sealed class AdvanceByAnniversary(MatrixPlay play)
{
    public static MatrixStories Stories { get; } = new()
    {
        { "upgrade", "Asia/Kolkata", "EUR", """
            2026-01-31        start    anniversary | base flat 28.00 advance
            2026-01-31        invoice  2026-01-31..2026-02-28 base 28.00 = 28.00
            2026-02-14        change   base flat 56.00 advance
            2026-02-14        invoice  2026-01-31..2026-02-28 base 14/28 -14.00, base 14/28 28.00 = 14.00
            2026-02-28T01:00  invoice  2026-01-31..2026-02-28 base 56.00 = 56.00
            2026-03-31T01:00  invoice  2026-02-28..2026-03-31 base 56.00 = 56.00
            2026-04-01        end      period_end
            """ },
        { "upgrade twice", "Pacific/Auckland", "JPY", """
            2026-03-10        start    anniversary | base flat 1000 advance
            2026-03-10        invoice  2026-03-10..2026-04-10 base 1000 = 1000
            2026-03-20        change   base flat 2000 advance
            2026-03-20        invoice  2026-03-10..2026-04-10 base 21/31 -677, base 21/31 1355 = 678
            2026-04-04        change   base flat 4000 advance
            2026-04-04        invoice  2026-03-10..2026-04-10 base 6/31 -387, base 6/31 774 = 387
            2026-04-10T01:00  invoice  2026-03-10..2026-04-10 base 4000 = 4000
            2026-04-11        end      period_end
            """ },
        { "downgrade", "America/Sao_Paulo", "JPY", """
            2026-03-15        start    anniversary | base flat 6200 advance
            2026-03-15        invoice  2026-03-15..2026-04-15 base 6200 = 6200
            2026-04-01        change   base flat 3100 advance
            2026-04-15T01:00  invoice  2026-03-15..2026-04-15 base 3100 = 3100
            2026-04-16        end      period_end
            """ },
        { "downgrade now", "America/New_York", "USD", """
            2026-03-15        start    anniversary | base flat 62.00 advance
            2026-03-15        invoice  2026-03-15..2026-04-15 base 62.00 = 62.00
            2026-04-05        change   now | base flat 31.00 advance
            2026-04-05        invoice  2026-03-15..2026-04-15 base 10/31 -20.00, base 10/31 10.00 = -10.00
            2026-04-15T01:00  invoice  2026-03-15..2026-04-15 base 31.00 = 31.00
            2026-04-16        end      period_end
            """ },
        { "more seats", "Pacific/Auckland", "KWD", """
            2026-03-20        start    anniversary | seat flat 3.100 advance
            2026-03-20        invoice  2026-03-20..2026-04-20 seat 3.100 = 3.100
            2026-04-10T23:30  change   x2 |
            2026-04-10T23:30  invoice  2026-03-20..2026-04-20 seat 10/31 -1.000, seat x2 10/31 2.000 = 1.000
            2026-04-20T01:00  invoice  2026-03-20..2026-04-20 seat x2 6.200 = 6.200
            2026-04-21        end      period_end
            """ },
        { "fewer seats", "Pacific/Kiritimati", "CLF", """
            2026-03-20        start    anniversary x3 | seat flat 0.1000 advance
            2026-03-20        invoice  2026-03-20..2026-04-20 seat x3 0.3000 = 0.3000
            2026-04-10        change   x1 |
            2026-04-20T01:00  invoice  2026-03-20..2026-04-20 seat 0.1000 = 0.1000
            2026-04-21        end      period_end
            """ },
        { "cancel now", "America/New_York", "USD", """
            2026-10-15        start    anniversary | base flat 31.00 advance
            2026-10-15        invoice  2026-10-15..2026-11-15 base 31.00 = 31.00
            2026-11-01T12:00  end
            2026-11-01T13:00  invoice  2026-10-15..2026-11-01T12:00 base 14/31 -14.00 = -14.00
            2027-01-01        quiet
            """ },
        { "cancel at the end of the month", "Asia/Kolkata", "EUR", """
            2026-01-31        start    anniversary | base flat 28.00 advance; data per_unit 0.01
            2026-01-31        invoice  2026-01-31..2026-02-28 base 28.00 = 28.00
            2026-02-14        end      period_end
            2026-02-27T23:59  use      100
            2026-02-28T01:00  invoice  2026-01-31..2026-02-28 data x100 1.00 = 1.00
            2026-05-01        quiet
            """ },
        { "pause and resume", "America/Sao_Paulo", "EUR", """
            2026-04-10        start    anniversary | base flat 30.00 advance
            2026-04-10        invoice  2026-04-10..2026-05-10 base 30.00 = 30.00
            2026-04-20        pause
            2026-04-20        invoice  2026-04-10..2026-05-10 base 20/30 -20.00 = -20.00
            2026-05-20        resume
            2026-05-20        invoice  2026-05-10..2026-06-10 base 21/31 20.32 = 20.32
            2026-06-10T01:00  invoice  2026-05-10..2026-06-10 base 30.00 = 30.00
            2026-06-11        end      period_end
            """ },
        { "trial", "Pacific/Auckland", "KWD", """
            2026-05-01        start    anniversary trial=2026-05-15 | base flat 3.100 advance; data per_unit 0.001
            2026-05-10        use      500
            2026-05-15        invoice  2026-05-01..2026-05-15 base 3.100 = 3.100
            2026-05-20        use      100
            2026-06-15T01:00  invoice  2026-05-15..2026-06-15 data x100 0.100, base 3.100 = 3.200
            2026-06-16        end      period_end
            """ },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public void Is_billed_as_told(string story) => play.Check(nameof(AdvanceByAnniversary), story);
}
