using System.Globalization;
using System.Text;
using NodaTime;
using NodaTime.Text;
using Tollgate.Catalog;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>An invoice for the terminal: 80 columns, amounts below each other, no colours.</summary>
public static class InvoiceText
{
    private const int Width = 80, AmountWidth = 14;

    /// <summary>Lines end in a line feed. Longer names wrap before they push an amount out of its column.</summary>
    /// <param name="invoice">What was issued, or would be.</param>
    /// <param name="standing">What has become of it since; null for as the document says.</param>
    public static string Render(InvoiceDocument invoice, InvoiceStanding? standing = null)
    {
        var text = new StringBuilder();
        var zone = BillingCalendar.FindZone(invoice.Timezone) ?? DateTimeZone.Utc;
        Header(text, invoice, (zone, standing));
        // where several prices ask for one endpoint, which of them it is
        var shared = invoice.Lines.Where(l => l.Endpoint is not null).GroupBy(l => l.Endpoint)
            .Where(g => g.Select(l => l.Price).Distinct().Skip(1).Any()).Select(g => g.Key).ToHashSet();
        // the header says it for lines of the whole period; those of another time, or of several versions, say it again
        var headings = invoice.Lines.Select(l => l.PlanVersion).Distinct().Count() > 1
            || invoice.Lines.Any(l => (l.PeriodStart, l.PeriodEnd) != (invoice.PeriodStart, invoice.PeriodEnd));
        (string, string, int)? last = null;
        foreach (var line in invoice.Lines)
        {
            var part = (line.PeriodStart, line.PeriodEnd, line.PlanVersion);
            if (headings && part != last)
            {
                if (last is not null) text.Append('\n');
                Line(text, $"{Days(line.PeriodStart, line.PeriodEnd, zone)}, version {line.PlanVersion}");
            }

            last = part;
            var name = line.Endpoint is null ? line.Price
                : shared.Contains(line.Endpoint) ? $"{line.Endpoint} ({line.Price})" : line.Endpoint;
            Row(text, Shown(line.Label is null ? name : $"{name}, {line.Label}"), Arithmetic(line, invoice.Currency),
                Grouped(line.Amount));
            foreach (var piece in line.Parts ?? []) Line(text, "  " + Part(piece, invoice.Currency));
        }

        if (invoice.Lines.Count == 0) Line(text, "Nothing is charged.");
        Line(text, new string('-', Width));
        if (invoice.Discounts.Count > 0) Row(text, "Subtotal", "", Grouped(invoice.Subtotal));
        foreach (var off in invoice.Discounts)
            Row(text, (off.Kind == "coupon" ? "Coupon " : "Credit ") + Shown(off.Name), "", Grouped("-" + off.Amount));
        if (invoice.Taxes.Count > 0) Row(text, "Net", "", Grouped(invoice.Net));
        foreach (var tax in invoice.Taxes) Row(text, TaxName(tax), "", Grouped(tax.Amount));
        Row(text, "Total", "", $"{invoice.Currency} {Grouped(invoice.Total)}");
        if (Number(invoice.PrepaidCredit) != 0)
        {
            Row(text, "Prepaid credit", "", Grouped("-" + invoice.PrepaidCredit));
            Row(text, "Due", "", $"{invoice.Currency} {Grouped(invoice.AmountDue)}");
        }

        if (standing is { Settled.MinorUnits: > 0 })
        {
            Row(text, "Paid or credited", "", Grouped("-" + standing.Settled));
            Row(text, "Left to pay", "", $"{invoice.Currency} {Grouped(standing.Left.ToString())}");
        }

        if (invoice.UnpricedUsage.Count == 0) return text.ToString();
        Line(text, "\nUsage without a price");
        foreach (var usage in invoice.UnpricedUsage)
            Row(text, Shown(usage.Endpoint), Counted(usage.Quantity, Metering.UsageStore.Calls), "");
        return text.ToString();
    }

    private static string TaxName(InvoiceTax tax) => tax.Treatment switch
    {
        CustomerTerms.Exempt => "Tax: exempt",
        CustomerTerms.ReverseCharge => "Tax: reverse charge, owed by the customer",
        _ => $"Tax {tax.Percent} %{(tax.Inclusive ? ", included" : "")}",
    };

    private static void Header(StringBuilder text, InvoiceDocument invoice, (DateTimeZone Zone, InvoiceStanding? Now) at)
    {
        var (zone, standing) = at;
        Line(text, invoice.IsIssued ? $"INVOICE {invoice.Number}" : $"DRAFT INVOICE, as of {invoice.AsOf}");
        Field(text, "Customer", $"{invoice.Customer.Name} ({invoice.Customer.Id})");
        Field(text, "Subscription", invoice.Subscription);
        var versions = invoice.PlanVersions.Count > 1 ? "versions" : "version";
        Field(text, "Plan", invoice.Plan +
            (invoice.PlanVersions.Count == 0 ? "" : $", {versions} {string.Join(", ", invoice.PlanVersions)}"));
        Field(text, "Period", $"{Days(invoice.PeriodStart, invoice.PeriodEnd, zone)} ({invoice.Timezone})");
        Field(text, "Status", invoice.Status switch
        {
            InvoiceDocument.Gathering => $"gathering: closes at {invoice.BillAt}",
            InvoiceDocument.Draft => $"draft: closed at {invoice.BillAt}, not issued yet",
            _ when standing is not null => standing.ToString(invoice.IssuedAt!),
            _ => $"{invoice.Status} at {invoice.IssuedAt}",
        });
        text.Append('\n');
    }

    /// <summary>"1,234 calls × 0.01", "12 of 31 days × 49.00".</summary>
    private static string Arithmetic(InvoiceLine line, string currency)
    {
        // what keeps a price between its bounds counts nothing
        if (line is { Meter: not null, Kind: InvoiceLine.Maximum }) return "down to the maximum";
        if (line is { Meter: not null, Kind: InvoiceLine.Minimum }) return "up to the minimum";
        var rate = line.UnitAmount is null ? null : Rate(line.UnitAmount, currency);
        if (line.Meter is not null || rate is null) return Used(line, line.Meter ?? "") + (rate is null ? "" : $" × {rate}");
        var each = line.Quantity == "1" ? rate : $"{line.Quantity} × {rate}";
        return (line.Kind == InvoiceLine.Credit ? "not used: " : "") + line.Proration switch
        {
            { Days: { } days } part => $"{days} of {part.OfDays} days × {each}",
            { Seconds: { } seconds } part => $"{seconds} of {part.OfSeconds} seconds × {each}",
            _ => line is { Quantity: "1", Kind: not InvoiceLine.Credit } ? "" : each,
        };
    }

    /// <summary>"5 calls, 3 included,"; of an adjustment what was told, and what there is.</summary>
    private static string Used(InvoiceLine line, string meter)
    {
        if (line is { OldQuantity: { } old, NewQuantity: { } now })
            return $"adjusted: {DecimalText.Grouped(Number(old))} → {Counted(now, meter)}";
        var free = (line.IncludedUnits is { } included ? $", {DecimalText.Grouped(Number(included))} included" : "")
            + (line.CreditedUnits is { } credited ? $", {DecimalText.Grouped(Number(credited))} paid with credit" : "");
        return Counted(line.Quantity, meter) + free + (free.Length > 0 && line.UnitAmount is not null ? "," : "");
    }

    /// <summary>"20 calls above 100 up to 200 × 0.80 = 16".</summary>
    private static string Part(InvoiceLinePart part, string currency) => part.Description
        + (part.UnitAmount is null ? "" : $" × {Rate(part.UnitAmount, currency)}")
        + $" = {DecimalText.Grouped(Number(part.PreciseAmount))}";

    private static string Rate(string amount, string currency)
    {
        var digits = Currency.Find(currency)?.MinorUnitDigits ?? 0;
        return Number(amount).ToString("#,##0." + new string('0', digits) + new string('#', 28 - digits),
            CultureInfo.InvariantCulture);
    }

    /// <summary>Left, middle and amount in columns; a name too long for its column takes lines of its own.</summary>
    private static void Row(StringBuilder text, string left, string middle, string amount)
    {
        var right = (middle + amount.PadLeft(Math.Max(AmountWidth, amount.Length + 2))).TrimEnd();
        var room = Width - right.Length - 2;
        while (left.Length > Math.Max(room, 0) && left.Length > 0)
        {
            var piece = left[..Math.Min(left.Length, Width)];
            Line(text, piece);
            left = left.Length > Width ? "  " + left[piece.Length..] : "";
        }

        Line(text, left + right.PadLeft(Math.Max(0, Width - left.Length)));
    }

    private static void Field(StringBuilder text, string name, string value) => Line(text, $"{name,-14}{Shown(value)}");

    private static void Line(StringBuilder text, string line) => text.Append(line.TrimEnd()).Append('\n');

    /// <summary>Names come from outside: what would steer a terminal is not printed.</summary>
    private static string Shown(string name) => string.Concat(name.Where(c => !char.IsControl(c)));

    private static string Days(string start, string end, DateTimeZone zone) =>
        LocalDays.Of(new Period(At(start), At(end)), zone);

    private static Instant At(string text) => InstantPattern.ExtendedIso.Parse(text).GetValueOrThrow();

    private static string Counted(string quantity, string meter) => DecimalText.Counted(Number(quantity), meter);

    private static decimal Number(string text) => decimal.Parse(
        text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);

    /// <summary>The amount with thousands separated, its digits after the point as they are.</summary>
    private static string Grouped(string amount)
    {
        var point = amount.IndexOf('.');
        var digits = point < 0 ? 0 : amount.Length - point - 1;
        return Number(amount).ToString("N" + digits, CultureInfo.InvariantCulture);
    }
}
