using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Config.File;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/prices/preview</c>: rates any price document for any quantity. It needs no state and leaves none;
/// the arithmetic is that of an invoice.</summary>
internal static class PricePreviewApi
{
    /// <summary>Single events in one question.</summary>
    private const int MostEvents = 10_000;

    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/prices/preview", PreviewAsync).Needs(AdminScope.Read).ChangesNothing();

    private static async Task<IResult> PreviewAsync(HttpRequest request)
    {
        var fields = await Fields.ReadAsync(request);
        var currency = ReadCurrency(fields);
        var price = Read(fields, "price", required: true, PriceReader.ReadOne);
        var quantity = ReadQuantity(fields, "quantity");
        var events = ReadEvents(fields);
        var usage = PreviewUsage.Read(fields, price);
        var zone = ReadZone(fields);
        var billed = ReadQuantity(fields, "already_billed");
        var quota = ReadQuantity(fields, "quota");
        if (usage is not null) PreviewUsage.CheckOthers(fields);
        else Check(fields, price?.Price, quantity, events, (billed, quota));
        CheckQuota(fields, price?.Price, quota);
        if (usage is null && price is { } p && (!p.Scope.IsAll || p.Operations is not null || p.IsSplit) && !fields.Has("usage"))
            fields.Add("missing_field", "is required in place of a quantity: the price looks at operations, dimensions or times",
                "usage");
        if (fields.Faults() is { } faults) return faults;
        try
        {
            if (usage is not null)
            {
                var lines = PricePreview.OfUsage(price!, currency!, usage, zone!, quota);
                return price!.Price.Convert is { ComesOutEven: false } && lines.Any(l => !l.Line.IsExact)
                    ? NoLastDigit(price) : Answers.Ok(PreviewUsage.View(price, lines, currency!));
            }

            var preview = PricePreview.Of(new PreviewQuestion(price!.Price, currency!)
            {
                Quantity = quantity ?? 1,
                Events = events,
                AlreadyBilled = billed,
                Quota = quota,
            });
            return preview.IsCut ? NoLastDigit(price) : Answers.Ok(View(price, preview));
        }
        catch (OverflowException)
        {
            return Answers.Invalid(new Problem("too_many_digits", "and the amounts of the price need more than 28 " +
                "digits together, or come to more than 9.2 × 10^18 minor units: nothing would be exact.",
                usage is not null ? "usage" : events is null ? "quantity" : "events"));
        }
    }

    private static IResult NoLastDigit(PriceComponent price) => Answers.Invalid(new Problem(
        "too_many_digits", PlanChecks.NoLastDigit(price.Price.Convert!.Factor), "price.convert"));

    private static Currency? ReadCurrency(Fields fields)
    {
        if (fields.Text("currency", required: true) is not { } code) return null;
        if (Currency.Find(code) is { } currency) return currency;
        fields.Add("unknown_currency", "must be a currency code of ISO 4217, as USD, EUR or JPY", "currency");
        return null;
    }

    private static decimal? ReadQuantity(Fields fields, string name) =>
        Read<decimal?>(fields, name, required: false, node => Quantities.Read(node) is var read && read.Ok
            ? (decimal?)read.Value
            : Result<decimal?>.Refused(read.Problems));

    private static List<decimal>? ReadEvents(Fields fields)
    {
        if (fields.Raw("events") is not { } raw) return null;
        if (raw.ValueKind != JsonValueKind.Array)
        {
            fields.Add("wrong_type", "must be a list of quantities, as [\"50\", \"100\"]", "events");
            return null;
        }

        if (raw.GetArrayLength() > MostEvents)
        {
            fields.Add("too_many", $"has {raw.GetArrayLength()} events; at most {MostEvents} are rated at once", "events");
            return null;
        }

        return Read(fields, "events", required: false, Quantities.ReadAll);
    }

    private static void Check(
        Fields fields, Price? price, decimal? quantity, List<decimal>? events, (decimal? Billed, decimal? Quota) rest)
    {
        if (quantity is not null && events is not null)
            fields.Add("bad_value", "and 'quantity' exclude each other: a sum, or single events", "events");
        if (!fields.Has("quantity") && !fields.Has("events") && price is not (null or Price.Flat))
            fields.Add("missing_field", "is required, or 'events' with single values", "quantity");
        if (rest.Billed > 0 && price is Price.Percentage { LooksAtEvents: true })
            fields.Add("bad_value", "cannot be told for a price that looks at single events", "already_billed");
    }

    private static void CheckQuota(Fields fields, Price? price, decimal? quota)
    {
        if (price is { IncludedFromQuota: true } && quota is null && !fields.Has("quota"))
            fields.Add("missing_field", "is required: the price includes what the plan's quota allows", "quota");
        if (price is { IncludedFromQuota: false } && quota is not null)
            fields.Add("bad_value", "is for prices with 'included: from quota'", "quota");
    }

    private static DateTimeZone? ReadZone(Fields fields)
    {
        if (fields.Text("timezone") is not { } id) return DateTimeZone.Utc;
        if (BillingCalendar.FindZone(id) is { } zone) return zone;
        fields.Add("timezone_unknown", "must be an IANA time zone, as Europe/Berlin", "timezone");
        return null;
    }

    private static T? Read<T>(Fields fields, string name, bool required, Func<Node, Result<T>> reader)
    {
        if (fields.Raw(name, required) is not { } raw) return default;
        var tree = JsonTree.Read(raw);
        var read = tree.Ok ? reader(tree.Value) : Result<T>.Refused(tree.Problems);
        if (read.Ok) return read.Value;
        fields.AddAll(read.Problems.Select(p => p with { Field = PathOf(name, p.Field) }));
        return default;
    }

    private static string PathOf(string name, string? field) =>
        field is null or "" ? name : field[0] == '[' ? name + field : $"{name}.{field}";

    private static object View(PriceComponent price, PricePreview preview)
    {
        var (amount, precise) = (preview.Amount.ToString(), PriceWriter.Text(preview.PreciseAmount));
        var lines = preview.Lines.Select(line => new
        {
            line.Description,
            quantity = PriceWriter.Text(line.Quantity),
            unit_amount = PriceWriter.Text(line.UnitAmount),
            precise_amount = PriceWriter.Text(line.PreciseAmount),
            amount = line.Amount.ToString(),
        });
        var warnings = PriceCliff.Of(price).Select(cliff => cliff.ToString()).ToArray();
        return warnings.Length == 0
            ? new { amount, precise_amount = precise, lines }
            : new { amount, precise_amount = precise, lines, warnings };
    }
}
