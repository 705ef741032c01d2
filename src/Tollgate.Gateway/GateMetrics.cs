using System.Collections.Concurrent;
using Prometheus;
using Tollgate.Catalog;
using Tollgate.Gateway.Cost;

namespace Tollgate.Gateway;

/// <summary>
/// The series for operations (never for money): <c>api_requests_total</c> and <c>api_request_duration_seconds</c> by
/// consumer, endpoint and method for admitted calls, and refusals by verdict. Labels are bounded: the first consumers
/// seen keep their name for the life of the process, the rest is <c>other</c>.
/// </summary>
public sealed class GateMetrics
{
    private const int Nobody = -1;

    /// <summary>How many consumers have series of their own.</summary>
    public const int NamedConsumers = 1_000;

    private readonly ConcurrentDictionary<Place, Series> _series = new();
    private readonly ConcurrentDictionary<int, byte> _named = new();
    private readonly Counter _requests;
    private readonly Histogram _durations;
    private readonly Counter.Child[] _refusals;
    private readonly Counter _stale;
    private readonly Counter.Child[] _unitFaults;
    private readonly Counter _overrun;
    private readonly Counter _unrecorded;
    private readonly Counter _freeRetries;
    private readonly Counter _freeRetriesForgotten;
    private volatile int _namedCount;

    public GateMetrics(CollectorRegistry registry)
    {
        // a number in a series leads to no single call, so none is looked for
        var metrics = Metrics.WithCustomRegistry(registry);
        metrics.ExemplarBehavior = ExemplarBehavior.NoExemplars();
        string[] labels = ["consumer_id", "endpoint", "method"];
        _requests = metrics.CreateCounter("api_requests_total", "Calls that the gate admitted.", labels);
        _durations = metrics.CreateHistogram(
            "api_request_duration_seconds", "From the arrival of an admitted call to the end of its answer.", labels,
            new HistogramConfiguration { Buckets = [.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30] });
        var refused = metrics.CreateCounter(
            "tollgate_refusals_total", "Calls that were not forwarded or not answered, by verdict.", "verdict");
        var faults = metrics.CreateCounter(
            "tollgate_units_not_counted_total", "Units of meters that an upstream told wrongly or not at all, by reason.",
            "reason");
        _overrun = metrics.CreateCounter("tollgate_overrun_units_total",
            "Units that calls used beyond what was set aside for them and quotas or balances had room for; not billed.", "meter");
        _unrecorded = metrics.CreateCounter("tollgate_unrecorded_calls_total",
            "Calls that passed though they could not be written down, by plan (metering: open). Nobody is billed for them.", "plan");
        _freeRetries = metrics.CreateCounter(
            "tollgate_free_retries_total", "Repetitions of broken calls that were let through for nothing, by Idempotency-Key.");
        _freeRetriesForgotten = metrics.CreateCounter("tollgate_free_retries_forgotten_total",
            $"Broken calls that can no longer be repeated for nothing, because {FreeRetries.Most} newer ones are remembered.");
        _stale = metrics.CreateCounter("tollgate_stale_calls_total",
            "Calls decided while this node did not hear what others change, by what their plan says.", "choice");
        _unitFaults = Enum.GetValues<UnitFault>().Select(f => faults.WithLabels(NameOf(f))).ToArray();
        _refusals = Enum.GetValues<Verdict>().Select(v => refused.WithLabels(VerdictForm.Of(v).Code)).ToArray();
    }

    /// <summary>Shows when limits by address no longer tell every caller from the others.</summary>
    public static void Watch(CollectorRegistry registry, AddressBudget addresses)
    {
        var metrics = Metrics.WithCustomRegistry(registry);
        var counted = metrics.CreateGauge(
            "tollgate_limit_addresses", "Client addresses that limits by ip count each for itself (--max-addresses is the most).");
        var shared = metrics.CreateCounter("tollgate_limit_addresses_shared_total",
            "Calls from addresses beyond the most (--max-addresses), which share one count in their subscription.");
        registry.AddBeforeCollectCallback(() =>
        {
            counted.Set(addresses.Counted);
            shared.IncTo(addresses.Shared);
        });
    }

    /// <summary>Units that an upstream told, or should have, and that were not counted.</summary>
    public void UnitFault(UnitFault fault) => _unitFaults[(int)fault].Inc();

    internal void Overrun(string meter, double units) => _overrun.WithLabels(meter).Inc(units);

    internal void Unrecorded(string plan) => _unrecorded.WithLabels(plan).Inc();

    internal void FreeRetry() => _freeRetries.Inc();

    internal void FreeRetryForgotten() => _freeRetriesForgotten.Inc();

    /// <summary>A call that was decided by what may be out of date.</summary>
    public void Stale(bool closed) => _stale.WithLabels(closed ? "closed" : "open").Inc();

    public void Refused(Verdict verdict) => _refusals[(int)verdict].Inc();

    public void Observe(GateCall call, string method, TimeSpan duration)
    {
        var consumer = call.Decision.Consumer!;
        var code = MethodCode.Of(method);
        var place = new Place(IsNamed(consumer) ? consumer.Key : Nobody, call.Operation!.Key, code);
        if (!_series.TryGetValue(place, out var series))
            series = _series.GetOrAdd(
                place, SeriesOf(place.Consumer == Nobody ? "other" : consumer.Username, call.Operation, code));
        series.Requests.Inc();
        series.Durations.Observe(duration.TotalSeconds);
    }

    private static string NameOf(UnitFault fault) => fault switch
    {
        Cost.UnitFault.UnknownMeter => "unknown_meter",
        Cost.UnitFault.ContentType => "content_type",
        _ => fault.ToString().ToLowerInvariant(),
    };

    /// <summary>A place among the named, while there are any; once given it is kept.</summary>
    private bool IsNamed(ConsumerEntry consumer)
    {
        if (consumer.IsNameless) return false;
        if (_named.ContainsKey(consumer.Key)) return true;
        if (_namedCount < NamedConsumers)
        {
            lock (_named)
            {
                if (_namedCount < NamedConsumers && _named.TryAdd(consumer.Key, 0)) _namedCount++;
                if (_named.ContainsKey(consumer.Key)) return true;
            }
        }

        // whoever calls without a key is the same for all nodes of a process
        consumer.IsNameless = !ReferenceEquals(consumer, ConsumerEntry.Anonymous);
        return false;
    }

    private Series SeriesOf(string consumer, CompiledOperation operation, byte method)
    {
        string[] labels = [consumer, operation.Endpoint, MethodCode.NameOf(method)];
        return new Series(_requests.WithLabels(labels), _durations.WithLabels(labels));
    }

    /// <summary>Operations of one endpoint have places of their own, and share its series.</summary>
    private readonly record struct Place(int Consumer, int Operation, byte Method)
    {
        // cheaper than what a record has, and spread well enough: the keys count up
        public override int GetHashCode() => (Consumer * 486_187_739) ^ (Operation * 16) ^ Method;
    }

    private sealed record Series(Counter.Child Requests, Histogram.Child Durations);
}
