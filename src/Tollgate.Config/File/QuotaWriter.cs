using System.Buffers;
using System.Text;
using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>
/// Writes quotas as <see cref="QuotaReader"/> reads them. The text is canonical: equal quotas in equal order give equal
/// text, which is how a changed allowance is told from an unchanged one.
/// </summary>
public static class QuotaWriter
{
    /// <summary>What a plan without quotas has.</summary>
    public const string None = "[]";

    /// <summary>A JSON list; allowances are strings without needless zeros.</summary>
    public static string Write(IReadOnlyList<Quota> quotas)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartArray();
            foreach (var quota in quotas) Write(json, quota);
            json.WriteEndArray();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter json, Quota quota)
    {
        json.WriteStartObject();
        if (quota.Name != quota.Meter) json.WriteString("name", quota.Name);
        json.WriteString("meter", quota.Meter);
        if (quota.Operations is { } operations)
        {
            json.WriteStartObject("where");
            json.WriteStartArray("operation");
            foreach (var operation in operations) json.WriteStringValue(operation);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteString("allowance", PriceWriter.Text(quota.Allowance));
        json.WriteString("per", quota.Per.ToString());
        json.WriteString("overage", quota.Overage == Overage.Block ? "block" : "bill");
        json.WriteEndObject();
    }
}
