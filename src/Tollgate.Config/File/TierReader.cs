using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>
/// Reads the tiers of a price. A tier begins where the one before it ends, so bounds that do not rise, or an open tier
/// that is not the last, leave a gap or an overlap, and each of them is found.
/// </summary>
internal sealed class TierReader(Findings findings)
{
    /// <summary>Tiers of one price.</summary>
    public const int MostTiers = 100;

    private const string Example = "{ up_to: 1000, unit_amount: \"0.01\" }";

    /// <param name="flatOnly">Tiers without a price for the unit.</param>
    public IReadOnlyList<Tier>? Read(MapReader fields, bool flatOnly = false)
    {
        if (fields.Need("tiers", $"[{Example}, {{ unit_amount: \"0.005\" }}]") is not { } node) return null;
        if (findings.Items(node, $"[{Example}]") is not { } items) return null;
        if (items.Count is 0 or > MostTiers)
        {
            findings.Add(items.Count == 0 ? Code.NoTiers : Code.TooMany, node,
                $"A price has 1 to {MostTiers} tiers, and here are {items.Count}.");
            return null;
        }

        var tiers = new List<Tier>();
        decimal lower = 0;
        var right = true;
        for (var i = 0; i < items.Count; i++)
        {
            var tier = ReadTier(items[i], flatOnly, out var bound);
            // where a tier ends is looked at even if what it costs is wrong
            if (bound is var (at, upTo))
            {
                right &= IsInPlace(upTo, at, lower, i == items.Count - 1, items[i]);
                lower = Math.Max(lower, upTo ?? lower);
            }

            if (tier is null) right = false;
            else tiers.Add(tier);
        }

        return right ? tiers : null;
    }

    /// <param name="bound">Where its end stands, and what it is; null when that cannot be read.</param>
    private Tier? ReadTier(Node node, bool flatOnly, out (Node? At, decimal? UpTo)? bound)
    {
        bound = null;
        if (MapReader.Open(node, findings, Example) is not { } fields) return null;
        var end = fields.Take("up_to");
        var isOpen = end is null or ScalarNode { Kind: ScalarKind.Null };
        var upTo = isOpen ? null : findings.Quantity(end, "1000");
        if (isOpen || upTo is not null) bound = (end, upTo);
        var unitNode = flatOnly ? null : fields.Take("unit_amount");
        var unit = findings.Amount(unitNode, "0.01");
        var flatNode = fields.Take("flat_amount");
        var flat = findings.Amount(flatNode, "10.00");
        fields.Close();
        if (unitNode is null && flatNode is null)
        {
            findings.Add(Code.EmptyTier, node, flatOnly
                ? "This tier costs nothing said: write 'flat_amount', \"0\" for a free one."
                : "This tier costs nothing said: write 'unit_amount', 'flat_amount' or both, \"0\" for a free one.");
            return null;
        }

        var right = (isOpen || upTo is not null) && unitNode is null == unit is null && flatNode is null == flat is null;
        return right ? new Tier(upTo, unit, flat ?? 0) : null;
    }

    private bool IsInPlace(decimal? upTo, Node? bound, decimal lower, bool isLast, Node tier)
    {
        var at = bound ?? tier;
        if (isLast && upTo is not null)
            findings.Add(Code.LastTierClosed, at, "The last tier is open, so that each quantity has a price: leave " +
                "'up_to' out there, or add a tier behind it.");
        else if (!isLast && upTo is null)
            findings.Add(Code.TierGap, at, "Only the last tier is open; this one needs an 'up_to', or what follows " +
                "would never be entered.");
        if (upTo is not { } upper || upper > lower) return upTo is null == isLast;
        if (upper == lower && lower > 0)
            findings.Add(Code.TierOverlap, at, $"The tier before ends at {PriceWriter.Text(lower)} too.");
        else if (upper == 0)
            findings.Add(Code.TierOrder, at, "A tier ends above 0, where the first one begins.");
        else
            findings.Add(Code.TierOrder, at, $"Tiers rise: this one ends at {PriceWriter.Text(upper)}, and one before " +
                $"it at {PriceWriter.Text(lower)}.");
        return false;
    }
}
