namespace Tollgate.Tests.Billing.Matrix;

/// <summary>Fees in arrears of calendar months: each of its terms is charged for its own days.</summary>
[Collection(PlayedMatrix.Name)]
public sealed class ArrearsByCalendar(MatrixPlay play)
{
    public static MatrixStories Stories { get; } = new()
    {
        { "upgrade", "Pacific/Auckland", "JPY", """
            2026-04-01        start    base flat 3000 arrears; data per_unit 0.5
            2026-04-10        use      3
            2026-04-11        change   base flat 6000 arrears; data per_unit 0.5
            2026-04-12        use      4
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 10/30 1000, data x7 4, base 20/30 4000 = 5004
            2026-05-01T01:00  end      period_end
            2026-06-01T01:00  invoice  2026-05-01..2026-06-01 base 6000 = 6000
            """ },
        { "downgrade", "Pacific/Kiritimati", "EUR", """
            2026-04-01        start    base flat 60.00 arrears
            2026-04-11        change   base flat 30.00 arrears
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 60.00 = 60.00
            2026-05-02        end      period_end
            2026-06-01T01:00  invoice  2026-05-01..2026-06-01 base 30.00 = 30.00
            """ },
        { "downgrade now", "Asia/Kolkata", "KWD", """
            2026-03-01        start    base flat 10.000 arrears
            2026-03-22        change   now | base flat 1.000 arrears
            2026-03-23        end      period_end
            2026-04-01T01:00  invoice  2026-03-01..2026-04-01 base 21/31 6.774, base 10/31 0.323 = 7.097
            """ },
        { "more seats", "America/Sao_Paulo", "CLF", """
            2026-04-01        start    x2 | seat flat 0.3000 arrears
            2026-04-16        change   x4 |
            2026-04-17        end      period_end
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 seat x2 15/30 0.3000, seat x4 15/30 0.6000 = 0.9000
            """ },
        { "fewer seats", "Pacific/Auckland", "EUR", """
            2026-04-01        start    x3 | seat flat 10.00 arrears
            2026-04-16        change   x1 |
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 seat x3 30.00 = 30.00
            2026-05-02        end      period_end
            2026-06-01T01:00  invoice  2026-05-01..2026-06-01 seat 10.00 = 10.00
            """ },
        { "cancel now", "America/New_York", "USD", """
            2026-04-01        start    base flat 30.00 arrears; data per_unit 0.01
            2026-04-02        use      100
            2026-04-11T23:59  end
            2026-04-12T00:58  quiet
            2026-04-12T00:59  invoice  2026-04-01..2026-04-11T23:59 base 10/30 10.00, data x100 1.00 = 11.00
            2026-06-01        quiet
            """ },
        { "cancel at the end of the month", "Pacific/Kiritimati", "JPY", """
            2026-04-01        start    base flat 3000 arrears
            2026-04-11        end      period_end
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 3000 = 3000
            2026-07-01        quiet
            """ },
        { "pause that ends by itself", "Asia/Kolkata", "USD", """
            2026-04-01        start    base flat 30.00 arrears
            2026-04-11        pause    2026-04-21
            2026-04-22        end      period_end
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 10/30 10.00, base 10/30 10.00 = 20.00
            """ },
        { "trial", "America/Sao_Paulo", "KWD", """
            2026-04-01        start    trial=2026-04-16 | base flat 3.000 arrears
            2026-04-20        end      period_end
            2026-05-01T01:00  invoice  2026-04-01..2026-05-01 base 15/30 1.500 = 1.500
            """ },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public void Is_billed_as_told(string story) => play.Check(nameof(ArrearsByCalendar), story);
}
