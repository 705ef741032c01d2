using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>What one node holds of one price beyond the base: used, set aside for calls under way, and leased.</summary>
/// <param name="E">The entitlement.</param>
/// <param name="P">The period.</param>
/// <param name="N">The price.</param>
/// <param name="T">When.</param>
/// <param name="U">Units, all of them.</param>
/// <param name="I">Of these what is leased and lies idle.</param>
internal sealed record HeldRow(int E, int P, string N, long T, decimal U, decimal I = 0)
{
    public UsedRow Row => new(E, P, N, T);
}

/// <summary>The share of a node in what a customer has used, as the other nodes read it.</summary>
internal static class PurseShare
{
    public static string Write(IReadOnlyList<HeldRow> rows) => JsonSerializer.Serialize(rows);

    /// <exception cref="InvalidDataException">It is none.</exception>
    public static IReadOnlyList<HeldRow> Read(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<HeldRow[]>(text) ?? [];
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"Redis has a share of credit that cannot be read: {e.Message}", e);
        }
    }
}

/// <summary>Usage of one operation and meter that the store knew.</summary>
internal sealed record BaseRow(int E, int P, string O, int M, long T, long Q);

/// <summary>
/// What the store knew at one moment: the terms of the customer's balances, what was used, and how far each journal was in it.
/// What nodes have settled behind these positions comes on top.
/// </summary>
/// <param name="Terms">Mark of the terms.</param>
/// <param name="Journals">Position of each journal, by its id.</param>
/// <param name="Awaited">Journals of nodes that may hold more than the store knows and have not said so yet, since Redis knew
/// nothing: nothing is leased before they have.</param>
internal sealed record PurseBase(
    string Terms, IReadOnlyDictionary<string, long> Journals, IReadOnlyList<string> Awaited, IReadOnlyList<BaseRow> Rows)
{
    public string Write() => JsonSerializer.Serialize(this);

    /// <exception cref="InvalidDataException">It is none.</exception>
    public static PurseBase Read(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<PurseBase>(text) ?? throw new InvalidDataException("Redis has an empty base of credit.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"Redis has a base of credit that cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Up to which record of a journal it knows; one that it does not know it has nothing of.</summary>
    public ulong PositionOf(string journal) => (ulong)Journals.GetValueOrDefault(journal);
}

/// <summary>Tells terms apart on different nodes.</summary>
internal static class PurseMark
{
    /// <summary>Changes when the numbers of a cell mean something else than before.</summary>
    private const int Form = 1;

    public static string Of(PurseTerms terms)
    {
        var text = new StringBuilder();
        Add(text, Form);
        foreach (var b in terms.Balances)
            Add(text, (int)b.Kind, b.Amount, b.Currency.Code, b.TaxRate, b.Since, b.IsOfOpenUsage);
        foreach (var u in terms.Units)
            Add(text, u.Key, u.Meter, u.Left, u.From, u.To, u.Prices is null ? "*" : JsonSerializer.Serialize(u.Prices));
        foreach (var (subscription, at) in terms.Settled.OrderBy(s => s.Key, StringComparer.Ordinal)) Add(text, subscription, at);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, 16));
    }

    private static void Add(StringBuilder text, params ReadOnlySpan<object> parts)
    {
        foreach (var part in parts)
        {
            var number = part is decimal d ? Exact.Trim(d) : part;
            text.Append(CultureInfo.InvariantCulture, $"{number}").Append('\u001f');
        }

        text.Append('\n');
    }
}
