namespace Tollgate.Tests.Billing.Stories;

/// <summary>Time that costs nothing.</summary>
public sealed class TrialAndPauseStories
{
    [Fact]
    public Task A_trial_charges_nothing_and_its_end_begins_the_first_period() => TellAsync("""
        2026-01-17        start   anniversary trial=2026-01-31 | base flat 31.00 advance; data per_unit 0.01 data
        2026-01-20        use     data 500
        2026-01-31        invoice 2026-01-17..2026-01-31 base 31.00 = 31.00
        2026-02-10        use     data 100
        2026-02-28T01:00  invoice 2026-01-31..2026-02-28 data 1.00, base 31.00 = 32.00
        """);

    [Fact]
    public Task By_calendar_the_rest_of_the_month_after_a_trial_is_charged() => TellAsync("""
        2026-01-08        start   trial=2026-01-22 | base flat 31.00 advance; seat flat 62.00 arrears
        2026-01-22        invoice 2026-01-08..2026-02-01 base 10/31 10.00 = 10.00
        2026-02-01T01:00  invoice 2026-01-08..2026-02-01 seat 10/31 20.00, base 31.00 = 51.00
        """);

    [Fact]
    public Task A_trial_that_is_cancelled_costs_nothing() => TellAsync("""
        2026-01-08        start   trial=2026-01-22 | base flat 31.00 advance; data per_unit 0.01 data
        2026-01-10        use     data 100
        2026-01-21        end
        2026-03-01        quiet
        """);

    [Fact]
    public Task An_upgrade_in_a_trial_keeps_its_end() => TellAsync("""
        2026-01-08        start   anniversary trial=2026-01-22 | base flat 31.00 advance
        2026-01-10        change  base flat 62.00 advance
        2026-01-22        invoice 2026-01-08..2026-01-22 base 62.00 = 62.00
        """);

    [Fact]
    public Task A_pause_gives_back_what_is_left_and_the_end_of_it_charges_the_rest() => TellAsync("""
        2026-04-01        start   base flat 30.00 advance; data per_unit 0.01 data
        2026-04-01        invoice 2026-04-01..2026-05-01 base 30.00 = 30.00
        2026-04-05        use     data 100
        2026-04-11        pause
        2026-04-11        invoice 2026-04-01..2026-05-01 base 20/30 -20.00 = -20.00
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 data 1.00 = 1.00
        2026-06-21        resume
        2026-06-21        invoice 2026-06-01..2026-07-01 base 10/30 10.00 = 10.00
        2026-07-01T01:00  invoice 2026-06-01..2026-07-01 base 30.00 = 30.00
        """);

    [Fact]
    public Task A_pause_with_an_end_is_over_by_itself() => TellAsync("""
        2026-04-01        start   base flat 30.00 arrears
        2026-04-11        pause   2026-04-21
        2026-05-01T01:00  invoice 2026-04-01..2026-05-01 base 10/30 10.00, base 10/30 10.00 = 20.00
        """);


    private static async Task TellAsync(string table, string zone = "UTC", string currency = "USD")
    {
        await using var story = new Story(zone, currency);
        await story.TellAsync(table);
    }
}
