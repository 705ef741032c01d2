namespace Tollgate.Tests.Billing.Stories;

/// <summary>A cheaper plan, at the end of what is paid.</summary>
public sealed class DowngradeStories
{
    [Fact]
    public Task A_downgrade_waits_for_the_end_of_the_month_and_gives_nothing_back() => TellAsync("""
        2026-04-01        start   base flat 60.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 60.00 = 60.00
        2026-04-11        change  base flat 30.00 advance
        2026-04-30        quiet
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        """);

    [Fact]
    public Task A_downgrade_now_gives_back_more_than_it_charges() => TellAsync("""
        2026-04-01        start   base flat 60.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 60.00 = 60.00
        2026-04-11        change  now | base flat 30.00 advance
        2026-04-11        invoice 2026-04-01..2026-05-01 base 20/30 -40.00, base 20/30 20.00 = -20.00
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        """);

    [Fact]
    public Task An_upgrade_after_a_downgrade_that_is_to_come_takes_its_place() => TellAsync("""
        2026-04-01        start   base flat 60.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 60.00 = 60.00
        2026-04-11        change  base flat 30.00 advance
        2026-04-21        change  base flat 90.00 advance
        2026-04-21        invoice 2026-04-01..2026-05-01 base 10/30 -20.00, base 10/30 30.00 = 10.00
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 90.00 = 90.00
        """);

    [Fact]
    public Task A_yearly_plan_is_downgraded_when_its_year_is_over() => TellAsync("""
        2026-02-01        start   anniversary year | base flat 600.00 advance
        2026-02-01        invoice 2026-02-01..2027-02-01 base 600.00 = 600.00
        2026-06-01        change  base flat 300.00 advance
        2027-02-01T01:00  invoice 2026-02-01..2027-02-01 base 300.00 = 300.00
        """);


    private static async Task TellAsync(string table, string zone = "UTC", string currency = "USD")
    {
        await using var story = new Story(zone, currency);
        await story.TellAsync(table);
    }
}
