namespace Tollgate.Catalog;

/// <summary>What is taken off: a line's discount, or a coupon on an invoice. Either a percentage or an amount.</summary>
/// <param name="Name">For people.</param>
/// <param name="Percent">0 to 100; null when it is an amount.</param>
/// <param name="Amount">Zero or more; never more than there is to take it from.</param>
public sealed record Discount(string Name, decimal? Percent, Money? Amount)
{
    /// <summary>Names of prices that it is for; null for all.</summary>
    public IReadOnlyList<string>? Prices { get; init; }

    public bool Covers(string price) => Prices is null || Prices.Contains(price);

    /// <summary>What it takes off a sum: nothing of what is zero or less.</summary>
    public Money Off(Money sum)
    {
        if (sum.MinorUnits <= 0) return Money.Zero(sum.Currency);
        if (Percent is { } percent)
            return Money.Round(Exact.Multiply(sum.Amount, Exact.Multiply(percent, 0.01m)), sum.Currency);
        return Amount is { } amount && amount.MinorUnits < sum.MinorUnits ? amount + Money.Zero(sum.Currency) : sum;
    }
}

/// <summary>A rounded line as it comes from <see cref="Rating"/>, with what happens to it on its invoice.</summary>
public sealed record ChargeLine(string Name, Money Amount)
{
    /// <summary>The price that it is of: its minimum and maximum hold for all its lines together. None for other lines,
    /// as adjustments.</summary>
    public PriceComponent? Price { get; init; }

    /// <summary>The part of the period that the line is for: a price's minimum is for a whole one.</summary>
    public Proration Part { get; init; } = Proration.Whole;

    /// <summary>Of this line alone, one after the other.</summary>
    public IReadOnlyList<Discount> Discounts { get; init; } = [];

    public Tax Tax { get; init; } = Tax.None;

    /// <summary>It gives back a part of what was billed, as it was billed: no coupon and no promotional credit touches it.
    /// </summary>
    public bool IsCredit { get; init; }
}

/// <summary>The least that a customer spends in a period; what is missing is a line of its own.</summary>
/// <param name="Minimum">Already prorated.</param>
public sealed record Commitment(string Name, Money Minimum, Tax Tax);

/// <summary>All that an invoice is computed from.</summary>
public sealed record Charges(Currency Currency, IReadOnlyList<ChargeLine> Lines)
{
    /// <summary>Caps the lines of the invoice together; null for none.</summary>
    public Money? MaximumSpend { get; init; }

    public Commitment? Commitment { get; init; }

    /// <summary>On the invoice, one after the other.</summary>
    public IReadOnlyList<Discount> Coupons { get; init; } = [];

    /// <summary>Promotional grants in the order in which they are burnt, each with what is left of it and the prices that
    /// it is for: a discount, since it was never paid.</summary>
    public IReadOnlyList<Discount> Promotional { get; init; } = [];

    /// <summary>What is left of prepaid grants: a payment of gross amounts.</summary>
    public Money? Prepaid { get; init; }
}

/// <summary>A line with all that was done to it.</summary>
/// <param name="Of">Index of the charge line; null for a line that brings a price or the invoice to a bound.</param>
/// <param name="Name">Of the price, or of the commitment.</param>
/// <param name="Amount">Before anything was taken off.</param>
/// <param name="Tax">What it is taxed by.</param>
public sealed record SummedLine(int? Of, LineKind Kind, string Name, Money Amount, Tax Tax)
{
    public Money Discount { get; init; } = Money.Zero(Amount.Currency);

    public bool IsCredit { get; init; }

    /// <summary>Its share of what the maximum spend took off.</summary>
    public Money Capped { get; init; } = Money.Zero(Amount.Currency);

    /// <summary>Its share of the coupons.</summary>
    public Money Coupon { get; init; } = Money.Zero(Amount.Currency);

    /// <summary>Its share of promotional credit.</summary>
    public Money Promotional { get; init; } = Money.Zero(Amount.Currency);

    /// <summary>What tax is computed from: everything taken off.</summary>
    public Money Taxable => Amount - Discount - Capped - Coupon - Promotional;

    public Money TaxAmount => Tax.Of(Taxable);

    /// <summary>Without tax.</summary>
    public Money Net => Tax.IsInclusive ? Taxable - TaxAmount : Taxable;

    /// <summary>With tax.</summary>
    public Money Gross => Net + TaxAmount;
}

/// <summary>
/// What an invoice comes to, in the order of money.md 6: line discounts → maximum → minimum → coupons → promotional
/// credit → tax → prepaid credit → amount due. Pure; a total is always the sum of its lines.
/// </summary>
public sealed record InvoiceSum
{
    private InvoiceSum(Currency currency) => Currency = currency;

    public Currency Currency { get; }

    public required IReadOnlyList<SummedLine> Lines { get; init; }

    /// <summary>What each coupon took off, in their order.</summary>
    public required IReadOnlyList<Money> Coupons { get; init; }

    /// <summary>What was burnt of each promotional grant, in their order.</summary>
    public required IReadOnlyList<Money> Promotional { get; init; }

    /// <summary>Of the lines, their discounts and their bounds: before coupons and tax. A spend cap counts this.</summary>
    public Money Subtotal => Sum(l => l.Amount - l.Discount - l.Capped);

    /// <summary>Without tax.</summary>
    public Money Net => Sum(l => l.Net);

    public Money Tax => Sum(l => l.TaxAmount);

    /// <summary>With tax.</summary>
    public Money Total => Sum(l => l.Gross);

    /// <summary>Paid from prepaid grants; never more than the total.</summary>
    public required Money Prepaid { get; init; }

    public Money Due => Total - Prepaid;

    /// <summary>By rate, those that ask for most first; lines without any tax are not in it.</summary>
    public IReadOnlyList<TaxTotal> Taxes => [.. Lines
        .Where(l => l.Tax != Catalog.Tax.None).GroupBy(l => l.Tax)
        .Select(g => new TaxTotal(g.Key,
            g.Aggregate(Money.Zero(Currency), (sum, l) => sum + l.Net),
            g.Aggregate(Money.Zero(Currency), (sum, l) => sum + l.TaxAmount)))
        .OrderByDescending(t => t.Tax.Percent).ThenBy(t => t.Tax.Treatment)];

    public static InvoiceSum Of(Charges charges)
    {
        var currency = charges.Currency;
        var lines = Bounded(charges, [.. charges.Lines.Select(Discounted)]);
        if (charges.MaximumSpend is { } most)
        {
            var over = TaxableOf(lines, currency) - most;
            Spread(lines, null, over, (line, share) => line with { Capped = line.Capped + share });
        }

        if (charges.Commitment is { } commitment)
        {
            var missing = commitment.Minimum - TaxableOf(lines, currency);
            if (missing.MinorUnits > 0)
                lines.Add(new SummedLine(null, LineKind.Minimum, commitment.Name, missing, commitment.Tax));
        }

        var coupons = charges.Coupons
            .Select(c => TakeOff(lines, c, currency, (line, share) => line with { Coupon = line.Coupon + share })).ToArray();
        var promotional = charges.Promotional.Select(p => TakeOff(
            lines, p, currency, (line, share) => line with { Promotional = line.Promotional + share })).ToArray();
        var sum = new InvoiceSum(currency)
        {
            Lines = lines,
            Coupons = coupons,
            Promotional = promotional,
            Prepaid = Money.Zero(currency),
        };
        return sum with { Prepaid = Smaller(charges.Prepaid ?? Money.Zero(currency), sum.Total) };
    }

    private static SummedLine Discounted(ChargeLine line, int index)
    {
        var kind = line.Price?.Price is null or Price.Flat ? LineKind.Fee : LineKind.Usage;
        var summed = new SummedLine(index, kind, line.Name, line.Amount, line.Tax) { IsCredit = line.IsCredit };
        foreach (var discount in line.Discounts)
            summed = summed with { Discount = summed.Discount + discount.Off(summed.Taxable) };
        return summed;
    }

    /// <summary>Each price's lines, and behind them what brings them to its maximum or minimum.</summary>
    private static List<SummedLine> Bounded(Charges charges, SummedLine[] lines)
    {
        var bounded = new List<SummedLine>();
        for (var i = 0; i < lines.Length; i++)
        {
            bounded.Add(lines[i]);
            if (charges.Lines[i].Price is not { } price) continue;
            if (charges.Lines.Skip(i + 1).Any(l => l.Price == price)) continue;
            var charged = TaxableOf([.. lines.Where((_, at) => charges.Lines[at].Price == price)], charges.Currency);
            if (Rating.Bound(price, charged, charges.Lines[i].Part) is { } bound)
                bounded.Add(new SummedLine(
                    null, bound.Kind, price.Name, bound.Amount(charges.Currency), charges.Lines[i].Tax));
        }

        return bounded;
    }

    private static Money TakeOff(
        List<SummedLine> lines, Discount discount, Currency currency, Func<SummedLine, Money, SummedLine> take)
    {
        var covered = TaxableOf([.. lines.Where(l => !l.IsCredit && discount.Covers(l.Name))], currency);
        var off = discount.Off(covered);
        Spread(lines, discount, off, take);
        return off;
    }

    /// <summary>Splits an amount over the lines that have something to give, in proportion: the shares sum to it.</summary>
    private static void Spread(
        List<SummedLine> lines, Discount? scope, Money off, Func<SummedLine, Money, SummedLine> take)
    {
        if (off.MinorUnits <= 0) return;
        var weights = lines
            .Select(l => scope?.Covers(l.Name) is false ? 0m : Math.Max(0, l.Taxable.MinorUnits)).ToArray();
        var shares = off.Split(weights);
        for (var i = 0; i < lines.Count; i++) lines[i] = take(lines[i], shares[i]);
    }

    private static Money TaxableOf(IReadOnlyList<SummedLine> lines, Currency currency) =>
        lines.Aggregate(Money.Zero(currency), (sum, line) => sum + line.Taxable);

    private static Money Smaller(Money balance, Money total) =>
        total.MinorUnits <= 0 ? Money.Zero(total.Currency) : balance.MinorUnits < total.MinorUnits ? balance : total;

    private Money Sum(Func<SummedLine, Money> part) =>
        Lines.Aggregate(Money.Zero(Currency), (sum, line) => sum + part(line));
}
