using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>
/// All that is wrong with a document. Readers add to it and go on, so that one run tells everything; they answer null
/// for what they could not read, and a null is never reported twice.
/// </summary>
internal sealed class Findings
{
    /// <summary>More would help nobody; the last problem then says how many were left out.</summary>
    public const int Max = 1_000;

    private readonly List<Problem> _problems = [];
    private int _leftOut;

    // letters compared: enough for dozens of slips in a file of ten thousand names, and well under a second
    private long _patience = 20_000_000;

    /// <summary>The meters that prices and quotas of this document may name; null where they are not known, as in a
    /// price that stands for itself: any name is right then.</summary>
    public IReadOnlyCollection<string>? Meters { get; set; }

    /// <summary>Those of them whose measurements do not add up: their usage is one number over all operations.</summary>
    public IReadOnlySet<string> WholeMeters { get; set; } = new HashSet<string>();

    /// <summary>What is known of the meters; null where they are not.</summary>
    public IReadOnlyDictionary<string, MeterShape>? Shapes { get; set; }

    /// <summary>For a document of a request.</summary>
    /// <param name="meters">Those that are published; null where that does not matter.</param>
    public static Findings Of(IReadOnlyCollection<PublishedMeter>? meters) => meters is null ? new Findings() : new Findings
    {
        Meters = [.. meters.Select(m => m.Name)],
        WholeMeters = meters.Where(m => !m.Meter.IsAdditive).Select(m => m.Name).ToHashSet(StringComparer.Ordinal),
        Shapes = meters.ToDictionary(m => m.Name, MeterShape.Of, StringComparer.Ordinal),
    };

    public bool Any => _problems.Count > 0;

    public int Count => _problems.Count + _leftOut;

    /// <summary>Nothing that is added now will be shown, so a costly detail is not worth making.</summary>
    public bool Full => _problems.Count >= Max;

    public void Add(string code, Node at, string detail) => Add(new Problem(code, detail, at.Path, at.Place));

    public void Add(Problem problem)
    {
        if (Full) _leftOut++;
        else _problems.Add(problem.Field is "" ? problem with { Field = null } : problem);
    }

    /// <summary>" Did you mean 'limits'?", or nothing when no known name is near.</summary>
    public string DidYouMean(string name, IEnumerable<string> known) =>
        Names.Nearest(name, known, ref _patience) is { } near ? $" Did you mean '{near}'?" : "";

    /// <summary>In the order of the file.</summary>
    public IReadOnlyList<Problem> InOrder()
    {
        var sorted = _problems.OrderBy(p => p.Place?.Line).ThenBy(p => p.Place?.Column).ToList();
        if (_leftOut == 0) return sorted;
        sorted.Add(new Problem(Code.TooManyProblems, $"{_leftOut} more problems are not shown; at most {Max} are."));
        return sorted;
    }
}

/// <summary>The codes of what can be wrong with a document. Public API: they never change meaning.</summary>
internal static class Code
{
    // the text itself
    public const string YamlSyntax = "yaml_syntax", YamlAlias = "yaml_alias", YamlTag = "yaml_tag",
        YamlDocuments = "yaml_documents", JsonSyntax = "json_syntax", EmptyFile = "empty_file",
        TooLarge = "too_large", TooDeep = "too_deep", TooManyProblems = "too_many_problems";

    // any field
    public const string UnknownField = "unknown_field", MissingField = "missing_field", WrongType = "wrong_type",
        BadValue = "bad_value", BadName = "bad_name", DuplicateName = "duplicate_name", TooMany = "too_many",
        TooManyDigits = "too_many_digits";

    // tiers: (lower, upper], rising, the last one open
    public const string NoTiers = "tiers_missing", TierOrder = "tier_out_of_order", TierOverlap = "tier_overlap",
        TierGap = "tier_gap", LastTierClosed = "last_tier_closed", EmptyTier = "tier_without_amount";

    // what things mean together
    public const string UnsupportedVersion = "unsupported_version", UnknownCurrency = "unknown_currency",
        UnknownMeter = "unknown_meter", UnknownOperation = "unknown_operation", UnknownPlan = "unknown_plan",
        DuplicatePath = "duplicate_path", DuplicateLimit = "duplicate_limit", CircularExtends = "circular_extends",
        ExtendsTooDeep = "extends_too_deep", PriceOutsidePlan = "price_outside_plan", NoQuota = "no_quota",
        PriceCliff = "price_cliff";

    // what is stored already
    public const string ManagedElsewhere = "managed_elsewhere", PlanInUse = "plan_in_use",
        MeterChanged = "meter_changed";
}
