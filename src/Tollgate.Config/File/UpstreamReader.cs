namespace Tollgate.Config.File;

/// <summary>Reads the servers of an upstream that has several.</summary>
/// <param name="url">Reads an address, or says what is wrong with it.</param>
internal sealed class UpstreamReader(Findings findings, Func<Node?, Uri?> url)
{
    private const string Example = "{ url: \"http://127.0.0.1:5000\", weight: 1 }";

    public IReadOnlyList<UpstreamTarget> Read(Node node)
    {
        var items = findings.Items(node, $"[{Example}]") ?? [];
        if (items.Count is 0 or > UpstreamTarget.MostTargets)
        {
            findings.Add(Code.BadValue, node, $"These are {items.Count} servers; an upstream has 1 to " +
                $"{UpstreamTarget.MostTargets}, as '[{Example}]'.");
            return [];
        }

        var targets = new List<UpstreamTarget>();
        foreach (var item in items)
        {
            if (MapReader.Open(item, findings, Example) is not { } fields) continue;
            var at = fields.Need("url", "http://127.0.0.1:5000");
            var address = url(at);
            var weight = findings.Whole(fields.Take("weight"), 1, UpstreamTarget.MostWeight) ?? 1;
            fields.Close();
            if (address is null) continue;
            if (address == PublishedApi.Application)
                findings.Add(Code.BadValue, at!, "'application' stands alone; a list is of URLs, as 'http://127.0.0.1:5000'.");
            else if (targets.Exists(t => t.Url == address))
                findings.Add(Code.BadValue, at!, $"{Quote.Of(address.ToString())} stands twice; give it a weight instead.");
            else
                targets.Add(new UpstreamTarget(address, weight));
        }

        return targets;
    }
}
