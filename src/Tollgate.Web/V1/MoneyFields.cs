using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>Fields that requests about money share.</summary>
internal static class MoneyFields
{
    private const int MaxPrices = 100;

    /// <summary>An exact decimal, as a text or a number, without exponent.</summary>
    public static decimal? Decimal(Fields fields, string name, (decimal Min, decimal Max) range, bool required = false)
    {
        if (fields.Raw(name, required) is not { } raw) return null;
        var text = raw.ValueKind switch
        {
            JsonValueKind.String => raw.GetString()!,
            JsonValueKind.Number => raw.GetRawText(),
            _ => "",
        };
        if (decimal.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign,
                CultureInfo.InvariantCulture, out var value)
            && value.Scale <= 12 && value >= range.Min && value <= range.Max)
            return value;
        fields.Add("bad_value", $"must be a decimal from {range.Min} to {range.Max}, such as \"12.50\"", name);
        return null;
    }

    /// <summary>An amount above zero with no more digits than its currency has.</summary>
    public static Money? Amount(Fields fields, string name, Currency currency, bool required = true)
    {
        if (Decimal(fields, name, (0, 1_000_000_000_000m), required) is not { } value) return null;
        var amount = Money.Round(value, currency);
        if (amount.Amount == value && amount.MinorUnits > 0) return amount;
        fields.Add("bad_value",
            $"must be above zero, with at most {currency.MinorUnitDigits} digits after the point in {currency}", name);
        return null;
    }

    /// <summary>The customer that a request names; a fault when there is none.</summary>
    public static async Task<CustomerRow?> CustomerAsync(Fields fields, CustomerStore customers, bool required = true)
    {
        if (fields.Text("customer", required) is not { } name) return null;
        var customer = await customers.FindAsync(name);
        if (customer is null) fields.Add("unknown_customer", $"There is no customer '{name}'.", "customer");
        return customer;
    }

    /// <summary>The invoice that a request names; a fault when there is none.</summary>
    public static async Task<InvoiceRow?> InvoiceAsync(Fields fields, InvoiceStore invoices, bool required)
    {
        if (fields.Text("invoice", required) is not { } number) return null;
        var invoice = await invoices.FindAsync(number);
        if (invoice is null) fields.Add("unknown_invoice", $"There is no invoice '{number}'.", "invoice");
        return invoice;
    }

    /// <summary>The subscription that a request names; a fault when there is none.</summary>
    public static async Task<SubscriptionRow?> SubscriptionAsync(
        Fields fields, SubscriptionStore subscriptions, bool required)
    {
        if (fields.Text("subscription", required) is not { } id) return null;
        var subscription = await subscriptions.FindAsync(id);
        if (subscription is null)
            fields.Add("unknown_subscription", $"There is no subscription '{id}'.", "subscription");
        return subscription;
    }

    /// <summary>The IANA id of a time zone; null without one, and with a fault.</summary>
    public static string? Timezone(Fields fields)
    {
        if (fields.Text("timezone") is not { } id) return null;
        if (BillingCalendar.FindZone(id) is not null) return id;
        fields.Add("bad_value", "must be an IANA time zone such as Europe/Berlin", "timezone");
        return null;
    }

    /// <summary>The currency that a request names, else the one of the file.</summary>
    public static Currency CurrencyOr(Fields fields, SystemCurrency system)
    {
        if (fields.Text("currency") is not { } code) return system.Currency;
        if (Currency.Find(code) is { } currency) return currency;
        fields.Add("bad_value", "must be an ISO 4217 code such as USD", "currency");
        return Currency.Usd;
    }

    /// <summary>Page and <c>?customer=</c> of a list, and all that is wrong with them.</summary>
    public static async Task<(Paging Page, long? Customer, List<Problem> Wrong)> PageAsync(
        HttpRequest request, CustomerStore customers)
    {
        var wrong = Paging.Read(request, out var page);
        if (request.Query["customer"].ToString() is not { Length: > 0 } name) return (page, null, wrong);
        var found = await customers.FindAsync(name);
        if (found is null) wrong.Add(new Problem("unknown_customer", $"There is no customer '{name}'.", "customer"));
        return (page, found?.Key, wrong);
    }

    /// <summary>Names of prices; null for all.</summary>
    public static async Task<IReadOnlyList<string>?> PricesAsync(Fields fields, Database database)
    {
        if (fields.Raw("prices") is not { } raw) return null;
        if (raw.ValueKind != JsonValueKind.Array || raw.GetArrayLength() is 0 or > MaxPrices
            || !raw.EnumerateArray().All(p => p.ValueKind == JsonValueKind.String
                && p.GetString() is { Length: > 0 and <= 256 } name && !name.Any(char.IsControl)))
        {
            fields.Add("wrong_type", $"must be a list of 1 to {MaxPrices} names of prices", "prices");
            return null;
        }

        string[] names = [.. raw.EnumerateArray().Select(p => p.GetString()!)];
        var unknown = await database.ReadAsync(db => PriceNames.UnknownAsync(db, names));
        foreach (var (name, at) in names.Select((name, at) => (name, at)).Where(n => unknown.Contains(n.name)))
            fields.Add("unknown_price", $"'{name}' is a price of no plan and no add-on; one of an add-on is written as " +
                "'add-on/price'", $"prices[{at}]");
        return names;
    }

    /// <summary>What something is called that is named in paths.</summary>
    /// <typeparam name="T">What it is: it is asked for by name or by id, and never two things.</typeparam>
    public static string? Name<T>(Fields fields)
        where T : IIdentified
    {
        var name = fields.Text("name", required: true);
        if (name is not null && name.Contains('/', StringComparison.Ordinal))
            fields.Add("bad_value", "must not contain a slash", "name");
        if (name is not null && Id<T>.TryParse(name, out _)) fields.Add("bad_value", "must not be an id", "name");
        return name;
    }

    public static string Text(long minorUnits, string currency) =>
        new Money(minorUnits, Currency.Of(currency)).ToString();
}
