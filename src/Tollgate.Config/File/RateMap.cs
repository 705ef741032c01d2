using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>A map of rates per endpoint, as <c>{ "/api/v1/data": "0.01" }</c>, in JSON or YAML.</summary>
public static class RateMap
{
    /// <summary>A plan has so many prices.</summary>
    public const int Most = PriceReader.MostPrices;

    /// <summary>Reads the map, or answers everything that is wrong with it.</summary>
    public static Result<IReadOnlyList<(string Endpoint, string Rate)>> Read(string text, string fileName)
    {
        var findings = new Findings();
        var rates = new List<(string, string)>();
        if (YamlTree.Read(text, fileName, findings) is { } root
            && MapReader.Open(root, findings, "{ \"/api/v1/data\": \"0.01\" }") is not null)
        {
            var fields = ((MapNode)root).Fields;
            if (fields.Count is 0 or > Most)
                findings.Add(Code.TooMany, root, $"These are {fields.Count} rates; a plan has 1 to {Most} prices.");
            foreach (var field in fields.Take(Most))
            {
                if (OperationPattern.Parse(field.Name) is (null, var wrong))
                    findings.Add(new Problem(Code.BadName, wrong!, field.Value.Path, field.Place));
                if (findings.Amount(field.Value, "0.01") is { } rate)
                    rates.Add((field.Name, rate.ToString("0.############", System.Globalization.CultureInfo.InvariantCulture)));
            }
        }

        return findings.Any
            ? Result<IReadOnlyList<(string Endpoint, string Rate)>>.Refused(findings.InOrder()) : rates;
    }
}
