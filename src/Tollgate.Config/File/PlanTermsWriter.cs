using System.Buffers;
using System.Text;
using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Writes the terms of a plan as <see cref="PlanTermsReader"/> reads them: equal terms give equal text.</summary>
public static class PlanTermsWriter
{
    /// <summary>What a plan without terms has.</summary>
    public const string None = "{}";

    public static string Write(PlanTerms terms)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer)) Write(json, terms);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter json, PlanTerms terms)
    {
        json.WriteStartObject();
        if (terms.Trial is { } trial) json.WriteString("trial", trial.ToString());
        if (terms.Features.Count > 0)
        {
            json.WriteStartObject("features");
            foreach (var (name, feature) in terms.Features)
            {
                json.WritePropertyName(name);
                Write(json, feature);
            }

            json.WriteEndObject();
        }

        if (terms.Phases.Count > 0)
        {
            json.WriteStartArray("phases");
            foreach (var phase in terms.Phases) Write(json, phase);
            json.WriteEndArray();
        }

        WriteCurrencies(json, terms.Currencies);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, Feature feature)
    {
        if (feature.Has is { } has) json.WriteBooleanValue(has);
        else if (feature.Value is not null) json.WriteStringValue(feature.Value);
        else
        {
            json.WriteStartObject();
            json.WriteString("quota", feature.Quota);
            json.WriteEndObject();
        }
    }

    private static void Write(Utf8JsonWriter json, PlanPhase phase)
    {
        json.WriteStartObject();
        json.WriteString("name", phase.Name);
        json.WriteString("for", phase.For.ToString());
        if (phase.Prices.Count > 0)
        {
            json.WritePropertyName("prices");
            PriceWriter.WriteTo(json, phase.Prices);
        }

        WriteCurrencies(json, phase.Currencies);
        if (phase.Limits is { } limits)
        {
            json.WriteStartArray("limits");
            foreach (var limit in limits) json.WriteStringValue(limit.ToString());
            json.WriteEndArray();
        }

        if (phase.Allowances.Count > 0)
        {
            json.WriteStartObject("allowances");
            foreach (var (name, units) in phase.Allowances.OrderBy(a => a.Key, StringComparer.Ordinal))
                json.WriteString(name, PriceWriter.Text(units));
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static void WriteCurrencies(
        Utf8JsonWriter json, IReadOnlyDictionary<string, IReadOnlyList<PriceComponent>> currencies)
    {
        if (currencies.Count == 0) return;
        json.WriteStartObject("currencies");
        foreach (var (code, prices) in currencies.OrderBy(c => c.Key, StringComparer.Ordinal))
        {
            json.WritePropertyName(code);
            PriceWriter.WriteTo(json, prices);
        }

        json.WriteEndObject();
    }
}
