using Tollgate.Config;

namespace Tollgate.Server;

/// <summary>Where callers get in without a credential, in words, so that nobody finds it out later.</summary>
internal static class OpenDoors
{
    private const int MostNamed = 10;

    public static IEnumerable<string> Of(Published published)
    {
        foreach (var api in published.Apis)
        {
            foreach (var consumer in api.Faces.Select(f => f.Anonymous).OfType<string>().Distinct())
                yield return $"{api.Name} lets calls without a key in, as the consumer {consumer}";
            var open = api.Operations.Where(o => !(o.Own ?? api).RequiresKey).Select(o => o.Name).Distinct().ToArray();
            if (open.Length == 0 && (api.RequiresKey || api.Operations.Count > 0)) continue;
            yield return api.Operations.All(o => !(o.Own ?? api).RequiresKey)
                ? $"{api.Name} asks for no key: it forwards for everybody"
                : $"{api.Name} asks for no key on some of its routes, and forwards them for everybody: "
                    + string.Join(", ", open.Take(MostNamed)) + (open.Length > MostNamed ? $", and {open.Length - MostNamed} more" : "");
        }
    }
}
