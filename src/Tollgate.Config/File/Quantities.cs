using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>Quantities of a request, read digit for digit as those of price documents are.</summary>
public static class Quantities
{
    /// <summary>Zero or more, below 10^19, with at most 9 digits after the point.</summary>
    public static Result<decimal> Read(Node node)
    {
        var findings = new Findings();
        var quantity = findings.Quantity(node, "121");
        return findings.Any ? Result<decimal>.Refused(findings.InOrder()) : quantity!.Value;
    }

    public static Result<List<decimal>> ReadAll(Node node)
    {
        var findings = new Findings();
        var read = (findings.Items(node, "[\"50\", \"100\"]") ?? []).Select(n => findings.Quantity(n, "50")).ToList();
        return findings.Any ? Result<List<decimal>>.Refused(findings.InOrder()) : read.ConvertAll(q => q!.Value);
    }
}
