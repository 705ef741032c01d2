using System.Data.Common;
using Dapper;

namespace Tollgate.Billing;

/// <summary>How a customer is taxed, and when they pay.</summary>
/// <param name="TaxPercent">Zero or more; of every line.</param>
/// <param name="TaxInclusive">Prices contain the tax already.</param>
/// <param name="TaxTreatment"><c>taxed</c>, <c>exempt</c> or <c>reverse_charge</c>.</param>
/// <param name="NetDays">An invoice is due so many days after its issue.</param>
/// <param name="HoldAfterDays">Calls are refused when an invoice has been overdue for so many days; null: never.</param>
public sealed record CustomerTerms(
    decimal TaxPercent, bool TaxInclusive, string TaxTreatment, string? TaxId, int NetDays, int? HoldAfterDays)
{
    /// <summary>Calls that no prepaid credit covers are invoiced; else they are refused.</summary>
    public bool AllowsOverage { get; init; }

    public const string Taxed = "taxed", Exempt = "exempt", ReverseCharge = "reverse_charge";

    public static CustomerTerms Plain { get; } = new(0, false, Taxed, null, 30, null);

    public static async Task<CustomerTerms> OfAsync(DbConnection db, long customerKey) =>
        await db.QueryFirstOrDefaultAsync<Row?>(
            "select tax_percent, tax_inclusive, tax_treatment, tax_id, net_days, hold_after_days, credit_overage from customer_terms " +
            "where customer_key = @customerKey", new { customerKey }) is { } row
            ? new CustomerTerms(DecimalText.Read(row.TaxPercent), row.TaxInclusive != 0, row.TaxTreatment, row.TaxId,
                (int)row.NetDays, (int?)row.HoldAfterDays) { AllowsOverage = row.CreditOverage != 0 }
            : Plain;

    public Task SetAsync(DbConnection db, long customerKey) => db.ExecuteAsync(
        "insert into customer_terms (customer_key, tax_percent, tax_inclusive, tax_treatment, tax_id, net_days, " +
        "hold_after_days, credit_overage) values (@customerKey, @percent, @inclusive, @TaxTreatment, @TaxId, @NetDays, " +
        "@HoldAfterDays, @overage) " +
        "on conflict (customer_key) do update set tax_percent = @percent, tax_inclusive = @inclusive, " +
        "tax_treatment = @TaxTreatment, tax_id = @TaxId, net_days = @NetDays, hold_after_days = @HoldAfterDays, " +
        "credit_overage = @overage",
        new
        {
            customerKey,
            percent = DecimalText.Of(TaxPercent),
            inclusive = TaxInclusive ? 1 : 0,
            TaxTreatment,
            TaxId,
            NetDays,
            HoldAfterDays,
            overage = AllowsOverage ? 1 : 0,
        });

    private sealed record Row(
        string TaxPercent, long TaxInclusive, string TaxTreatment, string? TaxId, long NetDays, long? HoldAfterDays,
        long CreditOverage);
}
