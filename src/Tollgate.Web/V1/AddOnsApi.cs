using System.Data.Common;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;
using Tollgate.Catalog;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/add_ons</c>: prices that a subscription can have beside its plan's.</summary>
internal static class AddOnsApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapList<AddOnStore, AddOnRow>(
            "/v1/add_ons", (store, page) => store.ListAsync(page.After, page.Rows), View, a => a.Key);
        routes.MapOne<AddOnStore, AddOnRow>("/v1/add_ons/{id}", "add-on", (store, id) => store.FindAsync(id), View);
        routes.MapPost("/v1/add_ons", CreateAsync);
    }

    private static async Task<IResult> CreateAsync(HttpRequest request, AddOnStore addOns, PlanPublishing publishing)
    {
        var fields = await Fields.ReadAsync(request);
        var name = MoneyFields.Name<AddOn>(fields);
        var prices = PlanVersionsApi.ReadPrices(fields, publishing.Publisher.Current);
        var currency = MoneyFields.CurrencyOr(fields, publishing.Currency);
        if (prices is { Count: 0 }) fields.Add("bad_value", "must have a price at least", "prices");
        fields.AddAll(Config.File.PlanChecks.Conversions(prices ?? [], PlanTerms.None));
        if (fields.Faults() is { } faults) return faults;
        var added = await addOns.AddAsync(name!, currency, Config.File.PriceWriter.Write(prices!));
        return added is null
            ? Answers.Conflict("duplicate_name", $"There is an add-on '{name}' already.", "name")
            : Answers.Created($"/v1/add_ons/{added.Id}", View(added));
    }

    private static object View(AddOnRow a) => new
    {
        a.Id,
        a.Name,
        a.Currency,
        prices = JsonDocument.Parse(a.Prices).RootElement,
        created_at = Micros.ToText(a.CreatedAt),
    };
}

/// <summary>An add-on that a request names.</summary>
/// <param name="At">Where it stands there, as <c>add_ons[0].add_on</c>.</param>
internal sealed record NamedAddOn(AddOnRow AddOn, int Quantity, string At);

/// <summary>The field <c>add_ons</c>: <c>[{"add_on": name or id, "quantity": 1}]</c>.</summary>
internal static class AddOnsField
{
    private const int Max = 50;

    public static async Task<IReadOnlyList<NamedAddOn>> ReadAsync(DbConnection db, Fields fields)
    {
        var read = new List<NamedAddOn>();
        if (fields.Raw("add_ons") is not { } raw) return read;
        if (raw.ValueKind != JsonValueKind.Array || raw.GetArrayLength() > Max)
        {
            fields.Add("wrong_type", $"must be a list of at most {Max} such as [{{\"add_on\": \"support\"}}]", "add_ons");
            return read;
        }

        foreach (var (item, at) in raw.EnumerateArray().Select((item, at) => (item, $"add_ons[{at}]")).ToArray())
        {
            var (name, quantity) = Item(fields, item, at);
            if (name is null) continue;
            if (await AddOnStore.FindAsync(db, name) is not { } found)
                fields.Add("unknown_add_on", "There is no add-on of this name or id.", at + ".add_on");
            else if (read.Exists(r => r.AddOn.Key == found.Key))
                fields.Add("duplicate_name", "stands there twice: give it a quantity", at + ".add_on");
            else
                read.Add(new NamedAddOn(found, quantity, at + ".add_on"));
        }

        return read;
    }

    public static IReadOnlyList<AddOnTerms> Terms(IReadOnlyList<NamedAddOn> addOns) =>
        [.. addOns.Select(a => new AddOnTerms(a.AddOn.Id, a.Quantity))];

    /// <summary>A problem for each of them that is not in the customer's currency.</summary>
    public static IEnumerable<Problem> InCurrency(IReadOnlyList<NamedAddOn> addOns, string currency) =>
        addOns.Where(a => a.AddOn.Currency != currency).Select(a => new Problem("currency_differs",
            $"The add-on '{a.AddOn.Name}' is in {a.AddOn.Currency}, the customer pays in {currency}.", a.At));

    /// <summary>Null for a name that does not stand there; a fault of the quantity does not keep one of the name from being
    /// found.</summary>
    private static (string? Name, int Quantity) Item(Fields fields, JsonElement item, string at)
    {
        if (item.ValueKind != JsonValueKind.Object)
        {
            fields.Add("wrong_type", "must be an object with add_on and quantity", at);
            return (null, 1);
        }

        string? name = null;
        var (quantity, isNamed) = (1, false);
        foreach (var property in item.EnumerateObject())
            switch (property.Name)
            {
                case "add_on":
                    isNamed = true;
                    if (property.Value.ValueKind == JsonValueKind.String) name = property.Value.GetString();
                    else fields.Add("wrong_type", "must be a text", at + ".add_on");
                    break;
                case "quantity" when property.Value.ValueKind == JsonValueKind.Number
                    && property.Value.TryGetInt32(out quantity) && quantity is >= 1 and <= 1_000_000:
                    break;
                case "quantity":
                    fields.Add("bad_value", "must be a whole number from 1 to 1000000", at + ".quantity");
                    break;
                default:
                    fields.Add("unknown_field", "is not a field here; known are add_on, quantity", $"{at}.{property.Name}");
                    break;
            }

        if (!isNamed) fields.Add("missing_field", "is required", at + ".add_on");
        return (name, quantity);
    }
}
