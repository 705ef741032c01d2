using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/sources</c>: counters that are read from Prometheus, how each stands, and its series.</summary>
internal static class SourcesApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/sources", (CounterIntake counters) =>
            Answers.Ok(new { data = counters.Standing.Select(View).ToArray() }));
        routes.MapGet("/v1/sources/{name}", (string name, CounterIntake counters) => Find(counters, name) is { } found
            ? Answers.Ok(View(found)) : Answers.NotFound("source", name));
        routes.MapGet("/v1/sources/{name}/series", SeriesAsync);
    }

    private static CounterSourceStanding? Find(CounterIntake counters, string name) =>
        counters.Standing.FirstOrDefault(s => s.Source.Name == name);

    private static object View(CounterSourceStanding s) => new
    {
        name = s.Source.Name,
        prometheus = s.Source.Prometheus,
        series = s.Source.Series,
        meter = s.Source.Meter.Name,
        subject = s.Source.Subject,
        first_sample = s.Source.FirstSample.ToString().ToLowerInvariant(),
        known_series = s.Series,
        most_series = s.Source.MostSeries,
        read_to = s.ReadTo == 0 ? null : Micros.ToText(s.ReadTo),
        trouble = s.Trouble,
        since_start = new
        {
            samples = s.Tally.Samples,
            old = s.Tally.Old,
            resets = s.Tally.Resets,
            baselines = s.Tally.Baselines,
            refused = s.Tally.Refused,
            without_subject = s.Tally.Nobodys,
            too_many_series = s.Tally.TooMany,
        },
    };

    private static async Task<IResult> SeriesAsync(
        string name, HttpRequest request, CounterIntake counters, UsageDrain drain, Database database)
    {
        if (Paging.TryRead(request, out var paging) is { } fault) return fault;
        if (Find(counters, name) is not { } source) return Answers.NotFound("source", name);
        await drain.CatchUpAsync();
        var rows = await database.ReadAsync(db => CounterStore.PageAsync(db, name, paging.After, paging.Limit + 1));
        var scale = source.Source.Meter.Scale;
        return Answers.Page(rows, paging.Limit, r => new
        {
            key = r.Key,
            labels = JsonSerializer.Deserialize<JsonElement>(r.Labels),
            first_at = r.FirstAt == 0 ? null : Micros.ToText(r.FirstAt),
            last_at = r.At == 0 ? null : Micros.ToText(r.At),
            value = Text(r.Value, scale),
            counted = Text(r.Counted, scale),
            resets = r.Resets,
            reset_at = r.ResetAt == 0 ? null : Micros.ToText(r.ResetAt),
        }, r => r.Key);
    }

    private static string Text(long units, int scale) =>
        (units / (decimal)Math.Pow(10, scale)).ToString(CultureInfo.InvariantCulture);
}
