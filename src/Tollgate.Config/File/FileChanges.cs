using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Config.File;

/// <summary>What applying a file means for what is stored. Pure: it proposes, and writes nothing.</summary>
/// <param name="Removed">Stored by an earlier file, and not in this one.</param>
/// <param name="Clashes">Names that another side holds; with any of them nothing is applied.</param>
internal sealed record FileChanges(
    IReadOnlyList<FileChanges.Wanted> Added,
    IReadOnlyList<(ConfigRow Row, FileChanges.Wanted Wanted)> Changed,
    IReadOnlyList<ConfigRow> Removed,
    IReadOnlyList<Problem> Clashes)
{
    /// <summary>An object as the file wants it.</summary>
    internal sealed record Wanted(string Kind, string Name, string Document);

    /// <param name="stored">All objects.</param>
    /// <param name="file">What the file says.</param>
    /// <param name="takeOver">An object of this kind and name that another side made becomes the file's.</param>
    public static FileChanges Between(IReadOnlyList<ConfigRow> stored, ConfigFile file, bool takeOver = false)
    {
        var wanted = file.Apis.Select(Document).Concat(file.Meters.Select(Document)).Concat(file.Sources.Select(Document))
            .Concat(file.Plans.Select(Document)).ToArray();
        var byName = stored.ToDictionary(r => (r.Kind, r.Name));
        var known = wanted.Where(w => byName.ContainsKey((w.Kind, w.Name)))
            .Select(w => (Row: byName[(w.Kind, w.Name)], Wanted: w));
        var names = wanted.Select(w => (w.Kind, w.Name)).ToHashSet();
        return new FileChanges(
            [.. wanted.Where(w => !byName.ContainsKey((w.Kind, w.Name)))],
            [.. known.Where(k => k.Row.Manager == ManagedBy.File ? k.Row.Document != k.Wanted.Document : takeOver)],
            [.. stored.Where(r => r.Manager == ManagedBy.File && !names.Contains((r.Kind, r.Name)))],
            [.. wanted.SelectMany(w => NameClashes(w, byName, takeOver)), .. OperationClashes(file, stored)]);
    }

    private static Wanted Document(FileApi api)
    {
        var document = new ApiDocument(api.Upstream.AbsoluteUri.TrimEnd('/'), api.Operations)
        {
            Units = api.Units.Count > 0 ? api.Units : null,
            UnitsHeaders = api.UnitsHeaders,
            Targets = api.Targets.Count > 0 ? api.Targets : null,
            Retries = api.Retries,
            Proxy = api.Proxy,
            Access = api.Access,
        };
        return new Wanted(ConfigKind.Api, api.Name, JsonSerializer.Serialize(document, PlanDocument.Json));
    }

    private static Wanted Document(FileMeter meter) => new(ConfigKind.Meter, meter.Name, meter.Document.Write());

    private static Wanted Document(FileSource source) => new(ConfigKind.Source, source.Name, source.Document.Write());

    private static Wanted Document(FilePlan plan) => new(ConfigKind.Plan, plan.Name, Access(plan).Write());

    /// <summary>The live part of a plan.</summary>
    internal static PlanDocument Access(FilePlan plan) =>
        new PlanDocument(plan.DisplayName, plan.Operations, [.. plan.Limits.Select(l => l.ToString())])
        {
            Billable = plan.Billable,
            Headers = plan.Headers == HeaderFamilies.Kong ? null : plan.Headers,
            UpgradeUrl = plan.UpgradeUrl,
            Metering = plan.Metering == MeteringUnavailable.Closed ? null : plan.Metering,
            LimitsUnavailable = plan.LimitsUnavailable == LimitsUnavailable.Share ? null : plan.LimitsUnavailable,
            ClosedWhenStale = plan.ClosedWhenStale,
        };

    private static IEnumerable<Problem> NameClashes(
        Wanted wanted, Dictionary<(string Kind, string Name), ConfigRow> stored, bool takeOver)
    {
        if (!takeOver && stored.TryGetValue((wanted.Kind, wanted.Name), out var row) && row.Manager != ManagedBy.File)
            yield return Clash(wanted, $"The {wanted.Kind} '{wanted.Name}' was made by {SideOf(row)}.");
        if (wanted.Kind == ConfigKind.Api && stored.ContainsKey((ConfigKind.Service, wanted.Name)))
            yield return Clash(wanted, $"There is a Kong service '{wanted.Name}', and a service is an API.");
    }

    /// <summary>Plans name operations without their API, so a second of one name would slip into them.</summary>
    private static IEnumerable<Problem> OperationClashes(ConfigFile file, IReadOnlyList<ConfigRow> stored)
    {
        var taken = new Dictionary<string, ConfigRow>(StringComparer.Ordinal);
        foreach (var row in stored.Where(r => r.Kind == ConfigKind.Api && r.Manager != ManagedBy.File))
        {
            var document = JsonSerializer.Deserialize<ApiDocument>(row.Document, PlanDocument.Json)!;
            foreach (var name in document.Operations.Keys) taken.TryAdd(name, row);
        }

        return from api in file.Apis
               from name in api.Operations.Keys
               where taken.ContainsKey(name)
               let other = taken[name]
               select new Problem(Code.ManagedElsewhere, $"The operation '{name}' stands in the API '{other.Name}', " +
                   $"which was made by {SideOf(other)}. {Advice}", $"apis.{api.Name}.operations.{name}");
    }

    private const string Advice = "Rename it in the file, remove the other one first, or " +
        "apply the file with --take-over (take_over=true).";

    private static Problem Clash(Wanted wanted, string why) =>
        new(Code.ManagedElsewhere, $"{why} {Advice}", $"{wanted.Kind}s.{wanted.Name}");

    private static string SideOf(ConfigRow row) =>
        row.Manager == ManagedBy.Kong ? "the Kong-shaped API" : "the admin API";
}
