using Tollgate.Billing;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Web.V1;

/// <summary>Adds up what stands behind a line of an invoice, as its meter does, beside what line and rollups say.</summary>
internal sealed class LineSums(LineUsage usage, InvoiceLine line, decimal rollups, IReadOnlyList<object> elsewhere)
{
    private readonly HashSet<long> _values = [];
    private Tally _tally;

    public void Add(CallRecord call)
    {
        var unique = usage.Meter.Aggregation == Aggregation.UniqueCount;
        if (unique && _values.Count < UsageStore.MaxValues) _values.Add(call.Quantity);
        // what is taken back was a measurement before
        var items = call.Kind == CallKind.Correction ? 0 : 1;
        _tally = _tally.With(usage.Meter.Aggregation, new Tally(call.Quantity, items, call.At));
    }

    public object With(IReadOnlyList<CallView> shown, bool more)
    {
        var found = usage.Meter.Aggregation == Aggregation.UniqueCount ? _values.Count : usage.Meter.ValueOf(_tally);
        return new
        {
            data = shown,
            quantity = DecimalText.Of(found),
            rollup_quantity = DecimalText.Of(rollups),
            line_quantity = line.NewQuantity ?? line.Quantity,
            complete = found == rollups,
            missing_journals = found == rollups ? [] : elsewhere,
            has_more = more,
        };
    }
}
