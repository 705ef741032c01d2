namespace Tollgate.Tests.Billing.Stories;

/// <summary>A dearer plan, now.</summary>
public sealed class UpgradeStories
{
    [Fact]
    public Task An_upgrade_gives_back_the_unused_days_and_charges_them_at_the_new_price() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance; data per_unit 0.01 data
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-10        use     data 100
        2026-04-11T18:00  change  base flat 60.00 advance; data per_unit 0.02 data
        2026-04-11T18:00  invoice 2026-04-01..2026-05-01 base 20/30 -20.00, base 20/30 40.00 = 20.00
        2026-04-12        use     data 100
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 data 1.00, data 2.00, base 60.00 = 63.00
        """);

    [Fact]
    public Task Counted_by_the_second_the_factor_is_of_the_time_that_is_left() => TellAsync("""
        2026-04-01        start   by-second | base flat 30.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-11T18:00  change  base flat 60.00 advance
        2026-04-11T18:00  invoice 2026-04-01..2026-05-01 base 1663200/2592000 -19.25, base 1663200/2592000 38.50 = 19.25
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 60.00 = 60.00
        """);

    [Fact]
    public Task An_upgrade_by_anniversary_keeps_the_day_of_billing() => TellAsync("""
        2026-01-31        start   anniversary | base flat 28.00 advance
        2026-01-31        invoice 2026-01-31..2026-02-28 base 28.00 = 28.00
        2026-02-14        change  base flat 56.00 advance
        2026-02-14        invoice 2026-01-31..2026-02-28 base 14/28 -14.00, base 14/28 28.00 = 14.00
        2026-02-28T01:00  invoice 2026-01-31..2026-02-28 base 56.00 = 56.00
        2026-03-31T01:00  invoice 2026-02-28..2026-03-31 base 56.00 = 56.00
        """);

    [Fact]
    public Task Two_upgrades_in_one_month_give_back_what_each_charged() => TellAsync("""
        2026-04-01        start   base flat 10.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 10.00 = 10.00
        2026-04-11        change  base flat 20.00 advance
        2026-04-11        invoice 2026-04-01..2026-05-01 base 20/30 -6.67, base 20/30 13.33 = 6.66
        2026-04-21        change  base flat 40.00 advance
        2026-04-21        invoice 2026-04-01..2026-05-01 base 10/30 -6.67, base 10/30 13.33 = 6.66
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 40.00 = 40.00
        """);

    [Fact]
    public Task Two_upgrades_at_one_instant_leave_nothing_of_the_one_between() => TellAsync("""
        2026-04-01        start   base flat 10.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 10.00 = 10.00
        2026-04-01        change  base flat 20.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base -10.00, base 20.00 = 10.00
        2026-04-01        change  base flat 40.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base -20.00, base 40.00 = 20.00
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 40.00 = 40.00
        """);

    [Fact]
    public Task In_arrears_both_fees_stand_on_the_invoice_of_the_month() => TellAsync("""
        2026-04-01        start   base flat 30.00 arrears
        2026-04-11        change  base flat 60.00 arrears
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 10/30 10.00, base 20/30 40.00 = 50.00
        """);

    [Fact]
    public Task In_a_leap_year_a_yearly_fee_has_366_days() => TellAsync("""
        2024-01-01        start   year | base flat 366.00 advance
        2024-01-01        invoice 2024-01-01..2025-01-01 base 366.00 = 366.00
        2024-03-01        change  base flat 732.00 advance
        2024-03-01        invoice 2024-01-01..2025-01-01 base 306/366 -306.00, base 306/366 612.00 = 306.00
        2025-01-01T01:00  invoice 2024-01-01..2025-01-01 base 732.00 = 732.00
        """);

    [Fact]
    public Task From_months_to_years_the_year_begins_with_the_change() => TellAsync("""
        2026-04-01        start   anniversary | base flat 30.00 advance; data per_unit 0.01 data
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-05        use     data 100
        2026-04-11        change  now year | base flat 300.00 advance; data per_unit 0.01 data
        2026-04-11T01:00  invoice 2026-04-01..2026-04-11 data 1.00, base 20/30 -20.00, base 300.00 = 281.00
        2027-04-11T01:00  invoice 2026-04-11..2027-04-11 base 300.00 = 300.00
        """);

    [Fact]
    public Task The_day_of_an_upgrade_is_the_local_day() => TellAsync("""
        2026-04-01        start   base flat 3000 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 3000 = 3000
        2026-04-11T00:30  change  base flat 6000 advance
        2026-04-11T00:30  invoice 2026-04-01..2026-05-01 base 20/30 -2000, base 20/30 4000 = 2000
        """, "Asia/Tokyo", "JPY");

    [Fact]
    public Task Three_digits_of_a_dinar_are_kept() => TellAsync("""
        2026-01-01        start   base flat 1.000 advance
        2026-01-01        invoice 2026-01-01..2026-02-01 base 1.000 = 1.000
        2026-01-22        change  base flat 2.000 advance
        2026-01-22        invoice 2026-01-01..2026-02-01 base 10/31 -0.323, base 10/31 0.645 = 0.322
        """, "Asia/Kuwait", "KWD");

    [Fact]
    public Task A_month_in_which_clocks_change_has_its_31_days() => TellAsync("""
        2026-03-01        start   base flat 31.00 advance
        2026-03-01        invoice 2026-03-01..2026-04-01 base 31.00 = 31.00
        2026-03-29T12:00  change  base flat 62.00 advance
        2026-03-29T12:00  invoice 2026-03-01..2026-04-01 base 3/31 -3.00, base 3/31 6.00 = 3.00
        """, "Europe/Paris");


    private static async Task TellAsync(string table, string zone = "UTC", string currency = "USD")
    {
        await using var story = new Story(zone, currency);
        await story.TellAsync(table);
    }
}
