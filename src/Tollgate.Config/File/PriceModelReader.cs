using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Reads what a price asks: its model, and the terms that any model may have. A model is one line in the table
/// and one method.</summary>
internal sealed class PriceModelReader
{
    private const string FromQuota = "from quota";

    private readonly Findings _findings;
    private readonly TierReader _tiers;
    private readonly OrderedDictionary<string, Func<MapReader, bool, Price?>> _models;

    public PriceModelReader(Findings findings)
    {
        (_findings, _tiers) = (findings, new TierReader(findings));
        _models = new(StringComparer.Ordinal)
        {
            ["flat"] = ReadFlat,
            ["per_unit"] = ReadPerUnit,
            ["graduated"] = (fields, _) => _tiers.Read(fields) is { } tiers ? new Price.Graduated(tiers) : null,
            ["volume"] = (fields, _) => _tiers.Read(fields) is { } tiers ? new Price.Volume(tiers) : null,
            ["stairstep"] = (fields, _) =>
                _tiers.Read(fields, flatOnly: true) is { } tiers ? new Price.Stairstep(tiers) : null,
            ["package"] = ReadPackage,
            ["percentage"] = ReadPercentage,
        };
    }

    /// <param name="standsAlone">Outside of a plan: there is no period, and a quantity is known.</param>
    public Price? Read(MapReader fields, bool standsAlone)
    {
        var model = _findings.Choice(fields.Need("model", "per_unit"), [.. _models.Keys]);
        if (model is null) return null;
        var price = _models[model](fields, standsAlone);
        var terms = ReadTerms(fields, counts: model != "flat");
        if (terms is { Convert: not null } && (terms.Included > 0 || terms.IncludedFromQuota)
            && (fields.Node.Find("matrix") ?? fields.Node.Find("by")) is { } split)
        {
            _findings.Add(Code.BadValue, split, "With lines of their own for parts of the usage, what is included is counted as " +
                "the meter counts: leave 'convert' or 'included' out.");
            return null;
        }

        return price is null || terms is null ? null : price with
        {
            Included = terms.Included,
            IncludedFromQuota = terms.IncludedFromQuota,
            ProratesAllowance = terms.ProratesAllowance,
            Minimum = terms.Minimum,
            Maximum = terms.Maximum,
            Convert = terms.Convert,
            BillsZeroUsage = terms.BillsZeroUsage,
        };
    }

    /// <summary>What a cell of a matrix costs: a model and its amounts, without the terms that hold for the whole price.
    /// Without a model it is that of the price.</summary>
    public Price? ReadAmounts(MapReader fields, MapReader price)
    {
        var node = fields.Take("model");
        var model = node is null ? ModelOf(price) : _findings.Choice(node, [.. _models.Keys.Where(m => m != "flat")]);
        return model is not null && _models.TryGetValue(model, out var read) ? read(fields, false) : null;
    }

    /// <summary>Whether the model is one; if not, the other fields are not judged.</summary>
    public bool IsKnown(MapReader fields) => ModelOf(fields) is { } model && _models.ContainsKey(model);

    public static bool IsFlat(MapReader fields) => ModelOf(fields) == "flat";

    private static string? ModelOf(MapReader fields) => (fields.Node.Find("model") as ScalarNode)?.Text;

    private Price.Flat? ReadFlat(MapReader fields, bool standsAlone)
    {
        var amount = _findings.Amount(fields.Need("amount", "\"49.00\""), "49.00");
        var node = standsAlone ? fields.Take("every") : fields.Need("every", "month");
        var every = node is null && standsAlone ? "month"
            : _findings.Choice(node, "day", "week", "month", "quarter", "year");
        var due = fields.Take("in");
        var timing = due is null ? "arrears" : _findings.Choice(due, "arrears", "advance");
        if (amount is not { } value || every is null || timing is null) return null;
        return new Price.Flat(value, timing == "advance" ? BillingTiming.Advance : BillingTiming.Arrears)
        {
            Every = Intervals.Find(every),
        };
    }

    private Price.PerUnit? ReadPerUnit(MapReader fields, bool standsAlone) =>
        _findings.Amount(fields.Need("unit_amount", "\"0.05\""), "0.05") is { } amount ? new(amount) : null;

    private Price.Package? ReadPackage(MapReader fields, bool standsAlone)
    {
        var size = Above0(fields.Need("size", "\"1000\""), _findings.Quantity, "1000");
        var amount = _findings.Amount(fields.Need("amount", "\"2.50\""), "2.50");
        var freeNode = fields.Take("free");
        var free = freeNode is null ? 0 : _findings.Quantity(freeNode, "500");
        var roundNode = fields.Take("round");
        var round = roundNode is null ? "up" : _findings.Choice(roundNode, "up", "down");
        if (size is not { } units || amount is not { } value || free is not { } before || round is null) return null;
        return new Price.Package(units, value) { Free = before, RoundsDown = round == "down" };
    }

    private Price.Percentage? ReadPercentage(MapReader fields, bool standsAlone)
    {
        var rate = _findings.Amount(fields.Need("rate", "\"2.9\""), "2.9");
        var (ok, part) = Optional(fields, "fixed", "0.30");
        var (freeOk, freeAmount) = Optional(fields, "free_amount", "100.00");
        var (minOk, minimum) = Optional(fields, "minimum_per_event", "0.50");
        var (maxOk, maximum) = Optional(fields, "maximum_per_event", "5.00");
        var eventsNode = fields.Take("free_events");
        var events = eventsNode is null ? null : _findings.Quantity(eventsNode, "10");
        var eventsOk = eventsNode is null || events is not null;
        if (events is { } count && (count != decimal.Truncate(count) || count > Limit.MaxCount))
        {
            _findings.Add(Code.BadValue, eventsNode!, $"Events are counted in whole numbers, up to {Limit.MaxCount}.");
            eventsOk = false;
        }

        if (minimum > maximum)
        {
            _findings.Add(Code.BadValue, fields.Node.Find("maximum_per_event")!,
                "The most that an event costs is below the least, 'minimum_per_event'.");
            return null;
        }

        if (rate is not { } percent || !(eventsOk && ok && freeOk && minOk && maxOk)) return null;
        return new Price.Percentage(percent)
        {
            Fixed = part ?? 0,
            FreeEvents = (long?)events,
            FreeAmount = freeAmount,
            MinimumPerEvent = minimum,
            MaximumPerEvent = maximum,
        };
    }

    /// <param name="counts">False for a flat fee: it has a period, and no quantity.</param>
    private Price.PerUnit? ReadTerms(MapReader fields, bool counts)
    {
        if (!counts) return new Price.PerUnit(0);
        var (minOk, minimum) = Optional(fields, "minimum", "10.00");
        var (maxOk, maximum) = Optional(fields, "maximum", "100.00");
        var inOrder = !(minimum > maximum);
        if (!inOrder) _findings.Add(Code.BadValue, fields.Node.Find("maximum")!, "The maximum is below the minimum.");
        var terms = new Price.PerUnit(0) { Minimum = minimum, Maximum = maximum };
        var includedOk = ReadIncluded(fields.Take("included"), out var included, out var fromQuota);
        var prorates = fields.Take("prorate_allowance") is { } p ? _findings.Flag(p) : false;
        var zero = fields.Take("bill_zero_usage") is { } z ? _findings.Flag(z) : true;
        var convertNode = fields.Take("convert");
        var convert = convertNode is null ? null : ReadConversion(convertNode);
        if (!(minOk && maxOk && inOrder && includedOk) || prorates is null || zero is null) return null;
        return convertNode is not null && convert is null ? null : terms with
        {
            Included = included,
            IncludedFromQuota = fromQuota,
            ProratesAllowance = prorates.Value,
            BillsZeroUsage = zero.Value,
            Convert = convert,
        };
    }

    private bool ReadIncluded(Node? node, out decimal included, out bool fromQuota)
    {
        (included, fromQuota) = (0, node is ScalarNode { Text: FromQuota });
        if (node is null || fromQuota) return true;
        if (_findings.Quantity(node, "100 or from quota") is not { } units) return false;
        included = units;
        return true;
    }

    private Conversion? ReadConversion(Node node)
    {
        const string example = "{ divide_by: 1000, round: up }";
        if (MapReader.Open(node, _findings, example) is not { } fields) return null;
        var (divide, multiply) = (fields.Take("divide_by"), fields.Take("multiply_by"));
        var roundNode = fields.Take("round");
        var round = roundNode is null ? "none" : _findings.Choice(roundNode, "up", "down", "half", "none");
        var decimals = ReadDecimals(fields.Take("decimals"), round);
        fields.Close();
        if (divide is null == multiply is null)
        {
            _findings.Add(Code.BadValue, node,
                $"A conversion has either 'divide_by' or 'multiply_by', as '{example}'.");
            return null;
        }

        if (Above0(divide ?? multiply, _findings.Amount, "1000") is not { } factor || round is null || decimals is null)
            return null;
        return new Conversion(factor, divide is not null, round switch
        {
            "up" => UnitRounding.Up,
            "down" => UnitRounding.Down,
            "half" => UnitRounding.Nearest,
            _ => UnitRounding.None,
        })
        {
            Decimals = decimals.Value,
        };
    }

    private int? ReadDecimals(Node? node, string? round)
    {
        if (node is null) return 0;
        if (_findings.Quantity(node, "3") is not { } digits) return null;
        if (digits != decimal.Truncate(digits) || digits > Conversion.MostDecimals)
            _findings.Add(Code.BadValue, node, $"Digits after the point are 0 to {Conversion.MostDecimals}.");
        else if (round == "none")
            _findings.Add(Code.BadValue, node, "Digits stay after rounding: give 'round' too, as up, down or half.");
        else return (int)digits;
        return null;
    }

    /// <summary>An amount that may be left out; not ok when it is there and wrong.</summary>
    private (bool Ok, decimal? Amount) Optional(MapReader fields, string name, string example)
    {
        var node = fields.Take(name);
        var amount = _findings.Amount(node, example);
        return (node is null || amount is not null, amount);
    }

    private decimal? Above0(Node? node, Func<Node?, string, decimal?> read, string example)
    {
        if (read(node, example) is not 0m and var number) return number;
        _findings.Add(Code.BadValue, node!, $"This is 0; a number above 0 is needed, as '{example}'.");
        return null;
    }
}
