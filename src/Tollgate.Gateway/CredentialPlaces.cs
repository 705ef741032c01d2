using Tollgate.Config;

namespace Tollgate.Gateway;

/// <summary>Where any API looks for a credential: none of these reaches an upstream, whichever API is called.</summary>
public sealed class CredentialPlaces(Published published)
{
    public string[] Headers { get; } = [.. published.Faces.SelectMany(a => a.KeyHeaders)
        .Concat(published.Faces.SelectMany(a => a.Bearers?.Headers ?? [])
            .Where(h => !h.Equals("Authorization", StringComparison.OrdinalIgnoreCase)))
        .Concat(Publication.DefaultKeyHeaders).Distinct(StringComparer.OrdinalIgnoreCase)];

    public string[] Queries { get; } = [.. published.Faces.SelectMany(a => a.KeyQueries.Concat(a.Bearers?.Queries ?? []))
        .Distinct(StringComparer.Ordinal)];

    public string[] Cookies { get; } = [.. published.Faces.SelectMany(a => a.Bearers?.Cookies ?? []).Distinct(StringComparer.Ordinal)];
}
