using Microsoft.AspNetCore.Routing;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>Our own admin API, one file for each resource.</summary>
public static class V1Api
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        CatalogueApi.Map(routes);
        CustomersApi.Map(routes);
        ConsumersApi.Map(routes);
        SubscriptionsApi.Map(routes);
        SubscriptionChangesApi.Map(routes);
        AddOnsApi.Map(routes);
        PlanVersionsApi.Map(routes);
        PricePreviewApi.Map(routes);
        UsageApi.Map(routes);
        EventsApi.Map(routes);
        InvoicesApi.Map(routes);
        CallsApi.Map(routes);
        LeftOver.Map(routes);
    }

    /// <param name="routes">The admin port.</param>
    /// <param name="clock">Business time.</param>
    /// <param name="background">What a move of the clock waits for.</param>
    public static void MapTestClock(IEndpointRouteBuilder routes, TestClock clock, Func<Task> background) =>
        TestClockApi.Map(routes, clock, background);
}
