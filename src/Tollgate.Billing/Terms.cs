using Tollgate.Catalog;

namespace Tollgate.Billing;

/// <summary>Whether a stretch of a subscription costs something, and whether it gives access.</summary>
public enum Phase : byte
{
    /// <summary>Access, at the plan's prices.</summary>
    Active,

    /// <summary>Access, and nothing is charged.</summary>
    Trial,

    /// <summary>No access, and nothing is charged.</summary>
    Paused,
}

/// <summary>Prices that a stretch has beside its plan's.</summary>
public sealed record StretchAddOn(string Id, string Name, int Quantity, IReadOnlyList<PriceComponent> Prices);

/// <summary>A stretch of constant terms with the prices that hold in it.</summary>
/// <param name="Prices">In the customer's currency, as the phase of the plan and the overrides have them.</param>
public sealed record Stretch(Entitlement Terms, PlanVersion Prices)
{
    public Phase Phase { get; init; }

    /// <summary>Seats, or whatever the fees of the plan are for; each of them is charged so many times.</summary>
    public int Quantity { get; init; } = 1;

    public IReadOnlyList<StretchAddOn> AddOns { get; init; } = [];

    /// <summary>Meters of which the customer has credit in units.</summary>
    public IReadOnlySet<string> Credited { get; init; } = new HashSet<string>();

    /// <summary>What is charged for time, whatever is used. Nothing in a trial or a pause.</summary>
    public IEnumerable<Fee> Fees => Phase != Phase.Active ? [] :
        Flat(Prices.Prices, "", Quantity).Concat(AddOns.SelectMany(a => Flat(a.Prices, a.Name + "/", a.Quantity)));

    /// <summary>What usage of it costs: the plan's prices and those of the add-ons, under names of their own, and the
    /// allowances as this subscription has them.</summary>
    public PlanVersion Metered => Phase != Phase.Active ? Prices with { Prices = [] }
        : UnitCredit.Measured(Prices with
        {
            Prices = AddOns.Count == 0 ? Prices.Prices : [.. Prices.Prices, .. AddOns.SelectMany(a => a.Prices
                .Where(p => p.Price is not Price.Flat).Select(p => p with { Name = $"{a.Name}/{p.Name}" }))],
        }, Credited, Terms.Interval);

    private IEnumerable<Fee> Flat(IReadOnlyList<PriceComponent> prices, string prefix, int quantity) =>
        from p in prices
        let flat = p.Price as Price.Flat
        where flat is not null
        select new Fee(prefix + p.Name, flat.Amount, quantity, Prices.Currency)
        {
            In = flat.In,
            Every = flat.Every ?? Terms.Interval,
            PlanVersion = Prices.Version,
        };
}

/// <summary>A flat price as a stretch has it.</summary>
/// <param name="UnitAmount">For one, for a whole period; major units.</param>
public sealed record Fee(string Name, decimal UnitAmount, int Quantity, Currency Currency)
{
    public required BillingTiming In { get; init; }

    public required Interval Every { get; init; }

    public required int PlanVersion { get; init; }
}

/// <summary>A subscription with all that it was agreed on, in order of time.</summary>
public sealed record SubscriptionTerms(
    SubscriptionRow Subscription, Currency CustomerCurrency, IReadOnlyList<Stretch> Stretches)
{
    /// <summary>Who pays; not needed to draft.</summary>
    public CustomerRow? Customer { get; init; }

    /// <summary>The stretch that holds an instant; of several that begin at one instant, the one that stayed.</summary>
    public Stretch? InForceAt(long at) => Stretches.LastOrDefault(
        s => s.Terms.StartAt <= at && (s.Terms.EndAt is null || s.Terms.EndAt > at));

    /// <summary>Whether terms begin or end at this instant.</summary>
    public bool ChangeAt(long at) => Stretches.Any(s => s.Terms.StartAt == at || s.Terms.EndAt == at);
}
