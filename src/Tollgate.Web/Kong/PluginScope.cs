using Tollgate.Config;
using Tollgate.Config.Kong;

namespace Tollgate.Web.Kong;

/// <summary>What a plugin can be on.</summary>
internal static class PluginScope
{
    /// <summary>On none of the others, so on every service.</summary>
    public const string Everywhere = "";

    public static string InWords(string field) => field.Length == 0 ? "everywhere" : $"on a {field.Replace('_', ' ')}";

    public static string PathOf(string field) => field switch
    {
        "service" => "/services/{service}/plugins",
        "route" => "/routes/{route}/plugins",
        "consumer_group" => "/consumer_groups/{group}/plugins",
        _ => "/plugins",
    };

    public static string KindOf(string field) => field switch
    {
        "service" => ConfigKind.Service,
        "route" => ConfigKind.Route,
        _ => ConfigKind.Plan,
    };

    /// <summary>The scope that the path of a request names; null for a path at the root.</summary>
    public static KongReference? Of(KongRequest request) =>
        request.Has("s") ? new KongReference("service", "name", request["s"])
        : request.Has("r") ? new KongReference("route", "name", request["r"])
        : request.Has("g") ? new KongReference("consumer_group", "name", request["g"])
        : null;

    public static KongPlugin On(this KongPlugin plugin, ConfigRow target) => target.Kind switch
    {
        ConfigKind.Service => plugin with { Service = target.Id },
        ConfigKind.Route => plugin with { Route = target.Id },
        _ => plugin with { ConsumerGroup = target.Id },
    };
}
