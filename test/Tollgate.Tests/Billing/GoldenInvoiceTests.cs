using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Billing;

/// <summary>
/// Invoices as customers see them. The files beside this class are the promise; after a change that is meant, write
/// them anew with <c>TOLLGATE_GOLDEN=write</c> and read the difference.
/// </summary>
public sealed partial class GoldenInvoiceTests
{
    private static readonly JsonSerializerOptions s_indented =
        new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact]
    public async Task An_issued_invoice_of_a_month_with_two_versions()
    {
        await using var story = new Story("Europe/Berlin", "EUR");
        await story.TellAsync("""
            2026-03-05T08:00  start   data per_unit 0.01 data,quote; base flat 49.00 arrears; seat flat 9.99 advance
            2026-03-05T08:00  invoice 2026-03-05T08:00..2026-04-01 seat 27/31 8.70 = 8.70
            2026-03-10        use     data 1234
            2026-03-10        use     free 12
            2026-03-20T12:00  version data per_unit 0.005 data,quote; base flat 99.00 arrears; seat flat 9.99 advance
            2026-03-21        use     quote 1
            2026-03-21        use     data 1234567
            """);
        await story.Books.BillAsync(Books.At("2026-04-01T01:00", "Europe/Berlin"));
        await CheckAsync("two-versions", (await story.Books.IssuedAsync())[^1].Document);
    }

    [Fact]
    public async Task A_draft_of_a_running_month_in_yen()
    {
        await using var books = new Books();
        var customer = await books.CustomerAsync("山田 & \u001b[31mSöhne", "JPY", "Asia/Tokyo");
        var plan = await books.PlanAsync("starter", "base flat 4900 arrears; calls per_unit 0.25 *", "JPY");
        var subscription = await books.SubscribeAsync(customer, plan, Books.At("2026-01-01", "Asia/Tokyo"));
        await books.UseAsync(subscription.Id, "data", 77, Books.At("2026-01-10", "Asia/Tokyo"));
        await books.UseAsync(subscription.Id,
            "a-report-whose-name-is-so-long-that-it-does-not-fit-beside-its-amount", 1, Books.At("2026-01-11"));
        var period = InvoicePeriod.Read("2026-01", BillingCalendar.FindZone("Asia/Tokyo")!).Value;
        var shown = await books.Run().PreviewAsync(customer, period, Books.At("2026-01-15T12:00", "Asia/Tokyo"));
        await CheckAsync("draft-yen", shown.Value.Single().Document);
    }

    private static async Task CheckAsync(string name, string document, [CallerFilePath] string here = "")
    {
        var text = InvoiceText.Render(InvoiceDocument.Read(document));
        Assert.All(text.Split('\n'), line => Assert.True(line.Length <= 80, line));
        using var parsed = JsonDocument.Parse(document);
        await CompareAsync(name + ".json", JsonSerializer.Serialize(parsed.RootElement, s_indented) + "\n", here);
        await CompareAsync(name + ".txt", text, here);
    }

    private static async Task CompareAsync(string file, string actual, string here)
    {
        var path = Path.Combine(Path.GetDirectoryName(here)!, "Golden", file);
        var known = Ids().Replace(actual, "$1_00000000000000000000000000000000");
        if (Environment.GetEnvironmentVariable("TOLLGATE_GOLDEN") == "write") await File.WriteAllTextAsync(path, known);
        Assert.Equal(await File.ReadAllTextAsync(path), known, ignoreLineEndingDifferences: true);
    }

    [GeneratedRegex("(inv|sub|cus)_[0-9a-f]{32}")]
    private static partial Regex Ids();
}
