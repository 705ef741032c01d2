using Microsoft.Extensions.DependencyInjection;
using Tollgate.Billing;
using Tollgate.Config;
using Tollgate.Gateway;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Everything of Kong's that can be added, over the stores of a container.</summary>
internal sealed class KongResources
{
    public KongResources(IServiceProvider services)
    {
        var database = services.GetRequiredService<Database>();
        var config = services.GetRequiredService<ConfigStore>();
        var clock = services.GetRequiredService<TimeProvider>();
        var store = services.GetRequiredService<ConsumerStore>();
        var customers = services.GetRequiredService<CustomerStore>();
        var subscriptions = services.GetRequiredService<SubscriptionStore>();
        var defaults = services.GetRequiredService<SystemCurrency>();
        var apiKeys = services.GetRequiredService<ApiKeys>();
        var news = new KongNews(services.GetRequiredService<Publisher>(), services.GetRequiredService<ChangeFeed>(), clock);
        Services = new ServicesApi(database, config, news);
        Routes = new RoutesApi(database, config, news);
        Upstreams = new UpstreamsApi(database, config, news);
        Authorities = new CaCertificatesApi(database, config, news);
        // a part of the server may stand without a gate
        var gate = services.GetService<GateTable>();
        Plugins = new PluginsApi(database, config, news, () => gate?.Leases?.Where.Address);
        Consumers = new ConsumersApi(database, store, news);
        Keys = new KeyAuthApi(database, store, apiKeys, news);
        Signers = new JwtApi(database, store, new TokenSecrets(apiKeys), news, clock);
        Access = new AclsApi(database, store, news, clock);
        Groups = new GroupsApi(database, config, subscriptions, defaults, news);
        Schemas = new SchemasApi(database, Plugins);
        Members = new MembersApi(database, store, customers, subscriptions, defaults) { News = news };
    }

    public ServicesApi Services { get; }

    public RoutesApi Routes { get; }

    public UpstreamsApi Upstreams { get; }

    public CaCertificatesApi Authorities { get; }

    public PluginsApi Plugins { get; }

    public ConsumersApi Consumers { get; }

    public KeyAuthApi Keys { get; }

    public JwtApi Signers { get; }

    public AclsApi Access { get; }

    public GroupsApi Groups { get; }

    public SchemasApi Schemas { get; }

    public MembersApi Members { get; }
}
