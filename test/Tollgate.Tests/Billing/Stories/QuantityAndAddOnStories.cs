namespace Tollgate.Tests.Billing.Stories;

/// <summary>More of it, and more beside it.</summary>
public sealed class QuantityAndAddOnStories
{
    [Fact]
    public Task More_seats_in_the_month_are_charged_for_its_rest() => TellAsync("""
        2026-04-01        start   x3 | seat flat 10.00 advance; data per_unit 0.01 data
        2026-04-01        invoice 2026-04-01..2026-05-01 seat x3 30.00 = 30.00
        2026-04-11        change  x5 |
        2026-04-11        invoice 2026-04-01..2026-05-01 seat x3 20/30 -20.00, seat x5 20/30 33.33 = 13.33
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 seat x5 50.00 = 50.00
        """);

    [Fact]
    public Task Fewer_seats_wait_for_the_end_of_the_month() => TellAsync("""
        2026-04-01        start   x3 | seat flat 10.00 advance
        2026-04-01        invoice 2026-04-01..2026-05-01 seat x3 30.00 = 30.00
        2026-04-11        change  x1 |
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 seat 10.00 = 10.00
        """);

    [Fact]
    public Task Usage_goes_on_over_a_change_of_seats_as_one_line() => TellAsync("""
        2026-04-01        start   x3 | seat flat 10.00 arrears; data per_unit 0.005 data
        2026-04-05        use     data 101
        2026-04-11        change  now x6 |
        2026-04-12        use     data 102
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 seat x3 10/30 10.00, data 1.02, seat x6 20/30 40.00 = 51.02
        """);

    [Fact]
    public Task An_add_on_stands_beside_the_plan_from_its_day_on() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance; data per_unit 0.01 data
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-11        add-on  support flat 15.00 advance
        2026-04-11        invoice 2026-04-01..2026-05-01 extra1775865600000000/support 20/30 10.00 = 10.00
        2026-04-12        use     data 100
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 data 1.00, base 30.00, extra1775865600000000/support 15.00 = 46.00
        """);


    private static async Task TellAsync(string table, string zone = "UTC", string currency = "USD")
    {
        await using var story = new Story(zone, currency);
        await story.TellAsync(table);
    }
}
