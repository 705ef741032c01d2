using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Reads limits: the same for the file and for what is agreed with one customer.</summary>
public sealed class LimitReader
{
    private const string Example = "100/minute";

    private const string MapExample = "{ limit: 100, per: minute, window: sliding, by: key }";

    private readonly Findings _findings;

    internal LimitReader(Findings findings) => _findings = findings;

    /// <summary>Reads a list of limits; all that is wrong with it at once.</summary>
    public static Result<IReadOnlyList<Limit>> Read(Node limits)
    {
        var findings = new Findings();
        var read = new LimitReader(findings).ReadAll(limits) ?? [];
        return findings.Any ? Result<IReadOnlyList<Limit>>.Refused(findings.InOrder()) : read;
    }

    /// <summary>Null when it is left out or no list.</summary>
    internal List<Limit>? ReadAll(Node? node)
    {
        if (_findings.Items(node, $"[{Example}]") is not { } items) return null;
        var limits = new List<Limit>();
        foreach (var item in items)
        {
            if (ReadLimit(item) is not { } limit) continue;
            if (limits.Find(limit.IsLike) is { } first) Duplicate(item, first);
            else limits.Add(limit);
        }

        if (limits.Count > Limit.MostOfPlan)
            _findings.Add(Code.TooMany, node!, $"These are {limits.Count} limits; there are at most {Limit.MostOfPlan}.");
        return limits;
    }

    private void Duplicate(Node item, Limit first)
    {
        var what = first.Window == WindowKind.Concurrent ? "of calls at a time" : $"per {LimitWindow.NameOf(first.Per)}";
        var window = first.Window is WindowKind.Sliding or WindowKind.Bucket ? $" with a {Limits.NameOf(first.Window)} window" : "";
        var by = first.By == LimitScope.Consumer ? "" : $" by {Limits.NameOf(first.By)}";
        _findings.Add(Code.DuplicateLimit, item, $"There is a limit {what}{window}{by} already, {first}. Remove one of them.");
    }

    private Limit? ReadLimit(Node item)
    {
        if (item is MapNode) return ReadMap(item);
        if (_findings.Text(item, Example) is not { } text) return null;
        if (text.Contains(' ') && Limit.TryParse(text) is { } said) return said;
        var slash = text.IndexOf('/');
        if (slash >= 0) return LimitOf(item, text[..slash], item, text[(slash + 1)..]);
        _findings.Add(Code.BadValue, item, $"{Quote.Of(text)} is not a limit: a number and a unit of time are " +
            $"needed, as '{Example}'.");
        return null;
    }

    private Limit? ReadMap(Node item)
    {
        var fields = MapReader.Open(item, _findings, MapExample)!;
        var concurrent = fields.Take("concurrent");
        var by = fields.Take("by");
        var scope = by is null ? LimitScope.Consumer
            : _findings.Choice(by, [.. Limits.Scopes]) is { } name ? Limits.FindScope(name) : null;
        var limit = concurrent is null ? ReadRate(item, fields) : ReadConcurrent(concurrent, fields);
        return limit is null || scope is not { } known ? null : limit with { By = known };
    }

    private Limit? ReadConcurrent(Node node, MapReader fields)
    {
        fields.Close();
        if (_findings.Text(node, "5") is not { } text) return null;
        if (Scalars.ParseCount(text) is { } calls) return Limit.Concurrent(calls);
        BadCount(node, text);
        return null;
    }

    private Limit? ReadRate(Node item, MapReader fields)
    {
        var (limitNode, perNode) = (fields.Need("limit", "100"), fields.Need("per", "minute"));
        var windowNode = fields.Take("window");
        var burstNode = fields.Take("burst");
        fields.Close();
        var rate = LimitOf(limitNode ?? item, _findings.Text(limitNode, "100"),
            perNode ?? item, _findings.Text(perNode, "minute"));
        var window = windowNode is null ? WindowKind.Fixed
            : _findings.Choice(windowNode, "fixed", "sliding", "bucket") is { } name ? Limits.FindWindow(name) : null;
        var burst = ReadBurst(burstNode, window, out var burstIsRight);
        if (rate is null || window is not { } kind || !burstIsRight) return null;
        var limit = kind == WindowKind.Bucket
            ? rate with { Window = kind, Burst = burst ?? rate.Count }
            : rate with { Window = kind };
        if (limit.Fault is not { } fault) return limit;
        _findings.Add(Code.BadValue, kind == WindowKind.Bucket && burstNode is not null && limit.Per <= WindowUnit.Day
            ? burstNode : perNode ?? item, fault);
        return null;
    }

    private long? ReadBurst(Node? node, WindowKind? window, out bool right)
    {
        right = true;
        if (node is null) return null;
        right = false;
        if (_findings.Text(node, "20") is not { } text) return null;
        if (window is not (WindowKind.Bucket or null))
            _findings.Add(Code.BadValue, node, "Only a bucket has a burst: add 'window: bucket', or remove it.");
        else if (Scalars.ParseCount(text) is not { } burst)
            BadCount(node, text);
        else
        {
            right = true;
            return burst;
        }

        return null;
    }

    private Limit? LimitOf(Node countNode, string? countText, Node unitNode, string? unitText)
    {
        var count = countText is null ? null : Scalars.ParseCount(countText);
        if (countText is not null && count is null) BadCount(countNode, countText);
        var unit = default(WindowUnit);
        var known = unitText is not null && LimitWindow.TryParseUnit(unitText, out unit);
        if (unitText is not null && !known)
        {
            var units = Enum.GetValues<WindowUnit>().Select(LimitWindow.NameOf).ToArray();
            _findings.Add(Code.BadValue, unitNode, $"{Quote.Of(unitText)} is not a unit of time." +
                $"{_findings.DidYouMean(unitText, units)} Known are: {string.Join(", ", units)}.");
        }

        return count is { } number && known ? new Limit(number, unit) : null;
    }

    private void BadCount(Node node, string text) =>
        _findings.Add(Code.BadValue, node, $"{Quote.Of(text)} cannot be the number of a limit: it is a " +
            "whole number from 1 to 1000000000000 (10^12), as '100' or '10_000'.");
}
