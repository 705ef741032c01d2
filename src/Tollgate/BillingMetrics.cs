using Prometheus;
using Tollgate.Billing;

namespace Tollgate;

/// <summary>What the billing runs of this node did, as Prometheus sees it.</summary>
internal sealed class BillingMetrics(CollectorRegistry registry)
{
    private readonly Counter _issued = Metrics.WithCustomRegistry(registry).CreateCounter(
        "tollgate_invoices_issued_total", "Invoices that the runs of this node issued.");

    private readonly Gauge _parked = Metrics.WithCustomRegistry(registry).CreateGauge(
        "tollgate_billing_parked", "Subscriptions that are not invoiced until somebody has looked: GET /v1/billing_run.");

    private readonly Gauge _late = Metrics.WithCustomRegistry(registry).CreateGauge(
        "tollgate_late_usage", "Stretches and periods with usage too late for any invoice: GET /v1/late_usage.");

    // what was there at the start was told by whoever ran then
    private long? _told;

    /// <returns>How much usage came too late since the last time.</returns>
    public long Note(BillingReport report)
    {
        _issued.Inc(report.Issued);
        _parked.Set(report.ParkedCount);
        _late.Set(report.Late);
        var more = report.Late - (_told ?? report.Late);
        _told = report.Late;
        return more;
    }
}
