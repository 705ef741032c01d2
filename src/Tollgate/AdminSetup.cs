using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Prometheus;
using Tollgate.Billing;
using Tollgate.Gateway;
using Tollgate.Storage;
using Tollgate.Web.Admin;
using Tollgate.Web.Kong;
using Tollgate.Web.V1;

namespace Tollgate;

/// <summary>What the admin port serves, and the objects that its endpoints take.</summary>
internal static class AdminSetup
{
    public static void AddServices(IServiceCollection services, TollgateNode node) => services
        .AddSingleton(node.Clocks.Business)
        .AddSingleton(node.Database)
        .AddSingleton(node.Feed)
        .AddSingleton(node.Publisher)
        .AddSingleton(node.Keys)
        .AddSingleton(node.Config)
        .AddSingleton(node.Consumers)
        .AddSingleton(node.Customers)
        .AddSingleton(node.Subscriptions)
        .AddSingleton(node.Currency)
        .AddSingleton(node.Files)
        .AddSingleton(node.ConfigState)
        .AddSingleton(node.Billing)
        .AddSingleton(node.Drain)
        .AddSingleton(node.Table)
        .AddSingleton(new Explaining(node.Table, node.Keys, node.Journal))
        .AddSingleton(node.Calls)
        .AddSingleton(node.Intake)
        .AddSingleton(new EventRoom(EventRoom.MostBytes, node.Clocks.Machine))
        .AddSingleton(node.Counters)
        .AddSingleton(new InvoiceStore(node.Database))
        .AddSingleton(new AddOnStore(node.Database, node.Clocks.Business))
        .AddSingleton(new SubscriptionChanges(node.Database, node.Clocks.Business, node.Billing))
        .AddSingleton(new PaymentStore(node.Database, node.Clocks.Business))
        .AddSingleton(new PublisherStore(node.Database, node.Clocks.Business))
        .AddSingleton(new CreditNoteStore(node.Database, node.Clocks.Business))
        .AddSingleton(new GrantStore(node.Database, node.Clocks.Business))
        .AddSingleton(new CouponStore(node.Database, node.Clocks.Business))
        .AddSingleton(new CommitmentStore(node.Database, node.Clocks.Business))
        .AddSingleton<InvoiceLife>()
        .AddSingleton<SubscriptionViews>()
        .AddSingleton<SubscriptionChangeAnswers>()
        .AddSingleton(node.AdminTokens)
        .AddSingleton(node.Audit)
        .AddSingleton<IdempotentAnswers>()
        .AddSingleton<Representation>()
        .AddSingleton<AdminChanges>()
        .AddSingleton(new KeyMaking(node.Keys, node.Feed))
        .AddSingleton(new PlanPublishing(
            node.Publisher, node.Feed, node.Subscriptions, node.Currency, node.Clocks.Business));

    public static void Map(WebApplication app, TollgateNode node)
    {
        app.MapGet("/healthz", () => Results.Text("ok")).Needs(AdminScope.Anyone);
        app.MapGet("/readyz", () => node.Unready is { } trouble
            ? Results.Text(trouble, statusCode: StatusCodes.Status503ServiceUnavailable)
            : Results.Text(node.Impaired is { } impaired ? $"ready, but {impaired}" : "ready")).Needs(AdminScope.Anyone);
        app.MapMetrics("/metrics", node.Registry).Needs(AdminScope.Read);
        V1Api.Map(app);
        LedgerApi.Map(app.For(AdminScope.Admin), node.BackupAsync, node.ReplayAsync);
        if (node.Clocks.Business is TestClock clock) V1Api.MapTestClock(app, clock, node.WorkAsync);
        KongApi.Map(app.For(AdminScope.Config));
        // every path, also one with a dot, which MapFallback leaves out
        app.Map("/{**rest}", KongApi.NotFoundAsync).WithOrder(int.MaxValue).Needs(AdminScope.Read);
    }
}
