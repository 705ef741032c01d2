using System.Globalization;

namespace Tollgate.Catalog;

/// <summary>What stops calls when it is used up.</summary>
public enum BalanceKind : byte
{
    /// <summary>Paid before: gross amounts are taken from it (money.md 6). 402 <c>credit_exhausted</c>.</summary>
    Prepaid,

    /// <summary>What the customer wants to spend at most, before tax (money.md 12). 402 <c>spend_cap_reached</c>.
    /// </summary>
    SpendCap,
}

/// <summary>
/// What usage of a customer may cost: all that is admitted at or after an instant, rated by the prices of the plans that
/// it is admitted under, may not cost more than the amount. Base fees and minimums are invoiced, and not part of it.
/// </summary>
public sealed record Balance
{
    public required int CustomerKey { get; init; }

    public required BalanceKind Kind { get; init; }

    /// <summary>Major units, exact, zero or more.</summary>
    public required decimal Amount { get; init; }

    public required Currency Currency { get; init; }

    /// <summary>Percent that is added to what usage costs; only prepaid credit pays gross.</summary>
    public decimal TaxRate { get; init; }

    /// <summary>Microseconds UTC, on a quarter of an hour, as usage is summed.</summary>
    public required long Since { get; init; }

    /// <summary>Usage that is on invoices no longer counts: what it burnt of credit is gone.</summary>
    public bool IsOfOpenUsage { get; init; }

    /// <summary>What an exact price before tax takes from this.</summary>
    public decimal Gross(decimal net) => TaxRate == 0 ? net : Exact.Multiply(net, 1 + TaxRate / 100);

    public static string NameOf(BalanceKind kind) => kind == BalanceKind.Prepaid ? "prepaid" : "spend_cap";

    public static BalanceKind? Find(string name) => name switch
    {
        "prepaid" => BalanceKind.Prepaid,
        "spend_cap" => BalanceKind.SpendCap,
        _ => null,
    };

    /// <summary>As <c>10.5 USD</c>.</summary>
    public string Text(decimal amount) =>
        amount.ToString("0.############################", CultureInfo.InvariantCulture) + " " + Currency.Code;
}
