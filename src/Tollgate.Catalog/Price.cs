namespace Tollgate.Catalog;

/// <summary>Whether a flat price is due before or after the period that it is for.</summary>
public enum BillingTiming : byte { Arrears, Advance }

/// <summary>
/// What a price asks for a quantity: its model, and the terms that any model may have. The arithmetic of the models
/// stands in <see cref="Pricing"/>; money.md has the rules.
/// </summary>
public abstract record Price
{
    private Price() { }

    /// <summary>Units of each period that cost nothing, after conversion and before the model. Zero or more.</summary>
    public decimal Included { get; init; }

    /// <summary>The included units are the plan's quota on the same usage, so that the allowance is one number.</summary>
    public bool IncludedFromQuota { get; init; }

    /// <summary>Whether a part of a period includes only its part of the units. Half a unit is a unit's half.</summary>
    public bool ProratesAllowance { get; init; }

    /// <summary>What is asked for a period at least, as a line of its own; major units.</summary>
    public decimal? Minimum { get; init; }

    /// <summary>What is asked for a period at most; major units.</summary>
    public decimal? Maximum { get; init; }

    /// <summary>How counted units become priced ones; null when they are the same.</summary>
    public Conversion? Convert { get; init; }

    /// <summary>Whether a quantity of 0 enters the first tier and bills its flat amount.</summary>
    public bool BillsZeroUsage { get; init; } = true;

    /// <summary>
    /// Whether each further unit costs zero or more, and nothing that was billed changes: only such a price may block
    /// at a balance or a cap while the call is at the gate (money.md 11).
    /// </summary>
    public bool CanBlockAtBalance => this is Flat or PerUnit or Graduated or Package && Minimum is null;

    /// <summary>A base fee for each period, whatever is used.</summary>
    /// <param name="Amount">Major units; at most 12 digits after the point.</param>
    public sealed record Flat(decimal Amount, BillingTiming In) : Price
    {
        /// <summary>How long its periods are; null for those of the subscription.</summary>
        public Interval? Every { get; init; }
    }

    /// <summary>The same for each unit.</summary>
    /// <param name="UnitAmount">Major units; at most 12 digits after the point.</param>
    public sealed record PerUnit(decimal UnitAmount) : Price;

    /// <summary>Each unit at the price of its tier, and the flat amount of every tier that is entered.</summary>
    /// <param name="Tiers">See <see cref="Tier"/>.</param>
    public sealed record Graduated(IReadOnlyList<Tier> Tiers) : Price
    {
        public bool Equals(Graduated? other) => base.Equals(other) && Tiers.SequenceEqual(other.Tiers);

        public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Tiers.Count);
    }

    /// <summary>All units at the price of the tier that holds the total, and that tier's flat amount.</summary>
    public sealed record Volume(IReadOnlyList<Tier> Tiers) : Price
    {
        public bool Equals(Volume? other) => base.Equals(other) && Tiers.SequenceEqual(other.Tiers);

        public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Tiers.Count);
    }

    /// <summary>The flat amount of the tier that holds the total, and nothing for the units.</summary>
    public sealed record Stairstep(IReadOnlyList<Tier> Tiers) : Price
    {
        public bool Equals(Stairstep? other) => base.Equals(other) && Tiers.SequenceEqual(other.Tiers);

        public override int GetHashCode() => HashCode.Combine(base.GetHashCode(), Tiers.Count);
    }

    /// <summary>Whole packages of units.</summary>
    /// <param name="Size">Units in a package; above zero.</param>
    /// <param name="Amount">For a package; major units.</param>
    public sealed record Package(decimal Size, decimal Amount) : Price
    {
        /// <summary>Units before the first package begins, counted as units and not as packages.</summary>
        public decimal Free { get; init; }

        /// <summary>What a package that is not full counts for: a whole one, or nothing.</summary>
        public bool RoundsDown { get; init; }
    }

    /// <summary>A part of a value, as of each payment that went through.</summary>
    /// <param name="Rate">Percent.</param>
    public sealed record Percentage(decimal Rate) : Price
    {
        /// <summary>For each event that is not free; major units.</summary>
        public decimal Fixed { get; init; }

        /// <summary>The first so many events are free, while <see cref="FreeAmount"/> lasts too; none for 0, whatever the
        /// amount. Null for as many as it lasts for.</summary>
        public long? FreeEvents { get; init; }

        /// <summary>The first so much of the value is free, while <see cref="FreeEvents"/> last too; nothing for 0, whatever
        /// their number. Null for as much as they come to.</summary>
        public decimal? FreeAmount { get; init; }

        /// <summary>What one event that is not free costs at least, its fixed part included.</summary>
        public decimal? MinimumPerEvent { get; init; }

        /// <summary>What one event costs at most, its fixed part included.</summary>
        public decimal? MaximumPerEvent { get; init; }

        /// <summary>Whether the sum of the values does not tell the amount.</summary>
        public bool LooksAtEvents =>
            Fixed != 0 || FreeEvents > 0 || MinimumPerEvent is not null || MaximumPerEvent is not null;
    }
}

/// <summary>
/// A tier of a price: above the bound of the one before (0 for the first), up to and including its own. Bounds rise,
/// and the last tier is open: the reader of price documents sees to it.
/// </summary>
/// <param name="UpTo">Units; null for the last.</param>
/// <param name="UnitAmount">For a unit in it; null when its units cost nothing of their own.</param>
/// <param name="FlatAmount">Charged once, when the tier is entered.</param>
public sealed record Tier(decimal? UpTo, decimal? UnitAmount, decimal FlatAmount = 0);

/// <summary>What becomes of a part of a unit.</summary>
public enum UnitRounding : byte { None, Up, Down, Nearest }

/// <summary>Bytes to gigabytes, seconds to minutes: counted units become priced ones.</summary>
/// <param name="Factor">Above zero.</param>
/// <param name="Divides">True: by the factor; false: multiplied with it.</param>
public sealed record Conversion(decimal Factor, bool Divides, UnitRounding Round = UnitRounding.None)
{
    public const int MostDecimals = 9;

    /// <summary>Digits after the point that rounding leaves; 0 for whole units.</summary>
    public int Decimals { get; init; }

    /// <summary>Whether each result has a last digit: thirds have none, unless they are rounded.</summary>
    public bool ComesOutEven => Round != UnitRounding.None || !Divides || HasLastDigit(Factor);

    /// <summary>Whether one divided by it ends: it is made of twos and fives.</summary>
    private static bool HasLastDigit(decimal divisor)
    {
        while (divisor != decimal.Truncate(divisor)) divisor *= 10;
        while (divisor % 2 == 0) divisor /= 2;
        while (divisor % 5 == 0) divisor /= 5;
        return divisor == 1;
    }
}

/// <summary>
/// The prices and allowances of a plan as they were published: never changed afterwards. Limits and gates are not part
/// of it.
/// </summary>
/// <param name="Version">1, 2, 3 …</param>
/// <param name="Prices">In the order in which lines are printed.</param>
public sealed record PlanVersion(string PlanId, int Version, Currency Currency, IReadOnlyList<PriceComponent> Prices)
{
    /// <summary>Unique by name. What a subscription agreed on otherwise stands in its <see cref="Overrides"/>.</summary>
    public IReadOnlyList<Quota> Quotas { get; init; } = [];

    /// <summary>Trial, features, phases, and the prices in other currencies.</summary>
    public PlanTerms Terms { get; init; } = PlanTerms.None;

    /// <summary>The version for who pays in a currency; itself when it is not sold in that one.</summary>
    public PlanVersion In(Currency currency) => currency == Currency || !Terms.Currencies.TryGetValue(currency.Code, out var prices)
        ? this
        : this with { Currency = currency, Prices = prices };

    /// <summary>The version as it is in a phase of it, with what was agreed on otherwise: allowances and prices of the
    /// customer go before those of the phase, and these before the plan's.</summary>
    /// <param name="phase">Name; null for the plan's own terms.</param>
    public PlanVersion For(string? phase, Overrides overrides)
    {
        if (phase is null && overrides.IsNone) return this;
        var found = Terms.FindPhase(phase);
        var prices = found is null ? Prices
            : With(Prices, found.Currencies.GetValueOrDefault(Currency.Code) ?? found.Prices);
        return this with
        {
            Prices = With(prices, overrides.Prices),
            Quotas = overrides.Apply(found?.Apply(Quotas) ?? Quotas),
        };
    }

    /// <summary>Prices stand in place of those of the same name; others are added behind them.</summary>
    public static IReadOnlyList<PriceComponent> With(
        IReadOnlyList<PriceComponent> prices, IReadOnlyList<PriceComponent> others)
    {
        if (others.Count == 0) return prices;
        var named = others.ToDictionary(p => p.Name, StringComparer.Ordinal);
        return [.. prices.Select(p => named.GetValueOrDefault(p.Name, p)),
            .. others.Where(o => prices.All(p => p.Name != o.Name))];
    }

    /// <summary>The quota on the usage of a price, in each billing period: what <c>included: from quota</c> means.
    /// Publication sees to it that there is exactly one.</summary>
    public Quota? QuotaOf(PriceComponent price) => Quotas.FirstOrDefault(q => q.IsOn(price));
}
