using System.Globalization;

namespace Tollgate.Catalog;

/// <summary>Why a line has the tax that it has.</summary>
public enum TaxTreatment : byte
{
    Taxed,

    /// <summary>The customer or the thing sold is exempt: no tax, and the amount stays as it is priced.</summary>
    Exempt,

    /// <summary>The customer owes the tax to their own authority: none is asked for, and the invoice says so.</summary>
    ReverseCharge,
}

/// <summary>The tax of a line.</summary>
/// <param name="Percent">Zero or more; what it would be, even when it is not asked for.</param>
/// <param name="IsInclusive">Whether amounts contain it already.</param>
public sealed record Tax(decimal Percent, bool IsInclusive, TaxTreatment Treatment = TaxTreatment.Taxed)
{
    public static Tax None { get; } = new(0, false);

    /// <summary>Rounded once (money.md 7). Of an inclusive amount it is the part that is tax.</summary>
    public Money Of(Money amount)
    {
        if (Treatment != TaxTreatment.Taxed || Percent == 0) return Money.Zero(amount.Currency);
        var hundredths = Exact.Multiply(amount.Amount, Percent);
        return Money.Round(hundredths / (IsInclusive ? 100 + Percent : 100), amount.Currency);
    }

    public override string ToString() => Treatment switch
    {
        TaxTreatment.Exempt => "exempt",
        TaxTreatment.ReverseCharge => "reverse charge",
        _ => Percent.ToString("0.############", CultureInfo.InvariantCulture) + " %" + (IsInclusive ? " included" : ""),
    };
}

/// <summary>What the lines of one rate come to.</summary>
/// <param name="Net">Without tax.</param>
public sealed record TaxTotal(Tax Tax, Money Net, Money Amount);
