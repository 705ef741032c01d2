using System.Text.Json;
using Tollgate.Catalog;
using Tollgate.Config.File;

namespace Tollgate.Web.V1;

/// <summary>The field <c>usage</c> of a price preview: quantities with their times, operations and dimensions, each an event
/// where the price looks at single ones.</summary>
internal static class PreviewUsage
{
    /// <summary>Items in one question.</summary>
    private const int Most = 10_000;

    private const int MostDimensions = 16, LongestText = 512;

    public static List<Usage>? Read(Fields fields, PriceComponent? price)
    {
        if (fields.Raw("usage") is not { } raw) return null;
        if (raw.ValueKind != JsonValueKind.Array)
        {
            fields.Add("wrong_type", "must be a list, as [{\"quantity\": \"50\", \"at\": \"2026-03-01T08:00:00Z\"}]", "usage");
            return null;
        }

        if (raw.GetArrayLength() > Most)
        {
            fields.Add("too_many", $"has {raw.GetArrayLength()} items; at most {Most} are rated at once", "usage");
            return null;
        }

        if (price?.Price is Price.Flat)
            fields.Add("bad_value", "is not for a flat price: it asks the same for each period", "usage");
        var usage = new List<Usage>();
        var at = 0;
        foreach (var item in raw.EnumerateArray())
            if (ReadItem(fields, item, $"usage[{at++}]", price) is { } used) usage.Add(used);
        return usage;
    }

    /// <summary>What only a quantity can have beside it.</summary>
    public static void CheckOthers(Fields fields)
    {
        foreach (var other in (string[])["quantity", "events", "already_billed"])
            if (fields.Has(other)) fields.Add("bad_value", "and 'usage' exclude each other", other);
    }

    public static object View(PriceComponent price, IReadOnlyList<(RatedLine Line, Money Amount)> rated, Currency currency) => new
    {
        amount = rated.Aggregate(Money.Zero(currency), (sum, r) => sum + r.Amount).ToString(),
        precise_amount = PriceWriter.Text(rated.Sum(r => r.Line.PreciseAmount)),
        lines = rated.Select(r => new
        {
            description = Describe(price, r.Line),
            kind = r.Line.Kind.ToString().ToLowerInvariant(),
            operation = r.Line.Operation,
            label = r.Line.Label,
            quantity = PriceWriter.Text(r.Line.Quantity),
            included = PriceWriter.Text(r.Line.Included),
            unit_amount = r.Line.UnitAmount is { } unit ? PriceWriter.Text(unit) : null,
            precise_amount = PriceWriter.Text(r.Line.PreciseAmount),
            amount = r.Amount.ToString(),
            parts = r.Line.Parts.Select(part => new
            {
                description = part.Describe(price.Meter!),
                quantity = PriceWriter.Text(part.Quantity),
                unit_amount = PriceWriter.Text(part.UnitAmount),
                precise_amount = PriceWriter.Text(part.PreciseAmount),
            }),
        }),
    };

    private static string Describe(PriceComponent price, RatedLine line) => line.Kind switch
    {
        LineKind.Maximum => "down to the maximum",
        LineKind.Minimum => "up to the minimum",
        _ => string.Join(", ", new[]
        {
            line.Operation, line.Label, $"{PriceWriter.Text(line.Quantity)} {price.Meter}",
            line.Included == 0 ? null : $"{PriceWriter.Text(line.Included)} of them included",
        }.OfType<string>()),
    };

    private static Usage? ReadItem(Fields fields, JsonElement item, string path, PriceComponent? price)
    {
        if (item.ValueKind != JsonValueKind.Object)
        {
            fields.Add("wrong_type", "must be an object with a quantity", path);
            return null;
        }

        var (quantity, at, operation, right) = ((decimal?)null, 0L, "", true);
        var dimensions = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var field in item.EnumerateObject())
            right &= field.Name switch
            {
                "quantity" => IsQuantity(fields, field.Value, $"{path}.quantity", out quantity),
                "at" => IsTime(fields, field.Value, $"{path}.at", out at),
                "operation" => IsText(fields, field.Value, $"{path}.operation", out operation),
                "dimensions" => AreDimensions(fields, field.Value, $"{path}.dimensions", dimensions),
                _ => Unknown(fields, $"{path}.{field.Name}"),
            };
        if (quantity is null && right)
        {
            fields.Add("missing_field", "is required", $"{path}.quantity");
            return null;
        }

        return !right ? null : new Usage(price?.Meter ?? PriceReader.Unnamed, operation, quantity!.Value)
        {
            At = at,
            Dimensions = dimensions,
            Events = 1,
        };
    }

    private static bool IsQuantity(Fields fields, JsonElement value, string path, out decimal? quantity)
    {
        quantity = null;
        var tree = JsonTree.Read(value);
        var read = tree.Ok ? Quantities.Read(tree.Value) : Result<decimal>.Refused(tree.Problems);
        if (read.Ok) quantity = read.Value;
        else fields.AddAll(read.Problems.Select(p => p with { Field = path }));
        return read.Ok;
    }

    private static bool IsTime(Fields fields, JsonElement value, string path, out long at)
    {
        at = 0;
        if (value.ValueKind == JsonValueKind.String && Micros.TryParse(value.GetString()!, out at)) return true;
        fields.Add("bad_value", "must be an instant of RFC 3339, as 2026-03-01T08:00:00Z", path);
        return false;
    }

    private static bool IsText(Fields fields, JsonElement value, string path, out string text)
    {
        text = value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        if (text.Length is > 0 and <= LongestText && !text.Any(char.IsControl)) return true;
        fields.Add("bad_value", $"must be a text of 1 to {LongestText} characters, none of them a control character", path);
        return false;
    }

    private static bool AreDimensions(
        Fields fields, JsonElement value, string path, SortedDictionary<string, string> dimensions)
    {
        if (value.ValueKind != JsonValueKind.Object || value.EnumerateObject().Count() > MostDimensions)
        {
            fields.Add("wrong_type", $"must be an object of at most {MostDimensions} texts, as {{\"region\": \"eu\"}}", path);
            return false;
        }

        var right = true;
        foreach (var field in value.EnumerateObject())
            if (IsText(fields, field.Value, $"{path}.{field.Name}", out var text)) dimensions[field.Name] = text;
            else right = false;
        return right;
    }

    private static bool Unknown(Fields fields, string path)
    {
        fields.Add("unknown_field", "is not known; known are quantity, at, operation, dimensions", path);
        return false;
    }
}
