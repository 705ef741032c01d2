namespace Tollgate.Tests.Billing.Stories;

/// <summary>Periods anchored on days that not every month has, and the leap year: counted from the anchor each time.
/// </summary>
public sealed class AnchorStories
{
    [Fact]
    public Task From_the_31st_of_January_of_a_leap_year() => TellAsync("""
        2028-01-31        start   anniversary month | base flat 31.00 advance
        2028-01-31        invoice 2028-01-31..2028-02-29 base 31.00 = 31.00
        2028-02-29T01:00  invoice 2028-01-31..2028-02-29 base 31.00 = 31.00
        2028-03-31T01:00  invoice 2028-02-29..2028-03-31 base 31.00 = 31.00
        2028-04-30T01:00  invoice 2028-03-31..2028-04-30 base 31.00 = 31.00
        2028-05-31T01:00  invoice 2028-04-30..2028-05-31 base 31.00 = 31.00
        """);

    [Fact]
    public Task From_the_30th_of_January() => TellAsync("""
        2026-01-30        start   anniversary month | data per_unit 0.01 data; base flat 30.00 arrears
        2026-02-28T01:00  invoice 2026-01-30..2026-02-28 base 30.00 = 30.00
        2026-03-30T01:00  invoice 2026-02-28..2026-03-30 base 30.00 = 30.00
        """);

    [Fact]
    public Task A_year_from_the_29th_of_February() => TellAsync("""
        2028-02-29        start   anniversary year | base flat 366.00 advance year
        2028-02-29        invoice 2028-02-29..2029-02-28 base 366.00 = 366.00
        2029-02-28T01:00  invoice 2028-02-29..2029-02-28 base 366.00 = 366.00
        """);

    [Fact]
    public Task A_February_of_a_leap_year_has_29_parts() => TellAsync("""
        2028-02-01        start   base flat 29.00 advance
        2028-02-01        invoice 2028-02-01..2028-03-01 base 29.00 = 29.00
        2028-02-15        end
        2028-02-15T01:00  invoice 2028-02-01..2028-02-15 base 15/29 -15.00 = -15.00
        """);

    private static async Task TellAsync(string table)
    {
        await using var story = new Story("UTC");
        await story.TellAsync(table);
    }
}
