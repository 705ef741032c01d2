using Microsoft.AspNetCore.Routing;
using Tollgate.Storage;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary>Our own admin API, one file for each resource.</summary>
public static class V1Api
{
    /// <summary>A resource is mapped for the scope that its changes ask for; reading asks for <c>read</c>. A route can
    /// say otherwise with <c>.Needs(…)</c>; one that says nothing is for <c>admin</c> alone.</summary>
    public static void Map(IEndpointRouteBuilder routes)
    {
        var config = routes.For(AdminScope.Config);
        var billing = routes.For(AdminScope.Billing);
        CatalogueApi.Map(config);
        ConfigApi.Map(config);
        KongImportApi.Map(config);
        ConsumersApi.Map(config);
        PlansApi.Map(config);
        PlanVersionsApi.Map(config);
        PlanMigrationApi.Map(billing);
        PricePreviewApi.Map(routes.For(AdminScope.Read));
        SimulationsApi.Map(routes.For(AdminScope.Read));
        ExplainApi.Map(routes.For(AdminScope.Read));
        CustomersApi.Map(billing);
        SubscriptionsApi.Map(billing);
        SubscriptionChangesApi.Map(billing);
        AddOnsApi.Map(billing);
        OverridesApi.Map(billing);
        BalancesApi.Map(billing);
        CustomerTermsApi.Map(billing);
        InvoiceLifeApi.Map(billing);
        PaymentsApi.Map(billing);
        CreditNotesApi.Map(billing);
        CreditsApi.Map(billing);
        CouponsApi.Map(billing);
        CommitmentsApi.Map(billing);
        PostingsApi.Map(billing);
        PublishersApi.Map(billing);
        InvoicesApi.Map(billing);
        BillingRunApi.Map(billing);
        UsageApi.Map(billing);
        EventsApi.Map(billing);
        SourcesApi.Map(billing);
        RemoteWriteApi.Map(billing);
        CallsApi.Map(billing);
        LinesApi.Map(billing);
        UnrecordedCallsApi.Map(billing);
        var admin = routes.For(AdminScope.Admin, AdminScope.Admin);
        AdminTokensApi.Map(admin);
        AuditLogApi.Map(admin);
        LeftOver.Map(routes);
    }

    /// <param name="routes">The admin port.</param>
    /// <param name="clock">Business time.</param>
    /// <param name="background">What a move of the clock waits for.</param>
    public static void MapTestClock(IEndpointRouteBuilder routes, TestClock clock, Func<Task> background) =>
        TestClockApi.Map(routes.For(AdminScope.Admin), clock, background);
}
