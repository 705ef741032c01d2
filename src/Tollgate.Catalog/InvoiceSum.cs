namespace Tollgate.Catalog;

/// <summary>What is taken off: a coupon, or credit that was given away. Either a percentage or an amount.</summary>
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

/// <summary>A rounded line: as <see cref="Rating"/> gives it, or one that brings a price or a period to its bounds.</summary>
/// <param name="Name">Of its price.</param>
public sealed record ChargeLine(string Name, Money Amount)
{
    /// <summary>Taken off it before minimum and maximum: <see cref="InvoiceSum.LineDiscounts"/> says how much.</summary>
    public Money Discount { get; init; } = Money.Zero(Amount.Currency);

    public Tax Tax { get; init; } = Tax.None;

    /// <summary>It gives back a part of what was billed, as it was billed: no coupon and no promotional credit touches it.
    /// </summary>
    public bool IsCredit { get; init; }
}

/// <summary>All that an invoice is computed from, once its lines are known.</summary>
public sealed record Charges(Currency Currency, IReadOnlyList<ChargeLine> Lines)
{
    /// <summary>Of the whole invoice, one after the other.</summary>
    public IReadOnlyList<Discount> Coupons { get; init; } = [];

    /// <summary>Promotional grants in the order in which they are burnt, each with what is left of it and the prices that
    /// it is for: a discount, since it was never paid.</summary>
    public IReadOnlyList<Discount> Promotional { get; init; } = [];

    /// <summary>What is left of prepaid grants: a payment of gross amounts.</summary>
    public Money? Prepaid { get; init; }
}

/// <summary>A line with all that was done to it.</summary>
/// <param name="Name">Of the price.</param>
/// <param name="Amount">Before anything was taken off.</param>
/// <param name="Tax">What it is taxed by.</param>
public sealed record SummedLine(string Name, Money Amount, Tax Tax)
{
    /// <summary>Its share of the coupons of its price.</summary>
    public Money Discount { get; init; } = Money.Zero(Amount.Currency);

    public bool IsCredit { get; init; }

    /// <summary>Its share of the coupons on the invoice.</summary>
    public Money Coupon { get; init; } = Money.Zero(Amount.Currency);

    /// <summary>Its share of promotional credit.</summary>
    public Money Promotional { get; init; } = Money.Zero(Amount.Currency);

    /// <summary>All that is taken off it.</summary>
    public Money Off => Discount + Coupon + Promotional;

    /// <summary>What tax is computed from.</summary>
    public Money Taxable => Amount - Off;

    public Money TaxAmount => Tax.Of(Taxable);

    /// <summary>Without tax.</summary>
    public Money Net => Tax.IsInclusive ? Taxable - TaxAmount : Taxable;

    /// <summary>With tax.</summary>
    public Money Gross => Net + TaxAmount;
}

/// <summary>
/// What an invoice comes to, in the order of money.md 6: line discounts → maximum → minimum → coupons → promotional
/// credit → tax → prepaid credit → amount due. The bounds are lines: who makes them asks for <see cref="LineDiscounts"/>
/// first. Pure; a total is always the sum of its lines.
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

    /// <summary>Of the lines, with their discounts and bounds: before coupons and tax. A spend cap counts this.</summary>
    public Money Subtotal => Sum(l => l.Amount - l.Discount);

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

    /// <summary>What coupons of some prices take off the lines of these, one coupon after the other; before the bounds of
    /// any price or period.</summary>
    /// <returns>Of each line, and of each coupon.</returns>
    public static (IReadOnlyList<Money> Lines, IReadOnlyList<Money> Coupons) LineDiscounts(
        Currency currency, IReadOnlyList<ChargeLine> lines, IReadOnlyList<Discount> coupons)
    {
        var summed = lines.Select(Summed).ToList();
        var taken = coupons.Select(c => TakeOff(
            summed, c, currency, (line, share) => line with { Discount = line.Discount + share })).ToArray();
        return ([.. summed.Select(l => l.Discount)], taken);
    }

    public static InvoiceSum Of(Charges charges)
    {
        var currency = charges.Currency;
        var lines = charges.Lines.Select(Summed).ToList();
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

    private static SummedLine Summed(ChargeLine line) =>
        new(line.Name, line.Amount, line.Tax) { Discount = line.Discount, IsCredit = line.IsCredit };

    /// <summary>Splits what is taken off over the lines that have something to give, in proportion: the shares sum to it.
    /// </summary>
    private static Money TakeOff(
        List<SummedLine> lines, Discount discount, Currency currency, Func<SummedLine, Money, SummedLine> take)
    {
        var off = discount.Off(lines.Where(Gives).Aggregate(Money.Zero(currency), (sum, line) => sum + line.Taxable));
        if (off.MinorUnits <= 0) return off;
        var shares = off.Split([.. lines.Select(l => Gives(l) ? Math.Max(0m, l.Taxable.MinorUnits) : 0)]);
        for (var i = 0; i < lines.Count; i++) lines[i] = take(lines[i], shares[i]);
        return off;

        bool Gives(SummedLine line) => !line.IsCredit && discount.Covers(line.Name);
    }

    private static Money Smaller(Money balance, Money total) =>
        total.MinorUnits <= 0 ? Money.Zero(total.Currency) : balance.MinorUnits < total.MinorUnits ? balance : total;

    private Money Sum(Func<SummedLine, Money> part) =>
        Lines.Aggregate(Money.Zero(Currency), (sum, line) => sum + part(line));
}
