using NodaTime;
using Tollgate.Catalog;
using Tollgate.Metering;
using Period = Tollgate.Catalog.Period;

namespace Tollgate.Billing;

/// <summary>A line with its rounded amount.</summary>
/// <param name="Period">What it is for: a billing period, or the part of it under one version of the prices.</param>
public sealed record DraftLine(RatedLine Rated, Money Amount, int PlanVersion, string? Meter, Period Period)
{
    /// <summary>Charged before its period.</summary>
    public bool InAdvance { get; init; }

    /// <summary>Gives back the unused part of a fee that was charged in advance.</summary>
    public bool IsCredit { get; init; }

    /// <summary>Of a credit: as its charge was taxed. Null for as the customer is.</summary>
    public Tax? Tax { get; init; }

    /// <summary>What coupons of its price take off, before any minimum and maximum.</summary>
    public Money Off { get; init; } = Money.Zero(Amount.Currency);

    /// <summary>What counts for a minimum or a maximum.</summary>
    public Money Charged => Amount - Off;

    /// <summary>It corrects what an invoice before told: the quantity then and now.</summary>
    public (decimal Old, decimal New)? Adjusts { get; init; }
}

/// <summary>What a draft takes beside terms and usage.</summary>
public sealed record DraftInputs
{
    public static DraftInputs None { get; } = new();

    /// <summary>The fees in advance on the invoices before; needed where terms change.</summary>
    public IReadOnlyList<BilledFee> Billed { get; init; } = [];

    /// <summary>The same; needed where a minimum or a maximum counts what a period costs.</summary>
    public IReadOnlyList<BilledFee> Charged { get; init; } = [];

    /// <summary>Periods of which usage came after their invoice.</summary>
    public IReadOnlyList<LatePeriod> Late { get; init; } = [];

    public InvoiceTerms Agreed { get; init; } = InvoiceTerms.Plain;

    /// <summary>Credit in units that usage of the bill may burn.</summary>
    public IReadOnlyList<UnitGrant> Units { get; init; } = [];
}

/// <summary>What an invoice would say.</summary>
/// <param name="Total">With tax: the sum of the rounded lines, what is taken off and what is added.</param>
/// <param name="Unpriced">Usage that no price asks for, so that an invoice accounts for each call.</param>
public sealed record InvoiceDraft(
    SubscriptionRow Subscription, Bill Bill, IReadOnlyList<DraftLine> Lines, Money Total,
    IReadOnlyList<OperationUsage> Unpriced)
{
    /// <summary>The versions of the prices in force, in order of time.</summary>
    public required IReadOnlyList<int> PlanVersions { get; init; }

    /// <summary>The plan in force, the last of several.</summary>
    public required string PlanId { get; init; }

    /// <summary>How the total comes about; its first lines are those of the draft.</summary>
    public required InvoiceSum Sum { get; init; }

    public required IReadOnlyList<Burn> Burns { get; init; }

    public required IReadOnlyList<TakenCoupon> Coupons { get; init; }

    /// <summary>Burnt units, by the end of the period of their usage; below zero where usage of it became less.</summary>
    public required IReadOnlyList<(UnitBurn Burn, long SettlesAt)> UnitBurns { get; init; }

    public required CustomerTerms Terms { get; init; }

    /// <summary>Where its days are counted; IANA id.</summary>
    public required string Timezone { get; init; }
}

/// <summary>
/// What is billed. Pure: the same terms, bill, usage and earlier fees always give the same draft, whenever it is asked
/// for.
/// </summary>
public static class Drafting
{
    /// <summary>Drafts the invoice of a bill, or says why these terms cannot stand on one invoice.</summary>
    /// <param name="usage">By key of the entitlement, as <see cref="Bills.Settled"/> asks for it.</param>
    /// <param name="inputs">Null for none.</param>
    public static Result<InvoiceDraft> Draft(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage,
        DraftInputs? inputs = null)
    {
        var subscription = terms.Subscription;
        inputs ??= DraftInputs.None;
        try
        {
            var prices = Prices(terms, bill, usage, inputs.Units);
            DraftLine[] asked =
            [
                .. Fees.Arrears(terms, bill), .. prices.SelectMany(p => p.Lines),
                .. inputs.Late.SelectMany(late => LateUsage.Adjustments(terms, late)),
                .. Fees.Advance(terms, bill, inputs.Billed),
            ];
            var currency = asked.FirstOrDefault()?.Amount.Currency ?? prices.FirstOrDefault()?.Rated.Currency
                ?? terms.CustomerCurrency;
            if (asked.FirstOrDefault(l => l.Amount.Currency != currency) is { } other) return Mixed(subscription, currency, other);
            // discounts of lines come before any bound, those of the invoice behind (money.md 6)
            var ofLines = inputs.Agreed.TakeOff(currency, asked);
            DraftLine[] settled =
                [.. InOrderOf(terms, asked.Where(l => IsSettled(l)).Concat(prices.SelectMany(p => p.Bound(asked))))];
            DraftLine[] lines =
            [
                .. settled, .. Commitments.Of(terms, bill, settled, inputs), .. asked.Where(l => !IsSettled(l)),
            ];
            if (lines.FirstOrDefault(l => l.Amount.Currency != currency) is { } bound) return Mixed(subscription, currency, bound);
            var inForce = InForce(terms, bill).ToArray();
            var (sum, burns, coupons) = inputs.Agreed.Sum(currency, lines);
            return new InvoiceDraft(subscription, bill, lines, sum.Total, Unpriced(terms, bill, usage))
            {
                PlanVersions = inForce.Select(s => s.Prices.Version).Distinct().ToArray(),
                PlanId = inForce.LastOrDefault()?.Terms.PlanId ?? subscription.PlanId,
                Sum = sum,
                Burns = burns,
                Coupons = [.. ofLines, .. coupons],
                UnitBurns = [.. BurntBy(settled, bill), .. inputs.Late.SelectMany(l => LateUsage.Burns(terms, l))],
                Terms = inputs.Agreed.Customer,
                Timezone = inForce.LastOrDefault()?.Terms.Timezone ?? subscription.Timezone,
            };
        }
        catch (OverflowException)
        {
            return new Problem("amount_too_large", $"{subscription.Id}: an amount of the bill at " +
                $"{Micros.ToText(bill.BillAt)} is beyond 9.2 × 10^18 minor units, or 28 digits.");
        }
    }

    private static bool IsSettled(DraftLine line) => line is { Adjusts: null, InAdvance: false };

    private static Problem Mixed(SubscriptionRow subscription, Currency one, DraftLine other) => new("currency_mixed",
        $"{subscription.Id} has prices in {one} and in {other.Amount.Currency} within one bill: an invoice has one currency, " +
        "and nothing converts.");

    /// <summary>The fees of a bill.</summary>
    internal static IEnumerable<DraftLine> Time(SubscriptionTerms terms, Bill bill, DraftInputs inputs) =>
        Fees.Arrears(terms, bill).Concat(Fees.Advance(terms, bill, inputs.Billed));

    /// <summary>The usage of the period that ended, each price between its bounds; without any discount.</summary>
    /// <param name="credit">In units.</param>
    internal static IEnumerable<DraftLine> Used(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage,
        IReadOnlyList<UnitGrant>? credit = null) =>
        Prices(terms, bill, usage, credit).SelectMany(p => p.Lines.Concat(p.Bound(p.Lines)));

    /// <summary>
    /// What prices ask for the usage of the period that ended, as <see cref="PeriodRating"/> rates it. A price that a new
    /// stretch left as it was goes on over both: their usage fills its tiers together.
    /// </summary>
    private static UsedPrice[] Prices(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage,
        IReadOnlyList<UnitGrant>? credit)
    {
        var settled = Bills.Settled(terms, bill).ToArray();
        if (settled.Length == 0) return [];
        return
        [
            .. PeriodRating.Prices(UsedStretches(terms, bill, settled, usage), credit).Select(price =>
            {
                var (first, last) = (settled[price.Run.Stretches[0]].Stretch, settled[price.Run.Stretches[^1]].Stretch);
                var part = Part(first.Terms.StartAt, last.Terms.EndAt, bill.Period);
                return new UsedPrice(price, first.Prices.Version, part.IsEmpty ? bill.Period : part);
            }),
        ];
    }

    internal static IEnumerable<(UnitBurn Burn, long SettlesAt)> BurntBy(IEnumerable<DraftLine> lines, Bill bill) =>
        lines.SelectMany(l => l.Rated.Burns).GroupBy(b => b.Grant)
            .Select(g => (new UnitBurn(g.Key, g.Sum(b => b.Units)), bill.BillAt));

    /// <summary>Parts of a period are counted as those of fees are: by local days, or by seconds.</summary>
    private static UsedStretch[] UsedStretches(
        SubscriptionTerms terms, Bill bill, (Stretch Stretch, int Period)[] settled,
        IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage)
    {
        var calendar = settled[0].Stretch.Terms.Calendar;
        var whole = Fees.Units(terms, calendar, calendar.PeriodOf(settled[0].Period));
        var places = settled.Select((s, at) => (s.Stretch.Terms.Key, at)).ToDictionary(s => s.Key, s => s.at);
        return Array.ConvertAll(settled, s =>
        {
            var part = Part(s.Stretch.Terms.StartAt, s.Stretch.Terms.EndAt, bill.Period);
            return new UsedStretch(s.Stretch.Metered,
                new Proration(part.IsEmpty ? 0 : Fees.Units(terms, calendar, part), whole),
                [.. Of(usage, s.Stretch.Terms).Select(u => UsageOf(u, places, s.Stretch.Terms.Key))])
            {
                Zone = calendar.Zone,
            };
        });
    }

    /// <summary>Stretch by stretch, and in each in the order of the plan's prices.</summary>
    private static IEnumerable<DraftLine> InOrderOf(SubscriptionTerms terms, IEnumerable<DraftLine> lines)
    {
        var order = new Dictionary<(int, string), int>();
        foreach (var (stretch, at) in terms.Stretches.Select((s, at) => (s, at)))
            foreach (var (name, price) in stretch.Prices.Prices.Select((p, price) => (p.Name, price)))
                order.TryAdd((stretch.Prices.Version, name), at * 10_000 + price);
        return lines.OrderBy(l => l.Period.Start)
            .ThenBy(l => order.GetValueOrDefault((l.PlanVersion, l.Rated.PriceName), int.MaxValue));
    }

    private static OperationUsage[] Unpriced(
        SubscriptionTerms terms, Bill bill, IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage) =>
        Summed(Bills.Settled(terms, bill).Select(s => s.Stretch)
            .SelectMany(s => Of(usage, s.Terms).Where(
                u => u.Meter == UsageStore.Calls && u.Quantity != 0 && !IsPriced(s, u))))
            .OrderBy(u => u.Operation, StringComparer.Ordinal).ThenBy(u => u.Endpoint, StringComparer.Ordinal)
            .ToArray();

    private static IEnumerable<OperationUsage> Summed(IEnumerable<OperationUsage> usage) =>
        usage.GroupBy(u => (u.Meter, u.Operation, u.Api, u.Endpoint))
            .Select(g => new OperationUsage(g.Key.Api, g.Key.Operation, g.Key.Endpoint,
                g.Sum(u => u.Admitted), g.Sum(u => u.Quantity), g.Sum(u => u.Unknown)) { Meter = g.Key.Meter });

    /// <summary>Whether a price is for usage, at whatever time.</summary>
    internal static bool Asks(Stretch stretch, OperationUsage used)
    {
        var usage = UsageOf(used, [], stretch.Terms.Key);
        return stretch.Metered.Prices.Any(
            p => p.Meter == used.Meter && (p.LooksAtTime || p.Covers(usage, stretch.Terms.Calendar.Zone)));
    }

    private static bool IsPriced(Stretch stretch, OperationUsage used)
    {
        var usage = UsageOf(used, [], stretch.Terms.Key);
        var zone = stretch.Terms.Calendar.Zone;
        return stretch.Metered.Prices.Any(p => p.Meter == UsageStore.Calls && p.Covers(usage, zone));
    }

    private static Usage UsageOf(OperationUsage used, Dictionary<int, int> places, int key) =>
        new(used.Meter, used.Operation, used.Events > 1 ? used.Quantity / used.Events : used.Quantity)
        {
            Endpoint = used.Endpoint,
            At = used.At,
            Events = used.Events,
            Dimensions = used.Dimensions,
            Over = used.Adds ? null : [.. (used.Over ?? [key]).Select(k => places.GetValueOrDefault(k, -1))],
        };

    private static IReadOnlyList<OperationUsage> Of(
        IReadOnlyDictionary<int, IReadOnlyList<OperationUsage>> usage, Entitlement stretch) =>
        usage.TryGetValue(stretch.Key, out var found) ? found : [];

    private static IEnumerable<Stretch> InForce(SubscriptionTerms terms, Bill bill) => bill.Settles is null
        ? terms.InForceAt(bill.BillAt) is { } stretch ? [stretch] : []
        : terms.Stretches.Where(s => !Part(s.Terms.StartAt, s.Terms.EndAt, bill.Period).IsEmpty);

    private static Period Part(long startAt, long? endAt, Period period) => period.Intersect(new Period(
        Micros.ToInstant(startAt), endAt is { } end ? Micros.ToInstant(end) : Instant.MaxValue));
}

/// <summary>A price, and what it asks for the usage of a bill.</summary>
internal sealed record UsedPrice(PeriodPrice Rated, int Version, Period Period)
{
    /// <summary>Before minimum and maximum of the price.</summary>
    public IReadOnlyList<DraftLine> Lines { get; } = [.. Rated.Lines.Select(line => Of(Rated, line, Version, Period))];

    /// <summary>The line, or none, that keeps the price between its bounds.</summary>
    /// <param name="lines">Among others its own, with what coupons of the price take off.</param>
    public IEnumerable<DraftLine> Bound(IEnumerable<DraftLine> lines)
    {
        if (Rated.Run.Price.Price is { Minimum: null, Maximum: null }) return [];
        var own = new HashSet<RatedLine>(Rated.Lines, ReferenceEqualityComparer.Instance);
        var charged = lines.Where(l => own.Contains(l.Rated))
            .Aggregate(Money.Zero(Rated.Currency), (sum, l) => sum + l.Charged);
        return Rated.Bound(charged) is { } bound ? [Of(Rated, bound, Version, Period)] : [];
    }

    private static DraftLine Of(PeriodPrice price, RatedLine line, int version, Period period) =>
        new(line, line.Amount(price.Currency), version, line.Meter, period);
}
