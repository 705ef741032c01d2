using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/publishers</c>: who else owns what is sold, their shares, and what they are owed.</summary>
internal static class PublishersApi
{
    private const int MostBands = 20;

    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapList<PublisherStore, PublisherRow>(
            "/v1/publishers", (store, page) => store.ListAsync(page.After, page.Rows), View, p => p.Key);
        routes.MapOne<PublisherStore, PublisherRow>("/v1/publishers/{id}", "publisher", (store, id) => store.FindAsync(id), View);
        routes.MapPost("/v1/publishers", CreateAsync);
        routes.MapGet("/v1/publishers/{publisher}/shares", SharesAsync);
        routes.MapPost("/v1/publishers/{publisher}/shares", AgreeAsync);
        routes.MapGet("/v1/publishers/{publisher}/shares/{id}", async (string publisher, string id, PublisherStore publishers) =>
            await publishers.FindAsync(publisher) is not { } found ? Unknown(publisher)
                : await publishers.FindShareAsync(found.Key, id) is { } share ? Answers.Ok(View(share))
                : Answers.NotFound("share", id));
        routes.MapPost("/v1/publishers/{publisher}/shares/{id}/end", EndAsync);
        routes.MapGet("/v1/publishers/{publisher}/statement", StatementAsync);
    }

    private static IResult Unknown(string publisher) => Answers.NotFound("publisher", publisher);

    private static async Task<IResult> CreateAsync(HttpRequest request, PublisherStore publishers)
    {
        var fields = await Fields.ReadAsync(request);
        var name = MoneyFields.Name<RevenuePublisher>(fields);
        if (fields.Faults() is { } faults) return faults;
        return await publishers.AddAsync(name!) is { } added ? Answers.Created($"/v1/publishers/{added.Id}", View(added))
            : Answers.Conflict("duplicate_name", $"There is a publisher '{name}' already.", "name");
    }

    private static async Task<IResult> SharesAsync(string publisher, HttpRequest request, PublisherStore publishers)
    {
        if (Paging.TryRead(request, out var paging) is { } faults) return faults;
        return await publishers.FindAsync(publisher) is not { } found ? Unknown(publisher) : Answers.Page(
            await publishers.SharesAsync(found.Key, paging.After, paging.Rows), paging.Limit, View, s => s.Key);
    }

    private static async Task<IResult> AgreeAsync(
        string publisher, HttpRequest request, Database database, PublisherStore publishers, TimeProvider clock)
    {
        if (await publishers.FindAsync(publisher) is not { } found) return Unknown(publisher);
        var fields = await Fields.ReadAsync(request);
        var name = fields.Text("plan", required: true);
        var plan = name is null ? null : await database.ReadAsync(db => ConfigStore.FindAsync(db, ConfigKind.Plan, name));
        if (name is not null && plan is null) fields.Add("unknown_plan", $"There is no plan '{name}'.", "plan");
        var prices = await MoneyFields.PricesAsync(fields, database);
        var percent = MoneyFields.Decimal(fields, "percent", (0, 100));
        var bands = Bands(fields);
        if (fields.Has("percent") == fields.Has("bands"))
            fields.Add("missing_field", "is required, or bands, and not both", "percent");
        var start = fields.Instant("start_at") ?? Micros.Now(clock);
        var end = fields.Instant("end_at");
        if (end <= start) fields.Add("bad_value", "must be after the start", "end_at");
        if (fields.Faults() is { } faults) return faults;
        var share = new NewShare(
            found.Key, Publication.PlanIdOf(plan!), prices, bands ?? [new ShareBand(null, percent!.Value)])
        {
            StartAt = start,
            EndAt = end,
        };
        var added = await database.WriteAsync(db => publishers.AddShareAsync(db, share));
        return added.Ok ? Answers.Created($"/v1/publishers/{found.Id}/shares/{added.Value.Id}", View(added.Value))
            : Answers.Invalid(added.Problems);
    }

    private static async Task<IResult> EndAsync(
        string publisher, string id, HttpRequest request, Database database, PublisherStore publishers)
    {
        var fields = await Fields.ReadAsync(request);
        if (fields.Faults() is { } faults) return faults;
        if (await publishers.FindAsync(publisher) is not { } found) return Unknown(publisher);
        return await database.WriteAsync(db => publishers.EndShareAsync(db, found.Key, id)) is { } ended
            ? Answers.Ok(View(ended)) : Answers.NotFound("share that has not ended", id);
    }

    /// <summary>What was earned with the documents of a time in UTC, and the totals over all pages.</summary>
    private static async Task<IResult> StatementAsync(string publisher, HttpRequest request, PublisherStore publishers)
    {
        if (Paging.TryRead(request, out var paging) is { } faults) return faults;
        if (await publishers.FindAsync(publisher) is not { } found) return Unknown(publisher);
        var period = InvoicePeriod.Read(request.Query["period"].ToString(), DateTimeZone.Utc);
        if (!period.Ok) return Answers.Invalid(period.Problems);
        var time = (Micros.Of(period.Value.Start), Micros.Of(period.Value.End));
        var entries = await publishers.EntriesAsync(found.Key, time, paging.After, paging.Rows);
        return Answers.Ok(new
        {
            publisher = found.Name,
            period_start = Micros.ToText(time.Item1),
            period_end = Micros.ToText(time.Item2),
            totals = (await publishers.TotalsAsync(found.Key, time)).Select(t => new
            {
                t.Currency,
                net = MoneyFields.Text(t.Base, t.Currency),
                amount = MoneyFields.Text(t.Amount, t.Currency),
            }),
            data = entries.Take(paging.Limit).Select(View),
            next_cursor = entries.Count > paging.Limit ? entries[paging.Limit - 1].Key.ToString() : null,
        });
    }

    /// <summary>Bands of the turnover of a calendar month: bounds rise, and the last is open.</summary>
    private static List<ShareBand>? Bands(Fields fields)
    {
        if (fields.Raw("bands") is not { } raw) return null;
        if (raw.ValueKind != JsonValueKind.Array || raw.GetArrayLength() is < 1 or > MostBands)
        {
            fields.Add("wrong_type", $"must be a list of 1 to {MostBands} such as [{{\"up_to\": \"1000\", \"percent\": \"70\"}}, " +
                "{\"percent\": \"80\"}]", "bands");
            return null;
        }

        var bands = new List<ShareBand>();
        var last = 0m;
        foreach (var (band, i) in raw.EnumerateArray().Select((band, i) => (band, i)).ToArray())
        {
            var upTo = Number(band, "up_to", 1_000_000_000_000m);
            var percent = Number(band, "percent", 100);
            var isLast = i == raw.GetArrayLength() - 1;
            if (percent is null) fields.Add("bad_value", "must be a decimal from 0 to 100, as a text", $"bands[{i}].percent");
            if (isLast ? band.ValueKind == JsonValueKind.Object && band.TryGetProperty("up_to", out _) : !(upTo > last))
                fields.Add("bad_value", isLast ? "must be left out: the last band is open" : "must be above that of the band before",
                    $"bands[{i}].up_to");
            last = upTo ?? last;
            bands.Add(new ShareBand(isLast ? null : upTo, percent ?? 0));
        }

        return bands;
    }

    private static decimal? Number(JsonElement band, string name, decimal most) => band.ValueKind == JsonValueKind.Object
        && band.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
        && decimal.TryParse(value.GetString(), System.Globalization.NumberStyles.AllowDecimalPoint,
            System.Globalization.CultureInfo.InvariantCulture, out var number)
        && number.Scale <= 12 && number <= most ? number : null;

    private static object View(PublisherRow p) => new { p.Id, p.Name, created_at = Micros.ToText(p.CreatedAt) };

    private static object View(ShareRow s) => new
    {
        s.Id,
        plan = s.PlanId,
        prices = s.PriceNames,
        bands = s.ReadBands().Select(b => new
        {
            up_to = b.UpTo is { } upTo ? PriceWriter.Text(upTo) : null,
            percent = PriceWriter.Text(b.Percent),
        }),
        start_at = Micros.ToText(s.StartAt),
        end_at = s.EndAt is { } end ? Micros.ToText(end) : null,
    };

    private static object View(ShareEntryRow e) => new
    {
        e.Share,
        e.Document,
        invoice = e.Number,
        line = e.Line == 0 ? null : (long?)e.Line,
        e.Currency,
        net = MoneyFields.Text(e.Base, e.Currency),
        amount = MoneyFields.Text(e.Amount, e.Currency),
        posted_at = Micros.ToText(e.PostedAt),
    };
}
