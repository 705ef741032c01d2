namespace Tollgate.Tests.Billing.Matrix;

/// <summary>2024 and 2028 have a 29th of February; anchors on days that not every month has.</summary>
[Collection(PlayedMatrix.Name)]
public sealed class LeapYears(MatrixPlay play)
{
    public static MatrixStories Stories { get; } = new()
    {
        { "a month of 29 days, upgraded on the leap day", "Pacific/Auckland", "EUR", """
            2024-02-01        start    base flat 29.00 advance
            2024-02-01        invoice  2024-02-01..2024-03-01 base 29.00 = 29.00
            2024-02-29        change   base flat 58.00 advance
            2024-02-29        invoice  2024-02-01..2024-03-01 base 1/29 -1.00, base 1/29 2.00 = 1.00
            2024-03-01T01:00  invoice  2024-02-01..2024-03-01 base 58.00 = 58.00
            2024-03-02        end      period_end
            """ },
        { "from the 31st over the leap day", "Asia/Kolkata", "JPY", """
            2024-01-31        start    anniversary month | base flat 3100 advance
            2024-01-31        invoice  2024-01-31..2024-02-29 base 3100 = 3100
            2024-02-29T01:00  invoice  2024-01-31..2024-02-29 base 3100 = 3100
            2024-03-31T01:00  invoice  2024-02-29..2024-03-31 base 3100 = 3100
            2024-04-30T01:00  invoice  2024-03-31..2024-04-30 base 3100 = 3100
            2024-05-01        end      period_end
            """ },
        { "from the 30th, cancelled on the leap day", "America/New_York", "USD", """
            2024-01-30        start    anniversary month | base flat 30.00 arrears
            2024-02-29T00:00  end
            2024-02-29T01:00  invoice  2024-01-30..2024-02-29 base 30.00 = 30.00
            2024-05-01        quiet
            """ },
        { "a year from the leap day ends on the 28th", "Pacific/Kiritimati", "CLF", """
            2024-02-29        start    anniversary year | base flat 3.6500 advance year
            2024-02-29        invoice  2024-02-29..2025-02-28 base 3.6500 = 3.6500
            2025-02-28T01:00  invoice  2024-02-29..2025-02-28 base 3.6500 = 3.6500
            2025-03-01        end      period_end
            """ },
        { "a year of 366 days, upgraded on its 60th", "America/Sao_Paulo", "KWD", """
            2024-01-01        start    year | base flat 366.000 advance
            2024-01-01        invoice  2024-01-01..2025-01-01 base 366.000 = 366.000
            2024-02-29        change   base flat 732.000 advance
            2024-02-29        invoice  2024-01-01..2025-01-01 base 307/366 -307.000, base 307/366 614.000 = 307.000
            2024-03-01        end      period_end
            2025-02-01        quiet
            """ },
        { "a year over the leap day, in arrears", "America/New_York", "USD", """
            2027-03-01        start    anniversary year | base flat 366.00 arrears
            2028-02-29        end
            2028-02-29T01:00  invoice  2027-03-01..2028-02-29 base 365/366 365.00 = 365.00
            2028-06-01        quiet
            """ },
        { "paused over the leap day", "Pacific/Auckland", "USD", """
            2028-02-01        start    base flat 29.00 arrears
            2028-02-29        pause    2028-03-01
            2028-03-01T01:00  invoice  2028-02-01..2028-03-01 base 28/29 28.00 = 28.00
            2028-03-01T02:00  end      period_end
            2028-04-01T01:00  invoice  2028-03-01..2028-04-01 base 29.00 = 29.00
            """ },
        { "a day in the quarter more", "Asia/Kolkata", "EUR", """
            2028-01-01        start    quarter | base flat 91.00 advance
            2028-01-01        invoice  2028-01-01..2028-04-01 base 91.00 = 91.00
            2028-02-29T12:00  end
            2028-02-29T13:00  invoice  2028-01-01..2028-02-29T12:00 base 32/91 -32.00 = -32.00
            2028-06-01        quiet
            """ },
    };

    [Theory]
    [MemberData(nameof(Stories))]
    public void Is_billed_as_told(string story) => play.Check(nameof(LeapYears), story);
}
