using System.Data.Common;
using Tollgate.Config;
using Tollgate.Config.Kong;

namespace Tollgate.Web.Kong;

/// <summary>What a plugin can be on.</summary>
internal static class PluginScope
{
    /// <summary>On none of the others, so on every service.</summary>
    public const string Everywhere = "";

    public const string Consumer = "consumer";

    public static readonly string[] Fields = ["service", "route", "consumer_group", Consumer];

    /// <summary>What a stored plugin is on; null for everywhere.</summary>
    public static KongReference? Of(KongPlugin plugin) =>
        plugin.Service is { } service ? new KongReference("service", "id", service)
        : plugin.Route is { } route ? new KongReference("route", "id", route)
        : plugin.ConsumerGroup is { } group ? new KongReference("consumer_group", "id", group)
        : plugin.Consumer is { } consumer ? new KongReference(Consumer, "id", consumer)
        : null;

    public static string InWords(string field) => field.Length == 0 ? "everywhere" : $"on a {field.Replace('_', ' ')}";

    public static string PathOf(string field) => field switch
    {
        "service" => "/services/{service}/plugins",
        "route" => "/routes/{route}/plugins",
        "consumer_group" => "/consumer_groups/{group}/plugins",
        Consumer => "/consumers/{consumer}/plugins",
        _ => "/plugins",
    };

    /// <summary>What lists of Kong's call what a field refers to.</summary>
    public static string ListOf(KongReference scope) => scope.Field + "s";

    /// <summary>The scope that the path of a request names; null for a path at the root.</summary>
    public static KongReference? Of(KongRequest request) =>
        request.Has("s") ? new KongReference("service", "name", request["s"])
        : request.Has("r") ? new KongReference("route", "name", request["r"])
        : request.Has("g") ? new KongReference("consumer_group", "name", request["g"])
        : request.Has("c") ? new KongReference(Consumer, "username", request["c"])
        : null;

    /// <summary>A plugin on what is referred to.</summary>
    /// <returns>Neither: there is no such thing.</returns>
    public static async Task<(KongPlugin? On, KongAnswer? Refusal)> OnAsync(DbConnection db, KongPlugin plugin, KongReference scope)
    {
        if (scope.Field == Consumer)
            return await ConsumerStore.FindAsync(db, scope.Value) is { } consumer
                ? (plugin with { Consumer = consumer.Id, ConsumerKey = (int)consumer.Key }, null) : default;
        if (await ConfigStore.FindAsync(db, KindOf(scope.Field), scope.Value) is not { } target) return default;
        return target.Kind switch
        {
            ConfigKind.Service => (plugin with { Service = target.Id }, null),
            ConfigKind.Route => (plugin with { Route = target.Id }, null),
            _ when KongEntity.OtherOwner(target.ManagedBy) is { } owner =>
                (null, KongAnswer.OwnedElsewhere("consumer group", target.Name, owner)),
            _ => (plugin with { ConsumerGroup = target.Id }, null),
        };
    }

    /// <summary>As <see cref="KongPlugin.Scope"/> says it; null: there is no such thing.</summary>
    public static async Task<string?> IdAsync(DbConnection db, KongReference scope) => scope.Field == Consumer
        ? (await ConsumerStore.FindAsync(db, scope.Value))?.Id
        : (await ConfigStore.FindAsync(db, KindOf(scope.Field), scope.Value))?.Id;

    private static string KindOf(string field) => field switch
    {
        "service" => ConfigKind.Service,
        "route" => ConfigKind.Route,
        _ => ConfigKind.Plan,
    };
}
