using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Tollgate.Storage;
using Tollgate.Web.Admin;

namespace Tollgate.Web.Kong;

/// <summary>
/// The Kong-shaped admin API at the root of the admin port: enough of Kong's for its users and their scripts.
/// It writes the same store as everything else; what it does not know it refuses by name.
/// </summary>
public static class KongApi
{
    // the first segments of Kong's paths: below them, what is not there is answered in Kong's form
    private static readonly string[] s_roots =
    [
        "acls", "basic-auths", "ca_certificates", "cache", "certificates", "clustering", "config", "consumer_groups",
        "consumers", "filter-chains", "hmac-auths", "jwts", "key-auths", "key-sets", "keys", "oauth2", "plugins",
        "routes", "schemas", "services", "snis", "status", "tags", "targets", "upstreams", "vaults", "workspaces",
    ];

    private delegate Task<KongAnswer> Handler(KongRequest request);

    /// <summary>Maps everything; the stores, the publisher and <see cref="SystemCurrency"/> are singletons of the
    /// container.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        var all = new KongResources(routes.ServiceProvider);
        MapNode(routes, routes.ServiceProvider.GetRequiredService<Database>(), all);
        MapSchemas(routes, all);
        MapServices(routes, all.Services, all.Routes);
        MapUpstreams(routes, all.Upstreams, all.Authorities);
        MapConsumers(routes, all);
        MapPlugins(routes, all.Plugins);
        foreach (var root in s_roots)
            routes.Map(root + "/{**rest}", context => KongAnswer.NotFound().WriteAsync(context)).WithOrder(2);
    }

    /// <summary>Kong's answer to a path that it does not have; for whoever maps what is left over.</summary>
    public static Task NotFoundAsync(HttpContext context) => KongAnswer.NotFound().WriteAsync(context);

    private static void MapNode(IEndpointRouteBuilder routes, Database database, KongResources all)
    {
        var version = typeof(KongApi).Assembly.GetName().Version!.ToString(3);
        Resource(routes, "/", get: async _ => KongAnswer.Ok(new JsonObject
        {
            ["version"] = version,
            ["tagline"] = "Welcome to Tollgate",
            ["configuration"] = new JsonObject
            {
                ["database"] = database.EngineName,
                ["role"] = "traditional",
                ["loaded_plugins"] = new JsonObject(PluginSchema.Names.Select(n => KeyValuePair.Create(n, (JsonNode?)true))),
            },
            ["plugins"] = new JsonObject
            {
                ["available_on_server"] = new JsonObject(PluginSchema.Names.Select(n =>
                    KeyValuePair.Create(n, (JsonNode?)new JsonObject { ["version"] = version }))),
                ["enabled_in_cluster"] = KongEntity.List(await all.Plugins.InUseAsync()),
            },
        }));
        Resource(routes, "/status", get: async _ =>
        {
            await database.ReadAsync(_ => Task.FromResult(true)); // opens a connection, or throws
            return KongAnswer.Ok(new JsonObject { ["database"] = new JsonObject { ["reachable"] = true } });
        });
    }

    private static void MapSchemas(IEndpointRouteBuilder routes, KongResources all)
    {
        Resource(routes, "/schemas/plugins/{p}", all.Schemas.OfPluginAsync);
        Resource(routes, "/schemas/{kind}", SchemasApi.OfKind);
        Resource(routes, "/schemas/plugins/validate", post: Posted(all.Schemas.CheckPluginAsync), asks: true);
        Resource(routes, "/schemas/{kind}/validate", post: Posted(SchemasApi.Check), asks: true);
        Resource(routes, "/config", post: request => KongConfigApi.ApplyAsync(request, routes.ServiceProvider));
    }

    private static void MapServices(IEndpointRouteBuilder routes, ServicesApi services, RoutesApi paths)
    {
        Resource(routes, "/services", Listed(services.ListAsync), Posted(services.AddAsync));
        Resource(routes, "/services/{s}", services.GetAsync, delete: services.DeleteAsync,
            patch: Posted(services.ChangeAsync), put: Posted(services.PutAsync));
        Resource(routes, "/routes", Listed(paths.ListAsync), Posted(paths.AddAsync));
        foreach (var at in (string[])["/routes/{r}", "/services/{s}/routes/{r}"])
        {
            Resource(routes, at, paths.GetAsync, delete: paths.DeleteAsync,
                patch: Posted(paths.ChangeAsync), put: Posted(paths.PutAsync));
        }

        Resource(routes, "/services/{s}/routes", Listed(paths.ListAsync), Posted(paths.AddAsync));
    }

    private static void MapUpstreams(IEndpointRouteBuilder routes, UpstreamsApi upstreams, CaCertificatesApi authorities)
    {
        Resource(routes, "/ca_certificates", Listed(authorities.ListAsync), Posted(authorities.AddAsync));
        Resource(routes, "/ca_certificates/{a}", authorities.GetAsync, delete: authorities.DeleteAsync);
        Resource(routes, "/upstreams", Listed(upstreams.ListAsync), Posted(upstreams.AddAsync));
        Resource(routes, "/upstreams/{u}", upstreams.GetAsync, delete: upstreams.DeleteAsync,
            patch: Posted(upstreams.ChangeAsync), put: Posted(upstreams.PutAsync));
        Resource(routes, "/upstreams/{u}/targets", Listed(upstreams.ListTargetsAsync), Posted(upstreams.AddTargetAsync));
        Resource(routes, "/upstreams/{u}/targets/{t}", upstreams.GetTargetAsync, delete: upstreams.DeleteTargetAsync,
            patch: Posted(upstreams.ChangeTargetAsync), put: Posted(upstreams.PutTargetAsync));
    }

    private static void MapConsumers(IEndpointRouteBuilder routes, KongResources all)
    {
        var (consumers, keys, signers, access) = (all.Consumers, all.Keys, all.Signers, all.Access);
        var (groups, members) = (all.Groups, all.Members);
        Resource(routes, "/consumers", Listed(consumers.ListAsync), Posted(consumers.AddAsync));
        Resource(routes, "/consumers/{c}", consumers.GetAsync, delete: consumers.DeleteAsync,
            patch: Posted(consumers.ChangeAsync), put: Posted(consumers.PutAsync));
        Resource(routes, "/consumers/{c}/key-auth", Listed(keys.ListAsync), Posted(keys.AddAsync));
        Resource(routes, "/consumers/{c}/key-auth/{k}", keys.GetAsync, delete: keys.DeleteAsync);
        Resource(routes, "/consumers/{c}/jwt", Listed(signers.ListAsync), Posted(signers.AddAsync));
        Resource(routes, "/consumers/{c}/jwt/{j}", signers.GetAsync, delete: signers.DeleteAsync);
        Resource(routes, "/consumers/{c}/acls", Listed(access.ListAsync), Posted(access.AddAsync));
        Resource(routes, "/consumers/{c}/acls/{a}", access.GetAsync, delete: access.DeleteAsync);
        Resource(routes, "/consumer_groups", Listed(groups.ListAsync), Posted(groups.AddAsync));
        Resource(routes, "/consumer_groups/{g}", groups.GetAsync, delete: groups.DeleteAsync,
            patch: Posted(groups.ChangeAsync), put: Posted(groups.PutAsync));
        foreach (var form in (string[])["consumer_groups", "consumer_group"])
        {
            Resource(routes, "/consumers/{c}/" + form, Listed(members.ListGroupsAsync), Posted(members.AddGroupAsync));
            Resource(routes, "/consumers/{c}/" + form + "/{g}", delete: members.DeleteAsync);
        }

        Resource(routes, "/consumer_groups/{g}/consumers",
            Listed(members.ListConsumersAsync), Posted(members.AddConsumerAsync));
        Resource(routes, "/consumer_groups/{g}/consumers/{c}", delete: members.DeleteAsync);
    }

    private static void MapPlugins(IEndpointRouteBuilder routes, PluginsApi plugins)
    {
        Resource(routes, "/plugins/enabled", PluginsApi.EnabledAsync);
        foreach (var scope in (string[])["", "/services/{s}", "/routes/{r}", "/consumer_groups/{g}", "/consumers/{c}"])
        {
            Resource(routes, scope + "/plugins", Listed(plugins.ListAsync), Posted(plugins.AddAsync));
            Resource(routes, scope + "/plugins/{p}", plugins.GetAsync, delete: plugins.DeleteAsync,
                patch: Posted(plugins.ChangeAsync), put: Posted(plugins.PutAsync));
        }
    }

    /// <summary>One path with its methods; any other method of it is a 405 that names these.</summary>
    /// <param name="routes">Where it is mapped.</param>
    /// <param name="path">Its template.</param>
    /// <param name="get">Reads it, or a list.</param>
    /// <param name="post">Adds to a list.</param>
    /// <param name="delete">Removes it.</param>
    /// <param name="patch">Changes what is sent.</param>
    /// <param name="put">Makes or replaces it.</param>
    /// <param name="asks">Whether a POST changes nothing.</param>
    private static void Resource(
        IEndpointRouteBuilder routes, string path, Handler? get = null, Handler? post = null, Handler? delete = null,
        Handler? patch = null, Handler? put = null, bool asks = false)
    {
        var allowed = new List<string>();
        Add(get, HttpMethods.Get, HttpMethods.Head);
        Add(post, HttpMethods.Post);
        Add(put, HttpMethods.Put);
        Add(patch, HttpMethods.Patch);
        Add(delete, HttpMethods.Delete);
        var allow = string.Join(", ", allowed);
        routes.Map(path, context =>
        {
            context.Response.Headers.Allow = allow;
            return KongAnswer.Said(StatusCodes.Status405MethodNotAllowed, "Method not allowed").WriteAsync(context);
        }).WithOrder(1);

        void Add(Handler? handler, params string[] methods)
        {
            if (handler is null) return;
            allowed.AddRange(methods);
            var route = routes.MapMethods(path, methods, async context =>
            {
                var answer = await handler(new KongRequest(context));
                await answer.WriteAsync(context);
            });
            // a question whose text is a body
            if (asks) route.Needs(AdminScope.Read).ChangesNothing();
        }
    }

    private static Handler Posted(Func<KongRequest, KongFields, Task<KongAnswer>> handler) => async request =>
    {
        var (fields, refusal) = await request.FieldsAsync();
        return refusal ?? await handler(request, fields!);
    };

    private static Handler Listed(Func<KongRequest, KongPage, Task<KongAnswer>> handler) => async request =>
    {
        var (page, refusal) = request.Page();
        return refusal ?? await handler(request, page!);
    };
}
