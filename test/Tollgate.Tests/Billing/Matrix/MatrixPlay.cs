using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Billing.Matrix;

/// <summary>
/// Plays all stories of the matrix at once, on one server and one clock, each with a customer and plans of its own: the
/// clock moves from instant to instant, and whoever has something to do then does it, over HTTP. A story that fails stops,
/// and the others go on.
/// </summary>
public sealed class MatrixPlay : IAsyncLifetime
{
    private static readonly (string Class, MatrixStories Stories)[] s_all =
    [
        (nameof(AdvanceByCalendar), AdvanceByCalendar.Stories),
        (nameof(AdvanceByAnniversary), AdvanceByAnniversary.Stories),
        (nameof(ArrearsByCalendar), ArrearsByCalendar.Stories),
        (nameof(ArrearsByAnniversary), ArrearsByAnniversary.Stories),
        (nameof(LeapYears), LeapYears.Stories),
        (nameof(ChangesOfClocks), ChangesOfClocks.Stories),
        (nameof(SeveralIntervals), SeveralIntervals.Stories),
    ];

    private readonly Dictionary<(string, string), MatrixPart> _parts = [];

    public async ValueTask InitializeAsync()
    {
        await using var server = await TestServer.StartAsync(MatrixPart.File,
            clock: new DateTimeOffset(2023, 12, 1, 0, 0, 0, TimeSpan.Zero));
        var steps = new List<(long At, int Order, MatrixPart Part, string[] Words)>();
        foreach (var (name, stories) in s_all)
            foreach (var story in stories.All)
            {
                var part = new MatrixPart(server, story, $"c{_parts.Count}");
                _parts.Add((name, story.Name), part);
                steps.AddRange(part.Steps().Select((s, order) => (s.At, order, part, s.Words)));
            }

        var at = long.MinValue;
        foreach (var step in steps.OrderBy(s => s.At).ThenBy(s => s.Order))
        {
            if (step.At > at)
                await server.PostAsync("/v1/test_clock", new { now = Micros.ToText(at = step.At) });
            await step.Part.DoAsync(step.Words, step.At);
        }

        foreach (var part in _parts.Values) await part.EndAsync();
    }

    public void Check(string name, string story) => Assert.True(
        _parts[(name, story)].Failure is null, _parts[(name, story)].Failure);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}

[CollectionDefinition(Name)]
public sealed class PlayedMatrix : ICollectionFixture<MatrixPlay>
{
    public const string Name = "matrix";
}

/// <summary>One story of the play: what was done of it, and whether it went as it is written.</summary>
internal sealed class MatrixPart(TestServer server, MatrixStory story, string customer)
{
    public const string File = """
        version: 1
        currency: USD
        apis:
          m: { upstream: "http://127.0.0.1:9", operations: { data: GET /v1/data } }
        meters:
          units: { aggregation: sum, event: used, value: $.units }
        """;

    private readonly Queue<string> _issued = new();
    private int _seen, _plans;
    private string? _subscription;
    private string _interval = "month";

    /// <summary>The first thing that was not as it is written; null while all is.</summary>
    public string? Failure { get; private set; }

    public IEnumerable<(long At, string[] Words)> Steps() =>
        from line in story.Table.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        let words = line.Split(' ', 3, StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        select (Books.At(words[0], story.Zone), words);

    public async Task DoAsync(string[] words, long at)
    {
        if (Failure is not null) return;
        try
        {
            var line = string.Join(' ', words);
            await LookAsync();
            if (words[1] == "invoice")
            {
                Assert.True(_issued.TryDequeue(out var issued), $"No invoice was issued: {line}");
                Assert.Equal(Story.Spaced(words[2]), issued);
                return;
            }

            Assert.True(_issued.Count == 0, $"Not in the story: {string.Join('\n', _issued)} (before: {line})");
            await ActAsync(words[1], words.Length > 2 ? words[2] : "", at);
        }
        catch (Exception e) when (e is Xunit.Sdk.IAssertionException or InvalidOperationException)
        {
            Failure = $"{string.Join(' ', words)}: {e.Message}";
        }
    }

    public async Task EndAsync()
    {
        if (Failure is not null) return;
        await LookAsync();
        if (_issued.Count > 0) Failure = $"Not in the story: {string.Join('\n', _issued)}";
    }

    private async Task LookAsync()
    {
        if (_subscription is null) return;
        var all = await server.GetAsync($"/v1/invoices?customer={customer}&limit=100");
        foreach (var invoice in all.GetProperty("data").EnumerateArray().Skip(_seen).ToArray())
        {
            _seen++;
            _issued.Enqueue(Story.Compact(InvoiceDocument.Read(invoice.GetRawText()), story.Zone));
        }
    }

    private async Task ActAsync(string verb, string rest, long at)
    {
        switch (verb)
        {
            case "start":
                await StartAsync(rest);
                break;
            case "change":
                var (options, prices) = Story.Split(rest);
                await ChangeAsync("change", new
                {
                    plan = prices.Length == 0 ? null : await PlanAsync(prices, options),
                    quantity = Quantity(options),
                    when = options.FirstOrDefault(o => o is "now" or "period_end"),
                    interval = Every(options),
                });
                break;
            case "end":
                await ChangeAsync("cancel", rest is "" or "period_end"
                    ? new { when = rest.Length == 0 ? "now" : rest }
                    : new { at = Micros.ToText(Books.At(rest, story.Zone)) });
                break;
            case "pause":
                await ChangeAsync("pause", rest.Length == 0 ? new { }
                    : new { resume_at = Micros.ToText(Books.At(rest, story.Zone)) });
                break;
            case "resume" or "reactivate":
                await ChangeAsync(verb, new { });
                break;
            case "use":
                await UseAsync(rest, at);
                break;
            case "quiet":
                break;
            default:
                throw new InvalidOperationException($"A story of the matrix has no verb '{verb}'.");
        }
    }

    private async Task StartAsync(string rest)
    {
        var (options, prices) = Story.Split(rest);
        _interval = Every(options) ?? _interval;
        await server.PostAsync("/v1/customers", new { name = customer, currency = story.Currency, timezone = story.Zone });
        var made = await server.PostAsync("/v1/subscriptions", new
        {
            customer,
            plan = await PlanAsync(prices, options),
            anchor = options.Contains("anniversary") ? "anniversary" : "calendar",
            proration = options.Contains("by-second") ? "second" : "day",
            interval = Every(options),
            quantity = Quantity(options),
            trial_end = options.FirstOrDefault(o => o.StartsWith("trial=", StringComparison.Ordinal)) is { } trial
                ? Micros.ToText(Books.At(trial[6..], story.Zone)) : null,
        });
        _subscription = made.GetProperty("id").GetString()!;
    }

    private static string? Every(string[] options) => options.FirstOrDefault(o => Intervals.Find(o) is not null);

    private static int? Quantity(string[] options) =>
        options.FirstOrDefault(o => o[0] == 'x') is { } many ? int.Parse(many[1..], null) : null;

    private async Task<string> PlanAsync(string text, string[] options)
    {
        var name = $"{customer}-plan{_plans++}";
        var prices = new Dictionary<string, object>(StringComparer.Ordinal);
        foreach (var price in text.Split(';', StringSplitOptions.TrimEntries))
        {
            var words = price.Split(' ');
            prices.Add(words[0], words switch
            {
                [_, "flat", var amount, var due, var every] => new { model = "flat", amount, @in = due, every },
                [_, "flat", var amount, var due] => new { model = "flat", amount, @in = due, every = Every(options) ?? _interval },
                _ => new { model = "per_unit", meter = "units", unit_amount = words[2] },
            });
        }

        await server.PostAsync("/v1/plans", new { name, currency = story.Currency, operations = new[] { "*" }, prices });
        return name;
    }

    /// <summary>A preview says what the change then does, and changes nothing itself.</summary>
    private async Task ChangeAsync(string verb, object body)
    {
        var asked = JsonSerializer.SerializeToNode(body)!.AsObject();
        asked["preview"] = true;
        var path = $"/v1/subscriptions/{_subscription}/{verb}";
        var preview = Told(await server.PostAsync(path, asked));
        asked["preview"] = false;
        Assert.Equal(preview, Told(await server.PostAsync(path, asked)));

        string Told(JsonElement answer) => answer.GetProperty("effective_at").GetString() + " "
            + (answer.TryGetProperty("invoice", out var invoice) && invoice.ValueKind == JsonValueKind.Object
                ? Story.Compact(InvoiceDocument.Read(invoice.GetRawText()), story.Zone) : "");
    }

    private async Task UseAsync(string units, long at)
    {
        var body = JsonSerializer.Serialize(new
        {
            specversion = "1.0",
            id = $"{customer}-{at}",
            source = "matrix",
            type = "used",
            subject = customer,
            time = Micros.ToText(at),
            data = new { units },
        });
        using var content = new StringContent(body, Encoding.UTF8);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/cloudevents+json");
        using var answer = await server.Admin.PostAsync(new Uri("/v1/events", UriKind.Relative), content);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }
}
