using System.Text.Json.Nodes;
using Tollgate.Catalog;
using Tollgate.Config;

namespace Tollgate.Web.Kong;

/// <summary>What Kong's objects have in common: ids are UUIDs with dashes, instants are whole epoch seconds.</summary>
internal static class KongEntity
{
    public static JsonObject Of(ConfigRow row, bool named = true)
    {
        var entity = new JsonObject { ["id"] = row.Uuid };
        if (named) entity["name"] = row.Name == row.Id ? null : row.Name;
        return entity;
    }

    public static JsonObject Dated(this JsonObject entity, ConfigRow row)
    {
        entity["created_at"] = Seconds(row.CreatedAt);
        entity["updated_at"] = Seconds(row.UpdatedAt);
        return entity;
    }

    /// <summary>A reference to another object, by the hex form of its id.</summary>
    public static JsonObject? Reference(string? id) =>
        id is null ? null : new JsonObject { ["id"] = Guid.ParseExact(id, "N").ToString() };

    /// <summary>A prefixed id as Kong's tools write it.</summary>
    public static string UuidOf<T>(string id) where T : IIdentified =>
        Id<T>.TryParse(id, out var read) ? read.Value.ToString() : id;

    /// <summary>An id as it is stored, prefixed or not, as Kong's tools write it.</summary>
    public static string UuidOf(string id) => Guid.Parse(id.AsSpan(id.LastIndexOf('_') + 1)).ToString();

    public static JsonArray? List(IReadOnlyList<string>? texts) =>
        texts is null ? null : new JsonArray([.. texts.Select(t => JsonValue.Create(t))]);

    public static long Seconds(long micros) => micros / Micros.PerSecond;

    /// <summary>The side that owns what may not be changed from here; null when it is ours.</summary>
    public static string? OtherOwner(string managedBy) => managedBy switch
    {
        "kong" => null,
        "file" => "configuration file",
        _ => "/v1 API",
    };
}
