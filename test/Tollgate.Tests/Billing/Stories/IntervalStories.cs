namespace Tollgate.Tests.Billing.Stories;

/// <summary>Several intervals on one subscription, counted from one anchor.</summary>
public sealed class IntervalStories
{
    [Fact]
    public Task A_yearly_fee_stands_beside_the_usage_of_each_month() => TellAsync("""
        2026-01-31        start   anniversary month | base flat 365.00 advance year; data per_unit 0.01 data
        2026-01-31        invoice 2026-01-31..2026-02-28 base 365.00 = 365.00
        2026-02-10        use     data 100
        2026-02-28T01:00  invoice 2026-01-31..2026-02-28 data 1.00 = 1.00
        2026-03-01        use     data 200
        2026-03-31T01:00  invoice 2026-02-28..2026-03-31 data 2.00 = 2.00
        2027-01-31T01:00  invoice 2026-12-31..2027-01-31 base 365.00 = 365.00
        """);

    [Fact]
    public Task The_plan_with_a_yearly_and_a_monthly_fee_is_billed_by_the_month() => TellAsync("""
        2026-01-01        start   licence flat 1200.00 advance year; seat flat 10.00 arrears month
        2026-01-01        invoice 2026-01-01..2026-02-01 licence 1200.00 = 1200.00
        2026-02-01T01:00  invoice 2026-01-01..2026-02-01 seat 10.00 = 10.00
        2026-02-15        end
        2026-02-15T01:00  invoice 2026-02-01..2026-02-15 seat 14/28 5.00, licence 320/365 -1052.05 = -1047.05
        2027-03-01        quiet
        """);

    [Fact]
    public Task A_weekly_fee_runs_across_the_months() => TellAsync("""
        2026-01-05        start   anniversary month | week flat 7.00 arrears week; base flat 31.00 arrears month
        2026-01-12        invoice 2026-01-05..2026-02-05 week 7.00 = 7.00
        2026-01-19        invoice 2026-01-05..2026-02-05 week 7.00 = 7.00
        2026-01-26        invoice 2026-01-05..2026-02-05 week 7.00 = 7.00
        2026-02-02        invoice 2026-01-05..2026-02-05 week 7.00 = 7.00
        2026-02-05T01:00  invoice 2026-01-05..2026-02-05 base 31.00 = 31.00
        2026-02-06        end
        2026-02-06T01:00  invoice 2026-02-05..2026-02-06 week 4/7 4.00, base 1/28 1.11 = 5.11
        """);

    [Fact]
    public Task Days_and_quarters_are_periods_too() => TellAsync("""
        2026-10-24        start   anniversary day | data per_unit 0.01 data
        2026-10-24T22:00  use     data 100
        2026-10-25T01:00  invoice 2026-10-24..2026-10-25 data 1.00 = 1.00
        2026-10-25T23:00  use     data 200
        2026-10-26T01:00  invoice 2026-10-25..2026-10-26 data 2.00 = 2.00
        """, "Europe/Berlin");

    [Fact]
    public Task A_quarter_begins_with_the_calendar() => TellAsync("""
        2026-05-16        start   quarter | base flat 91.00 advance
        2026-05-16        invoice 2026-05-16..2026-07-01 base 46/91 46.00 = 46.00
        2026-07-01T01:00  invoice 2026-05-16..2026-07-01 base 91.00 = 91.00
        """);

    private static async Task TellAsync(string table, string zone = "UTC")
    {
        await using var story = new Story(zone);
        await story.TellAsync(table);
    }
}
