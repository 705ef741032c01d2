using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Unicode;
using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Tollgate.Metering;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>
/// An invoice as it is sent, in JSON: amounts are decimal strings, instants RFC 3339. The text of an issued one is
/// stored and served byte for byte ever after; a draft is written anew each time.
/// </summary>
public sealed record InvoiceDocument
{
    /// <summary>Of one that is not issued yet: <see cref="Gathering"/> until its period is over, then <see cref="Draft"/> for as
    /// long as late usage is waited for.</summary>
    public const string Gathering = "gathering", Draft = "draft", Issued = "issued";

    /// <summary><c>inv_…</c>; a draft has it already, unless its instant has an invoice.</summary>
    public required string? Id { get; init; }

    /// <summary><c>2026-000001</c>, without gaps within the year of issue (UTC); null until then.</summary>
    public required string? Number { get; init; }

    /// <summary><see cref="Gathering"/>, <see cref="Draft"/> or <see cref="Issued"/>.</summary>
    public required string Status { get; init; }

    [JsonIgnore]
    public bool IsIssued => Status is not (Gathering or Draft);

    public required InvoiceCustomer Customer { get; init; }

    /// <summary><c>sub_…</c></summary>
    public required string Subscription { get; init; }

    /// <summary>Name of the plan.</summary>
    public required string Plan { get; init; }

    /// <summary>Versions of the plan's prices in force, in order of time.</summary>
    public required IReadOnlyList<int> PlanVersions { get; init; }

    /// <summary>ISO 4217; all amounts are in it.</summary>
    public required string Currency { get; init; }

    /// <summary>IANA id of the zone in which the periods begin.</summary>
    public required string Timezone { get; init; }

    public required string PeriodStart { get; init; }

    /// <summary>Half-open.</summary>
    public required string PeriodEnd { get; init; }

    public required string BillAt { get; init; }

    /// <summary>When the usage of a draft was read; null once issued.</summary>
    public required string? AsOf { get; init; }

    public required string? IssuedAt { get; init; }

    public required IReadOnlyList<InvoiceLine> Lines { get; init; }

    /// <summary>The sum of the lines' amounts: before coupons, credit and tax.</summary>
    public string Subtotal { get; init; } = "0";

    /// <summary>Taken off before tax: coupons, then promotional credit.</summary>
    public IReadOnlyList<InvoiceDeduction> Discounts { get; init; } = [];

    /// <summary>Without tax.</summary>
    public string Net { get; init; } = "0";

    public string Tax { get; init; } = "0";

    /// <summary>By rate.</summary>
    public IReadOnlyList<InvoiceTax> Taxes { get; init; } = [];

    /// <summary>With tax.</summary>
    public required string Total { get; init; }

    /// <summary>Paid from prepaid credit.</summary>
    public string PrepaidCredit { get; init; } = "0";

    /// <summary>What was to be paid at its issue; what of it is paid stands beside the document. Below zero it is the
    /// customer's credit.</summary>
    public string AmountDue { get; init; } = "0";

    /// <summary>None for a draft.</summary>
    public string? DueAt { get; init; }

    /// <summary>Usage that no price asks for; with the lines it accounts for each billable call.</summary>
    public required IReadOnlyList<UnpricedUsage> UnpricedUsage { get; init; }

    /// <summary>The stored form.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, InvoiceJson.Written.InvoiceDocument);

    /// <exception cref="JsonException">The text is no invoice document.</exception>
    public static InvoiceDocument Read(string json) =>
        JsonSerializer.Deserialize(json, InvoiceJson.Written.InvoiceDocument)
        ?? throw new JsonException("An invoice document is an object, not null.");

    /// <summary>The fees that it charges in advance, and gives back.</summary>
    /// <param name="credited">What credit notes have taken back of it, gross: of each charge its share.</param>
    internal IEnumerable<BilledFee> FeesInAdvance(Money credited)
    {
        var currency = Catalog.Currency.Of(Currency);
        var charged = Lines.Select(Gross)
            .Where(gross => gross.MinorUnits > 0).Aggregate(Money.Zero(currency), (sum, gross) => sum + gross);
        var left = Math.Max(0, charged.MinorUnits - credited.MinorUnits);
        return from line in Lines
               where line.InAdvance
               let full = Read(line.Amount)
               let asked = full - Read(line.Discount)
               let isCredit = line.Kind == InvoiceLine.Credit
               select new BilledFee(line.Price, DecimalText.Read(line.UnitAmount!), DecimalText.Read(line.Quantity),
                   new Period(At(line.PeriodStart), At(line.PeriodEnd)),
                   isCredit || left == charged.MinorUnits ? asked
                       : Money.Round(asked.Amount * left / charged.MinorUnits, currency))
               {
                   Full = full,
                   Charged = full - Read(line.LineDiscount),
                   OfUnits = line.Proration?.Of ?? 0,
                   IsCredit = isCredit,
                   PlanVersion = line.PlanVersion,
                   Tax = line.TaxRate?.ToTax()
                       ?? (Taxes.Count == 0 ? Catalog.Tax.None : Taxes.Count == 1 ? Taxes[0].Rate.ToTax() : null),
               };

        static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).GetValueOrThrow();

        Money Gross(InvoiceLine l) => Read(l.Amount) - Read(l.Discount)
            + (l.TaxRate?.Inclusive == true ? Money.Zero(currency) : Read(l.Tax));

        Money Read(string? amount) => amount is null ? Money.Zero(currency) : Money.Round(DecimalText.Read(amount), currency);
    }

    /// <summary>What stays open in a draft is filled in when it is issued.</summary>
    /// <param name="asOf">Microseconds UTC.</param>
    public static InvoiceDocument Of(InvoiceDraft draft, InvoiceCustomer customer, string plan, long asOf) => new()
    {
        Id = draft.Bill.IsRepeated ? null : InvoiceIds.Of(draft.Subscription.Id, draft.Bill.BillAt),
        Number = null,
        Status = asOf < draft.Bill.BillAt ? Gathering : Draft,
        Customer = customer,
        Subscription = draft.Subscription.Id,
        Plan = plan,
        PlanVersions = draft.PlanVersions,
        Currency = draft.Total.Currency.Code,
        Timezone = draft.Timezone,
        PeriodStart = Micros.ToText(Micros.Of(draft.Bill.Period.Start)),
        PeriodEnd = Micros.ToText(Micros.Of(draft.Bill.Period.End)),
        BillAt = Micros.ToText(draft.Bill.BillAt),
        AsOf = Micros.ToText(asOf),
        IssuedAt = null,
        Lines = draft.Lines.Select((line, at) => InvoiceLine.Of(
            line, DateTimeZoneProviders.Tzdb[draft.Timezone], draft.Subscription.ProratesBySecond, draft.Sum.Lines[at])).ToArray(),
        Subtotal = draft.Lines.Aggregate(Money.Zero(draft.Total.Currency), (sum, l) => sum + l.Amount).ToString(),
        Discounts =
        [
            .. draft.Coupons.Select(c => new InvoiceDeduction("coupon", c.Coupon.Coupon.Name, c.Off.ToString())),
            .. draft.Burns.Where(b => b.Grant.Kind == GrantRow.Promotional)
                .Select(b => new InvoiceDeduction("promotional_credit", b.Grant.Name, b.Amount.ToString())),
        ],
        Net = draft.Sum.Net.ToString(),
        Tax = draft.Sum.Tax.ToString(),
        Taxes = [.. draft.Sum.Taxes.Select(t => InvoiceTax.Of(t))],
        Total = draft.Total.ToString(),
        PrepaidCredit = draft.Sum.Prepaid.ToString(),
        AmountDue = draft.Sum.Due.ToString(),
        UnpricedUsage = draft.Unpriced
            .Select(u => new UnpricedUsage(u.Operation, u.Endpoint, DecimalText.Of(u.Quantity))).ToArray(),
    };

    /// <summary>The same, issued.</summary>
    /// <param name="at">Microseconds.</param>
    public InvoiceDocument Issue(string id, string number, (long Issued, long Due) at) => this with
    {
        Id = id,
        Number = number,
        Status = Issued,
        AsOf = null,
        IssuedAt = Micros.ToText(at.Issued),
        DueAt = Micros.ToText(at.Due),
    };
}

public sealed record InvoiceCustomer(string Id, string Name);

/// <summary>What is taken off.</summary>
/// <param name="Kind"><c>coupon</c> or <c>promotional_credit</c>.</param>
public sealed record InvoiceDeduction(string Kind, string Name, string Amount);

/// <summary>What the lines of one rate come to.</summary>
/// <param name="Treatment"><c>taxed</c>, <c>exempt</c> or <c>reverse_charge</c>: the customer owes it to their own
/// authority.</param>
public sealed record InvoiceTax(string Percent, bool Inclusive, string Treatment, string Net, string Amount)
{
    [JsonIgnore]
    public InvoiceTaxRate Rate => new(Percent, Inclusive, Treatment);

    public static InvoiceTax Of(TaxTotal total)
    {
        var rate = InvoiceTaxRate.Of(total.Tax)!;
        return new InvoiceTax(rate.Percent, rate.Inclusive, rate.Treatment, total.Net.ToString(), total.Amount.ToString());
    }
}

/// <summary>What a line is taxed by.</summary>
/// <param name="Treatment">As in <see cref="InvoiceTax"/>.</param>
public sealed record InvoiceTaxRate(string Percent, bool Inclusive, string Treatment)
{
    public static InvoiceTaxRate? Of(Tax tax) => tax == Catalog.Tax.None ? null : new(
        DecimalText.Of(tax.Percent), tax.IsInclusive, tax.Treatment switch
        {
            TaxTreatment.Exempt => CustomerTerms.Exempt,
            TaxTreatment.ReverseCharge => CustomerTerms.ReverseCharge,
            _ => CustomerTerms.Taxed,
        });

    public Tax ToTax() => new(DecimalText.Read(Percent), Inclusive, Treatment switch
    {
        CustomerTerms.Exempt => TaxTreatment.Exempt,
        CustomerTerms.ReverseCharge => TaxTreatment.ReverseCharge,
        _ => TaxTreatment.Taxed,
    });
}

/// <summary>Ids of invoices: a draft has that of the invoice that it becomes.</summary>
public static class InvoiceIds
{
    /// <summary>A UUIDv7 of the instant of the bill; what is random in others is the hash of subscription and instant.
    /// </summary>
    public static string Of(string subscription, long billAt)
    {
        Span<byte> bytes = stackalloc byte[32];
        System.Security.Cryptography.SHA256.HashData(
            System.Text.Encoding.UTF8.GetBytes($"{subscription} {billAt}"), bytes);
        System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(bytes, (billAt / 1_000 << 16)
            | System.Buffers.Binary.BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]));
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x70);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new Id<Invoice>(new Guid(bytes[..16], bigEndian: true)).ToString();
    }

    /// <summary>The millisecond of the bill that an id was made for, as microseconds; null when it is no such id.</summary>
    public static long? InstantOf(string id) => Id<Invoice>.TryParse(id, out var parsed)
        ? (long)(System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(parsed.Value.ToByteArray(bigEndian: true)) >> 16)
            * 1_000
        : null;
}

/// <summary>Usage without a price, per operation.</summary>
public sealed record UnpricedUsage(string Operation, string Endpoint, string Quantity);

/// <summary>Exact decimals as text: every digit that counts, none that does not.</summary>
public static class DecimalText
{
    private const string Exact = "0.############################";

    public static string Of(decimal number) => number.ToString(Exact, CultureInfo.InvariantCulture);

    public static decimal Read(string text) => decimal.Parse(
        text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);

    /// <summary>"1,234 calls", "1 call".</summary>
    public static string Counted(decimal quantity, string meter) =>
        $"{Grouped(quantity)} {(quantity == 1 && meter == UsageStore.Calls ? "call" : meter)}";

    /// <summary>"1,234.5".</summary>
    public static string Grouped(decimal number) =>
        number.ToString("#,##0.############################", CultureInfo.InvariantCulture);
}

[JsonSerializable(typeof(InvoiceDocument))]
internal sealed partial class InvoiceJson : JsonSerializerContext
{
    /// <summary>Letters stay readable; what could end an HTML element stays escaped.</summary>
    public static InvoiceJson Written { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.Create(UnicodeRanges.All),
    });
}
