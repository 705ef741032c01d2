using System.Globalization;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A quota that was read, and where it names operations.</summary>
internal sealed record QuotaDraft(Quota Quota, IReadOnlyList<(string Operation, Node Node)> Operations);

/// <summary>Reads quotas: the same for the file, for requests and for published versions.</summary>
public sealed class QuotaReader
{
    private const string Example = "{ meter: calls, allowance: 10_000, per: month, overage: block }";

    private readonly Findings _findings;
    private readonly WhereReader _where;

    internal QuotaReader(Findings findings) =>
        (_findings, _where) = (findings, new WhereReader(findings, "A quota", "counts"));

    /// <summary>Reads a list of quotas as <see cref="QuotaWriter"/> writes it. Whether the operations exist is for the
    /// caller to know.</summary>
    /// <param name="quotas">The list.</param>
    /// <param name="meters">What they may count; null for whatever they name, as in a version that was published.</param>
    public static Result<IReadOnlyList<Quota>> Read(Node quotas, IReadOnlyList<PublishedMeter>? meters = null)
    {
        var findings = new Findings
        {
            Meters = meters?.Select(m => m.Name).ToArray(),
            Shapes = meters?.ToDictionary(m => m.Name, MeterShape.Of, StringComparer.Ordinal),
        };
        var read = new QuotaReader(findings).ReadAll(quotas).ConvertAll(q => q.Quota);
        return findings.Any ? Result<IReadOnlyList<Quota>>.Refused(findings.InOrder()) : read;
    }

    internal List<QuotaDraft> ReadAll(Node node)
    {
        var drafts = new List<QuotaDraft>();
        foreach (var item in _findings.Items(node, $"[{Example}]") ?? [])
        {
            if (ReadQuota(item) is not { } draft) continue;
            if (drafts.Exists(d => d.Quota.Name == draft.Quota.Name))
            {
                _findings.Add(Code.DuplicateName, item, $"There is a quota '{draft.Quota.Name}' already. Quotas are " +
                    "told apart by their names, which are the names of their meters unless said: add 'name: …'.");
            }
            else
            {
                drafts.Add(draft);
            }
        }

        return drafts;
    }

    private QuotaDraft? ReadQuota(Node node)
    {
        if (MapReader.Open(node, _findings, Example) is not { } fields) return null;
        var nameNode = fields.Take("name");
        var meterNode = fields.Need("meter", Meter.CallsName);
        var meter = _findings.Meter(meterNode);
        var operations = _where.Read(fields.Take("where"), out var whereIsRight);
        var allowanceNode = fields.Need("allowance", "10_000");
        var allowance = ReadAllowance(allowanceNode);
        var per = ReadPeriod(fields.Need("per", "month"));
        var overage = _findings.Choice(fields.Take("overage"), "block", "bill") ?? "block";
        fields.Close();
        var named = ReadName(nameNode, out var name);
        if (meter is null || allowance is not { } units || per is not { } period || !whereIsRight || !named) return null;
        var quota = new Quota(name ?? meter, meter, units)
        {
            // in one order, so that equal quotas are equal text
            Operations = operations?.Select(o => o.Operation).Order(StringComparer.Ordinal).ToArray(),
            Per = period,
            Overage = overage == "bill" ? Overage.Bill : Overage.Block,
        };
        return CheckMeter(meterNode!, allowanceNode!, quota) ? new QuotaDraft(quota, operations ?? []) : null;
    }

    private bool ReadName(Node? node, out string? name)
    {
        name = _findings.Text(node, "calls");
        if (node is null) return true;
        if (name is null) return false;
        if (Names.IsName(name)) return true;
        _findings.Add(Code.BadName, node, $"{Quote.Of(name)} cannot be the name of a quota: a name has 1 to " +
            $"{Names.Longest} letters (a-z, A-Z), digits, '_' and '-', and begins with a letter or digit.");
        return false;
    }

    /// <summary>What the meter cannot be counted up to an allowance for.</summary>
    private bool CheckMeter(Node node, Node allowance, Quota quota)
    {
        if (_findings.Shapes?.GetValueOrDefault(quota.Meter) is not { } shape) return true;
        if (!shape.IsAdditive)
        {
            _findings.Add(Code.BadValue, node, $"The meter '{quota.Meter}' is no count or sum: its measurements do not use " +
                "up an allowance. Name a meter with the aggregation count or sum.");
            return false;
        }

        if (shape.FromEvents && quota.Operations is not null)
            _findings.Add(Code.BadValue, node, $"The meter '{quota.Meter}' is fed by events, which have no operation. Leave " +
                "'where' out: when the allowance is used up, every call is refused.");
        if (quota.Allowance * Meter.PowerOfTen(shape.Scale) % 1 == 0) return true;
        _findings.Add(Code.BadValue, allowance, $"The allowance is finer than the meter '{quota.Meter}', which keeps " +
            $"{shape.Scale} digits after the point.");
        return false;
    }

    private decimal? ReadAllowance(Node? node)
    {
        if (_findings.Text(node, "10_000") is not { } text) return null;
        if (ParseAllowance(text) is { } units) return units;
        _findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} cannot be an allowance: it is a number from 0 to " +
            $"{Quota.MaxAllowance.ToString("0", CultureInfo.InvariantCulture)}, as '10_000'.");
        return null;
    }

    /// <summary>Units of a meter, with at most nine digits after the point; digits before it may be grouped by single
    /// underscores.</summary>
    public static decimal? ParseAllowance(ReadOnlySpan<char> text)
    {
        var point = text.IndexOf('.');
        var whole = point < 0 ? text : text[..point];
        var fraction = point < 0 ? [] : text[(point + 1)..];
        if (whole.Length is 0 or > 40 || (point >= 0 && fraction.Length is 0 or > Meter.MaxScale)) return null;
        var units = 0m;
        for (var i = 0; i < whole.Length; i++)
        {
            if (whole[i] == '_' && i > 0 && i + 1 < whole.Length && whole[i - 1] != '_') continue;
            if (!char.IsAsciiDigit(whole[i])) return null;
            units = units * 10 + (whole[i] - '0');
            if (units > Quota.MaxAllowance) return null;
        }

        var part = 1m;
        foreach (var digit in fraction)
        {
            if (!char.IsAsciiDigit(digit)) return null;
            units += (digit - '0') * (part /= 10);
        }

        return units <= Quota.MaxAllowance ? units : null;
    }

    private QuotaPeriod? ReadPeriod(Node? node)
    {
        if (_findings.Text(node, "month") is not { } text) return null;
        if (QuotaPeriod.Find(text) is { } period) return period;
        _findings.Add(Code.BadValue, node!, $"{Quote.Of(text)} is not a period of a quota. Known are: " +
            $"{QuotaPeriod.Forms}.");
        return null;
    }
}
