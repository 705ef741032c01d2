using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary>What an event was on record: of each meter that it feeds, whose, when and how much.</summary>
internal static class EventRecords
{
    public static async Task<IReadOnlyList<object>> ViewAsync(Database database, IReadOnlyList<CallRecord> records)
    {
        if (records.Count == 0) return [];
        var meters = (await database.ReadAsync(UsageStore.MetersAsync)).Values.ToDictionary(m => m.Key);
        var names = new Dictionary<int, CallNames>();
        var views = new List<object>();
        foreach (var record in records)
        {
            var meter = meters.GetValueOrDefault(record.Meter);
            if (!names.TryGetValue(record.Meter, out var of)) names[record.Meter] = of = new CallNames(database, meter);
            var view = await of.ViewAsync(record);
            views.Add(new
            {
                record = view.RequestId,
                meter = meter?.Name,
                counts = record.Billable,
                view.Quantity,
                at = view.AdmittedAt,
                view.Customer,
                view.Subscription,
                view.Consumer,
                view.Operation,
                view.Dimensions,
            });
        }

        return views;
    }
}
