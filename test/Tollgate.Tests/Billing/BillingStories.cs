namespace Tollgate.Tests.Billing;

/// <summary>What is billed when, told day by day.</summary>
public sealed class BillingStories
{
    [Fact]
    public Task A_base_fee_in_arrears_and_usage_are_billed_an_hour_after_the_month() => TellAsync("""
        2026-01-01        start   base flat 49.00 arrears; data per_unit 0.01 data; analytics per_unit 0.05 analytics
        2026-01-10        use     data 1000
        2026-01-12        use     analytics 77
        2026-01-31T23:45  use     data 234
        2026-02-01T00:59  quiet
        2026-02-01T01:00  invoice 2026-01-01..2026-02-01 base 49.00, data 12.34, analytics 3.85 = 65.19
        2026-02-10        use     data 1
        2026-03-01T01:00  invoice 2026-02-01..2026-03-01 base 49.00, data 0.01 = 49.01
        """);

    [Fact]
    public Task A_base_fee_in_advance_is_billed_at_the_start_and_then_with_the_usage_of_the_month_before() => TellAsync("""
        2026-01-01        start   base flat 49.00 advance; data per_unit 0.01 data
        2026-01-01        invoice 2026-01-01..2026-02-01 base 49.00 = 49.00
        2026-01-10        use     data 100
        2026-02-01T01:00  invoice 2026-01-01..2026-02-01 data 1.00, base 49.00 = 50.00
        2026-03-01T01:00  invoice 2026-02-01..2026-03-01 base 49.00 = 49.00
        """);

    [Fact]
    public Task A_subscription_that_starts_in_the_month_pays_its_part_of_it() => TellAsync("""
        2026-01-20T14:30  start   base flat 31.00 arrears; seat flat 62.00 advance; data per_unit 0.01 data
        2026-01-20T14:30  invoice 2026-01-20T14:30..2026-02-01 seat 12/31 24.00 = 24.00
        2026-01-21        use     data 50
        2026-02-01T01:00  invoice 2026-01-20T14:30..2026-02-01 base 12/31 12.00, data 0.50, seat 62.00 = 74.50
        """);

    [Fact]
    public Task A_new_version_of_prices_splits_the_month_and_the_day_of_change_is_new() => TellAsync("""
        2026-04-01        start   base flat 30.00 arrears; data per_unit 0.01 data
        2026-04-10        use     data 100
        2026-04-11T12:00  version base flat 60.00 arrears; data per_unit 0.02 data
        2026-04-12        use     data 100
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 10/30 10.00, data 1.00, base 20/30 40.00, data 2.00 = 53.00
        2026-06-01T01:00  invoice 2026-05-01..2026-06-01 base 60.00 = 60.00
        """);

    [Fact]
    public Task Two_new_versions_on_one_day_bill_only_the_usage_of_the_one_between() => TellAsync("""
        2026-04-01        start   base flat 30.00 arrears; data per_unit 0.01 data
        2026-04-11T08:00  version base flat 99.00 arrears; data per_unit 0.03 data
        2026-04-11T09:00  use     data 100
        2026-04-11T12:00  version base flat 60.00 arrears; data per_unit 0.02 data
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 10/30 10.00, data 3.00, base 20/30 40.00 = 53.00
        """);

    [Fact]
    public Task What_is_left_of_a_fee_in_advance_is_given_back_when_a_new_version_or_the_end_comes() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-11        version base flat 60.00 advance
        2026-04-11        invoice 2026-04-01..2026-05-01 base 20/30 -20.00, base 20/30 40.00 = 20.00
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 60.00 = 60.00
        2026-05-10        end
        2026-05-10T01:00  invoice 2026-05-01..2026-05-10 base 22/31 -42.58 = -42.58
        2026-07-01        quiet
        """);

    [Fact]
    public Task A_subscription_that_ends_in_the_month_is_billed_at_its_end() => TellAsync("""
        2026-01-01        start   base flat 31.00 arrears; data per_unit 0.01 data
        2026-01-05        use     data 1000
        2026-01-10T14:00  end
        2026-01-10T14:59  quiet
        2026-01-10T15:00  invoice 2026-01-01..2026-01-10T14:00 base 9/31 9.00, data 10.00 = 19.00
        2026-06-01        quiet
        """);

    [Fact]
    public Task An_end_known_before_the_month_shortens_its_fee_in_advance() => TellAsync("""
        2026-01-01        start   base flat 31.00 advance
        2026-01-01        invoice 2026-01-01..2026-02-01 base 31.00 = 31.00
        2026-01-20        end     2026-02-10
        2026-02-01T01:00  invoice 2026-01-01..2026-02-01 base 9/28 9.96 = 9.96
        2026-04-01        quiet
        """);

    [Fact]
    public Task A_subscription_that_ends_with_the_month_has_one_last_invoice() => TellAsync("""
        2026-01-01        start   base flat 31.00 advance; data per_unit 0.01 data
        2026-01-01        invoice 2026-01-01..2026-02-01 base 31.00 = 31.00
        2026-01-20        use     data 100
        2026-02-01        end
        2026-02-01T01:00  invoice 2026-01-01..2026-02-01 data 1.00 = 1.00
        2026-04-01        quiet
        """);

    [Fact]
    public Task An_end_that_is_moved_behind_an_issued_invoice_bills_nothing_twice() => TellAsync("""
        2026-01-01        start   base flat 31.00 arrears; data per_unit 0.01 data
        2026-01-20        use     data 100
        2026-02-01T01:00  invoice 2026-01-01..2026-02-01 base 31.00, data 1.00 = 32.00
        2026-02-10        use     data 100
        2026-02-15        end
        2026-02-15T01:00  invoice 2026-02-01..2026-02-15 base 14/28 15.50, data 1.00 = 16.50
        2026-02-16        move-end
        2026-02-17        quiet
        2026-04-01        quiet
        """);

    [Fact]
    public Task A_subscription_that_starts_and_ends_on_one_day_owes_its_usage_only() => TellAsync("""
        2026-01-10T09:00  start   base flat 31.00 arrears; data per_unit 0.01 data
        2026-01-10T10:00  use     data 300
        2026-01-10T11:00  end
        2026-01-10T12:00  invoice 2026-01-10T09:00..2026-01-10T11:00 data 3.00 = 3.00
        2026-03-01        quiet
        """);

    [Fact]
    public Task Without_usage_and_fees_nothing_is_issued_but_a_total_of_zero_with_lines_is() => TellAsync("""
        2026-01-01        start   data per_unit 0.001 data; trial per_unit 0 trial
        2026-02-01T01:00  quiet
        2026-02-10        use     data 4
        2026-02-10        use     trial 70
        2026-03-01T01:00  invoice 2026-02-01..2026-03-01 data 0.00, trial 0.00 = 0.00
        """);

    [Fact]
    public Task Months_begin_at_midnight_in_tokyo() => TellAsync("""
        2026-01-01        start   base flat 4900 arrears; data per_unit 0.5 data
        2026-01-31T23:59  use     data 101
        2026-02-01T00:00  use     data 3
        2026-02-01T01:00  invoice 2026-01-01..2026-02-01 base 4900, data 51 = 4951
        2026-03-01T01:00  invoice 2026-02-01..2026-03-01 base 4900, data 2 = 4902
        """, "Asia/Tokyo", "JPY");

    [Fact]
    public Task Months_begin_at_midnight_in_new_york_through_both_changes_of_clocks() => TellAsync("""
        2026-02-15        start   base flat 31.00 arrears; data per_unit 0.01 data
        2026-03-01T01:00  invoice 2026-02-15..2026-03-01 base 14/28 15.50 = 15.50
        2026-03-31T23:45  use     data 100
        2026-04-01T00:00  use     data 200
        2026-04-01T01:00  invoice 2026-03-01..2026-04-01 base 31.00, data 1.00 = 32.00
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 31.00, data 2.00 = 33.00
        2026-05-02        end
        2026-05-02T01:00  invoice 2026-05-01..2026-05-02 base 1/31 1.00 = 1.00
        """, "America/New_York");

    [Fact]
    public Task After_a_long_pause_of_the_server_every_period_gets_its_own_invoice() => TellAsync("""
        2026-01-01        start   base flat 10.00 arrears
        2026-04-02        invoice 2026-01-01..2026-02-01 base 10.00 = 10.00
        2026-04-02        invoice 2026-02-01..2026-03-01 base 10.00 = 10.00
        2026-04-02        invoice 2026-03-01..2026-04-01 base 10.00 = 10.00
        """);

    private static async Task TellAsync(string table, string zone = "UTC", string currency = "USD")
    {
        await using var story = new Story(zone, currency);
        await story.TellAsync(table);
    }
}
