using Tollgate.Billing;

namespace Tollgate.Tests.Billing;

/// <summary>An invoice of far too many lines waits until somebody has looked.</summary>
public sealed class LineBoundTests
{
    [Fact]
    public async Task More_lines_than_a_day_may_have_park_the_subscription_until_its_draft_is_finalized()
    {
        await using var books = new Books();
        var plan = await books.PlanAsync("two", "a flat 1.00 arrears day; b flat 2.00 arrears day");
        await books.SubscribeAsync(await books.CustomerAsync("ann"), plan, Books.At("2026-01-10"));
        var (strict, now) = (new BillingOptions { MaxLinesPerDay = 1 }, Books.At("2026-01-11T02:00"));
        var report = await books.BillAsync(now, strict);
        Assert.Equal((0, "too_many_lines"), (report.Issued, Assert.Single(report.Parked).Code));
        var run = books.Run(strict);
        var id = report.Parked[0].Detail.Split("/v1/invoices/")[1].Split('/')[0];
        Assert.True((await run.FinalizeAsync(id, now)).Ok);
        Assert.Single(await books.IssuedAsync());
        // a bound of just as many lines lets the next day pass
        Assert.Equal(1, (await books.BillAsync(
            Books.At("2026-01-12T02:00"), new BillingOptions { MaxLinesPerDay = 2 })).Issued);
        Assert.Contains("MaxLinesPerDay", Assert.Throws<ArgumentOutOfRangeException>(
            () => new BillingOptions { MaxLinesPerDay = 0 }.Validate()).Message, StringComparison.Ordinal);
    }
}
