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
/// Verbs: start (words before a bar are options: <c>anniversary trial=14 year x3 | base …</c>), version (prices; the
/// subscription moves at once), change (to a plan of these prices; words before a bar: <c>now</c>, <c>period_end</c>,
/// an interval, <c>x3</c>), add-on (its prices), pause, resume, reactivate, end (now, <c>period_end</c>, or at a time),
/// use, invoice, quiet (nothing was issued). A change is previewed first, and must say the same.
/// </summary>
public sealed class Story(string zone = "UTC", string currency = "USD") : IAsyncDisposable
{
    private readonly Books _books = new();
    private readonly Queue<string> _issued = new();
    private CustomerRow? _customer;
    private SubscriptionRow? _subscription;
    private long _seen;
    private int _plans;

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
                await StartAsync(rest, at);
                break;
            case "change":
                await ChangeAsync(rest, at);
                break;
            case "add-on":
                var addOn = await _books.AddOns.AddAsync($"extra{at}", Currency.Of(currency),
                    System.Text.Json.JsonSerializer.Serialize(rest));
                await ChangedAsync(at, (c, preview) => c.ChangeAsync(Subscription, new WantedChange
                {
                    AddOns = [new AddOnTerms(addOn!.Id, 1)],
                    When = ChangeWhen.Now,
                }, preview));
                break;
            case "pause":
                await ChangedAsync(at, (c, preview) => c.PauseAsync(
                    Subscription, rest.Length == 0 ? null : Books.At(rest, zone), preview));
                break;
            case "resume":
                await ChangedAsync(at, (c, preview) => c.ResumeAsync(Subscription, preview));
                break;
            case "reactivate":
                await ChangedAsync(at, (c, preview) => c.ReactivateAsync(Subscription, preview));
                break;
            case "version":
                await _books.MigrateAsync(await _books.PlanAsync("pro", rest, currency), at);
                break;
            case "end":
                await ChangedAsync(at, (c, preview) => c.CancelAsync(Subscription,
                    rest == "period_end" ? ChangeWhen.PeriodEnd : ChangeWhen.Now,
                    rest is "" or "period_end" ? null : Books.At(rest, zone), preview));
                break;
            case "move-end":
                await _books.EndAsync(Subscription, at);
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

    private async Task StartAsync(string rest, long at)
    {
        var (options, prices) = Split(rest);
        _customer = await _books.CustomerAsync("acme", currency, zone, at);
        var plan = await _books.PlanAsync("pro", prices, currency);
        var wanted = new NewSubscription(_customer, plan.Id, Tollgate.Config.ManagedBy.Api) { StartAt = at };
        foreach (var option in options)
            wanted = option switch
            {
                "anniversary" => wanted with { Anniversary = true },
                "by-second" => wanted with { ProrateBySecond = true },
                _ when option.StartsWith("trial=", StringComparison.Ordinal) =>
                    wanted with { TrialEnd = Books.At(option[6..], zone) },
                _ when option.StartsWith("anchor=", StringComparison.Ordinal) =>
                    wanted with { Anchor = NodaTime.Text.LocalDatePattern.Iso.Parse(option[7..]).Value },
                _ when option[0] == 'x' => wanted with { Quantity = int.Parse(option[1..]) },
                _ => wanted with { Interval = Intervals.Find(option)!.Value },
            };
        _subscription = await _books.SubscribeAsync(wanted, at);
    }

    private async Task ChangeAsync(string rest, long at)
    {
        var (options, prices) = Split(rest);
        var wanted = new WantedChange
        {
            Plan = prices.Length == 0 ? null : (await _books.PlanAsync($"plan{_plans++}", prices, currency)).Id,
        };
        foreach (var option in options)
            wanted = option switch
            {
                "now" => wanted with { When = ChangeWhen.Now },
                "period_end" => wanted with { When = ChangeWhen.PeriodEnd },
                _ when option[0] == 'x' => wanted with { Quantity = int.Parse(option[1..]) },
                _ => wanted with { Interval = Intervals.Find(option)!.Value },
            };
        await ChangedAsync(at, (c, preview) => c.ChangeAsync(Subscription, wanted, preview));
    }

    /// <summary>A preview says what the change then does, and changes nothing itself.</summary>
    private async Task ChangedAsync(
        long at, Func<SubscriptionChanges, bool, Task<Result<ChangeOutcome>>> change)
    {
        var changes = _books.Changes(at);
        var preview = await change(changes, true);
        Assert.True(preview.Ok, string.Join("; ", preview.Problems));
        var done = (await change(changes, false)).Value;
        Assert.Equal(preview.Value.EffectiveAt, done.EffectiveAt);
        Assert.Equal(Lines(preview.Value.Invoice), Lines(done.Invoice));

        string? Lines(string? invoice) => invoice is null ? null : Compact(InvoiceDocument.Read(invoice), zone);
    }

    internal static (string[] Options, string Prices) Split(string rest)
    {
        var bar = rest.IndexOf('|');
        return bar < 0 ? ([], rest)
            : (rest[..bar].Split(' ', StringSplitOptions.RemoveEmptyEntries), rest[(bar + 1)..].Trim());
    }

    private async Task BillAsync(long at)
    {
        var report = await _books.BillAsync(at);
        Assert.Empty(report.Parked);
        foreach (var row in await _books.Invoices.ListAsync(null, _seen, 100))
        {
            _seen = row.Key;
            _issued.Enqueue(Compact(InvoiceDocument.Read(row.Document), zone));
        }
    }

    /// <summary>Days in UTC unless boundaries are local midnights; a prorated line says <c>12/31</c>.</summary>
    internal static string Compact(InvoiceDocument invoice, string zone)
    {
        var lines = invoice.Lines.Select(l =>
            (string.IsNullOrEmpty(l.Operation) ? l.Price + (l.Quantity == "1" ? "" : $" x{l.Quantity}") : l.Operation)
            + (l.Proration is { } p ? $" {p.Days ?? p.Seconds}/{p.Of}" : "") + " " + l.Amount);
        return $"{Local(invoice.PeriodStart, zone)}..{Local(invoice.PeriodEnd, zone)} {string.Join(", ", lines)} = {invoice.Total}";
    }

    private static string Local(string instant, string zone)
    {
        Assert.True(Micros.TryParse(instant, out var micros));
        var local = Micros.ToInstant(micros).InZone(BillingCalendar.FindZone(zone)!).LocalDateTime;
        return local.TimeOfDay == NodaTime.LocalTime.Midnight
            ? local.ToString("uuuu-MM-dd", null)
            : local.ToString("uuuu-MM-dd'T'HH:mm", null);
    }

    internal static string Spaced(string text) =>
        string.Join(' ', text.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    public ValueTask DisposeAsync() => _books.DisposeAsync();
}
