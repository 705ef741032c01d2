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
            WriteTerms(json, price.Price);
            if (price.Meter is not null) json.WriteString("meter", price.Meter);
            WriteScope(json, price.Scope with { Operations = price.Operations });
            if (price.By.Count > 0) WriteList(json, "by", price.By);
            if (price.Matrix.Count > 0) WriteMatrix(json, price.Matrix);
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
                json.WriteString("every", (flat.Every ?? Interval.Month).ToText());
                json.WriteString("in", flat.In == BillingTiming.Advance ? "advance" : "arrears");
                break;
            case Price.PerUnit perUnit:
                json.WriteString("model", "per_unit");
                json.WriteString("unit_amount", Text(perUnit.UnitAmount));
                break;
            case Price.Graduated graduated:
                WriteTiers(json, "graduated", graduated.Tiers);
                break;
            case Price.Volume volume:
                WriteTiers(json, "volume", volume.Tiers);
                break;
            case Price.Stairstep stairstep:
                WriteTiers(json, "stairstep", stairstep.Tiers);
                break;
            case Price.Package package:
                json.WriteString("model", "package");
                json.WriteString("size", Text(package.Size));
                json.WriteString("amount", Text(package.Amount));
                WriteUnless0(json, "free", package.Free);
                if (package.RoundsDown) json.WriteString("round", "down");
                break;
            case Price.Percentage percentage:
                json.WriteString("model", "percentage");
                json.WriteString("rate", Text(percentage.Rate));
                WriteUnless0(json, "fixed", percentage.Fixed);
                WriteIfAny(json, "free_events", percentage.FreeEvents);
                WriteIfAny(json, "free_amount", percentage.FreeAmount);
                WriteIfAny(json, "minimum_per_event", percentage.MinimumPerEvent);
                WriteIfAny(json, "maximum_per_event", percentage.MaximumPerEvent);
                break;
            default:
                throw new InvalidOperationException($"The price model {price.GetType().Name} has no document.");
        }
    }

    private static void WriteTiers(Utf8JsonWriter json, string model, IReadOnlyList<Tier> tiers)
    {
        json.WriteString("model", model);
        json.WriteStartArray("tiers");
        foreach (var tier in tiers)
        {
            json.WriteStartObject();
            WriteIfAny(json, "up_to", tier.UpTo);
            WriteIfAny(json, "unit_amount", tier.UnitAmount);
            // a tier says something of what it costs, even if it is nothing
            if (tier.FlatAmount != 0 || tier.UnitAmount is null) json.WriteString("flat_amount", Text(tier.FlatAmount));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>The terms that any model may have; those that are as they are without a word are left out.</summary>
    private static void WriteTerms(Utf8JsonWriter json, Price price)
    {
        if (price.IncludedFromQuota) json.WriteString("included", "from quota");
        else WriteUnless0(json, "included", price.Included);
        if (price.ProratesAllowance) json.WriteBoolean("prorate_allowance", true);
        WriteIfAny(json, "minimum", price.Minimum);
        WriteIfAny(json, "maximum", price.Maximum);
        if (!price.BillsZeroUsage) json.WriteBoolean("bill_zero_usage", false);
        if (price.Convert is not { } convert) return;
        json.WriteStartObject("convert");
        json.WriteString(convert.Divides ? "divide_by" : "multiply_by", Text(convert.Factor));
        if (convert.Round != UnitRounding.None)
        {
            json.WriteString("round", convert.Round switch
            {
                UnitRounding.Up => "up",
                UnitRounding.Down => "down",
                _ => "half",
            });
            WriteUnless0(json, "decimals", convert.Decimals);
        }

        json.WriteEndObject();
    }

    private static void WriteUnless0(Utf8JsonWriter json, string name, decimal number)
    {
        if (number != 0) json.WriteString(name, Text(number));
    }

    private static void WriteIfAny(Utf8JsonWriter json, string name, decimal? number)
    {
        if (number is { } any) json.WriteString(name, Text(any));
    }

    private static void WriteMatrix(Utf8JsonWriter json, IReadOnlyList<PriceCell> matrix)
    {
        json.WriteStartArray("matrix");
        foreach (var cell in matrix)
        {
            json.WriteStartObject();
            WriteScope(json, cell.Scope);
            WriteModel(json, cell.Price);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteScope(Utf8JsonWriter json, UsageScope scope)
    {
        if (scope.Operations is not null || scope.Dimensions.Count > 0)
        {
            json.WriteStartObject("where");
            if (scope.Operations is not null) WriteList(json, "operation", scope.Operations.Order(StringComparer.Ordinal));
            foreach (var (name, values) in scope.Dimensions) WriteList(json, name, values);
            json.WriteEndObject();
        }

        if (scope.When is not null) WriteList(json, "when", scope.When.Spans());
    }

    private static void WriteList(Utf8JsonWriter json, string name, IEnumerable<string> texts)
    {
        json.WriteStartArray(name);
        foreach (var text in texts) json.WriteStringValue(text);
        json.WriteEndArray();
    }
}
