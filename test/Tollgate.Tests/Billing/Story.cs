using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Billing;

/// <summary>
/// A story of one subscription as a table: <c>time verb words</c>, times local in the zone of the story. Before each
/// line the clock moves to its time and the billing run is made; every invoice that it issues must stand in the table,
/// in order, and nothing else:
/// <code>
/// 2026-01-01        start   base flat 49.00 arrears; data per_unit 0.01 data
/// 2026-01-10        use     data 1234
/// 2026-02-01T01:00  invoice 2026-01-01..2026-02-01 data 12.34, base 49.00 = 61.34
/// </code>
/// Verbs: start, version (prices; the subscription moves at once), end (now, or at a time), use,
/// invoice, quiet (nothing was issued).
/// </summary>
public sealed class Story(string zone = "UTC", string currency = "USD") : IAsyncDisposable
{
    private readonly Books _books = new();
    private readonly Queue<string> _issued = new();
    private CustomerRow? _customer;
    private SubscriptionRow? _subscription;
    private long _seen;

    public Books Books => _books;

    public string Subscription => _subscription!.Id;

    public async Task TellAsync(string table)
    {
        foreach (var line in table.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var words = line.Split(' ', 3, StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            var at = Books.At(words[0], zone);
            await BillAsync(at);
            if (words[1] == "invoice")
            {
                Assert.True(_issued.TryDequeue(out var issued), $"No invoice was issued: {line}");
                Assert.Equal(Spaced(words[2]), issued);
                continue;
            }

            Assert.True(_issued.Count == 0, $"Not in the story: {string.Join('\n', _issued)} (before: {line})");
            await ActAsync(words[1], words.Length > 2 ? words[2] : "", at);
            await BillAsync(at);
        }

        Assert.True(_issued.Count == 0, $"Not in the story: {string.Join('\n', _issued)}");
    }

    private async Task ActAsync(string verb, string rest, long at)
    {
        switch (verb)
        {
            case "start":
                _customer = await _books.CustomerAsync("acme", currency, zone, at);
                _subscription = await _books.SubscribeAsync(
                    _customer, await _books.PlanAsync("pro", rest, currency), at);
                break;
            case "version":
                await _books.MigrateAsync(await _books.PlanAsync("pro", rest, currency), at);
                break;
            case "end":
                await _books.EndAsync(Subscription, rest.Length == 0 ? at : Books.At(rest, zone));
                break;
            case "use":
                var used = rest.Split(' ');
                await _books.UseAsync(Subscription, used[0], long.Parse(used[1]), at);
                break;
            case "quiet":
                break;
            default:
                throw new InvalidOperationException($"A story has no verb '{verb}'.");
        }
    }

    private async Task BillAsync(long at)
    {
        var report = await _books.BillAsync(at);
        Assert.Empty(report.Parked);
        foreach (var row in await _books.Invoices.ListAsync(null, _seen, 100))
        {
            _seen = row.Key;
            _issued.Enqueue(Compact(InvoiceDocument.Read(row.Document)));
        }
    }

    /// <summary>Days in UTC unless boundaries are local midnights; a prorated line says <c>12/31</c>.</summary>
    private string Compact(InvoiceDocument invoice)
    {
        var lines = invoice.Lines.Select(l =>
            (l.Operation ?? l.Price) + (l.Proration is { } p ? $" {p.Days}/{p.OfDays}" : "") + " " + l.Amount);
        return $"{Local(invoice.PeriodStart)}..{Local(invoice.PeriodEnd)} {string.Join(", ", lines)} = {invoice.Total}";
    }

    private string Local(string instant)
    {
        Assert.True(Micros.TryParse(instant, out var micros));
        var local = Micros.ToInstant(micros).InZone(BillingCalendar.FindZone(zone)!).LocalDateTime;
        return local.TimeOfDay == NodaTime.LocalTime.Midnight
            ? local.ToString("uuuu-MM-dd", null)
            : local.ToString("uuuu-MM-dd'T'HH:mm", null);
    }

    private static string Spaced(string text) =>
        string.Join(' ', text.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    public ValueTask DisposeAsync() => _books.DisposeAsync();
}
