using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>
/// Writes prices as the price documents that <see cref="PriceReader"/> reads. The text is canonical: equal prices in
/// equal order give equal text, which is how a changed price is told from an unchanged one.
/// </summary>
public static class PriceWriter
{
    /// <summary>A JSON object: name → price document. Decimals are strings without needless zeros.</summary>
    public static string Write(IReadOnlyList<PriceComponent> prices)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer)) WriteTo(json, prices);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    public static void WriteTo(Utf8JsonWriter json, IReadOnlyList<PriceComponent> prices)
    {
        json.WriteStartObject();
        foreach (var price in prices)
        {
            json.WriteStartObject(price.Name);
            WriteModel(json, price.Price);
            if (price.Meter is not null) json.WriteString("meter", price.Meter);
            if (price.Operations is not null) WriteWhere(json, price.Operations);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    /// <summary>What an API writes for an exact rate: <c>0.05</c>, never <c>0.0500</c> or <c>5E-2</c>.</summary>
    public static string Text(decimal amount) =>
        amount.ToString("0.############################", CultureInfo.InvariantCulture);

    private static void WriteModel(Utf8JsonWriter json, Price price)
    {
        switch (price)
        {
            case Price.Flat flat:
                json.WriteString("model", "flat");
                json.WriteString("amount", Text(flat.Amount));
                json.WriteString("every", "month");
                json.WriteString("in", flat.In == BillingTiming.Advance ? "advance" : "arrears");
                break;
            case Price.PerUnit perUnit:
                json.WriteString("model", "per_unit");
                json.WriteString("unit_amount", Text(perUnit.UnitAmount));
                break;
            default:
                throw new InvalidOperationException($"The price model {price.GetType().Name} has no document.");
        }
    }

    private static void WriteWhere(Utf8JsonWriter json, IReadOnlyList<string> operations)
    {
        json.WriteStartObject("where");
        json.WriteStartArray("operation");
        foreach (var operation in operations.Order(StringComparer.Ordinal)) json.WriteStringValue(operation);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
