namespace Tollgate.Tests.Billing.Stories;

/// <summary>The end of a subscription, and what comes after it.</summary>
public sealed class CancelStories
{
    [Fact]
    public Task Cancelled_now_the_unused_days_of_a_fee_in_advance_are_given_back() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance; data per_unit 0.01 data
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-05        use     data 100
        2026-04-11T10:00  end
        2026-04-11T11:00  invoice 2026-04-01..2026-04-11T10:00 data 1.00, base 20/30 -20.00 = -19.00
        2026-07-01        quiet
        """);

    [Fact]
    public Task Cancelled_at_the_end_of_the_period_nothing_is_given_back() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance; data per_unit 0.01 data
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-11        end     period_end
        2026-04-30T23:00  use     data 100
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 data 1.00 = 1.00
        2026-07-01        quiet
        """);

    [Fact]
    public Task Cancelled_on_a_date_the_month_of_that_date_is_charged_in_part() => TellAsync("""
        2026-04-01        start   base flat 31.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 31.00 = 31.00
        2026-04-11        end     2026-05-11
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 10/31 10.00 = 10.00
        2026-07-01        quiet
        """);

    [Fact]
    public Task Cancelled_in_the_instant_of_its_start_all_is_given_back() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-01        end
        2026-04-01T01:00  invoice 2026-04-01..2026-04-01 base -30.00 = -30.00
        2026-07-01        quiet
        """);

    [Fact]
    public Task A_cancellation_that_is_taken_back_changes_nothing() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-11        end     period_end
        2026-04-12        reactivate
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-06-01T01:00  invoice 2026-05-01..2026-06-01 base 30.00 = 30.00
        """);

    [Fact]
    public Task Who_comes_back_pays_from_the_day_of_coming_back() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-11        end
        2026-04-11T01:00  invoice 2026-04-01..2026-04-11 base 20/30 -20.00 = -20.00
        2026-06-21        reactivate
        2026-06-21        invoice 2026-06-21..2026-07-01 base 10/30 10.00 = 10.00
        2026-07-01T01:00  invoice 2026-06-21..2026-07-01 base 30.00 = 30.00
        """);

    [Fact]
    public Task Cancelled_on_the_last_day_that_day_is_given_back_and_no_more() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-30T23:00  end
        2026-05-01        invoice 2026-04-01..2026-04-30T23:00 base 1/30 -1.00 = -1.00
        2026-07-01        quiet
        """);


    private static async Task TellAsync(string table, string zone = "UTC", string currency = "USD")
    {
        await using var story = new Story(zone, currency);
        await story.TellAsync(table);
    }
}
