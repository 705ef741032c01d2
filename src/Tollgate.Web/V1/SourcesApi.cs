using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Web.Admin;

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
        routes.MapPost("/v1/sources/{name}/release", ReleaseAsync).InOwnTransactions();
    }

    private static CounterSourceStanding? Find(CounterIntake counters, string name) =>
        counters.Standing.FirstOrDefault(s => s.Source.Name == name);

    private static object View(CounterSourceStanding s) => new
    {
        name = s.Source.Name,
        prometheus = s.Source.Prometheus,
        remote_write = s.Source.Prometheus is null,
        series = s.Source.Series,
        meter = s.Source.Meter.Name,
        subject = s.Source.Subject,
        first_sample = s.Source.FirstSample.ToString().ToLowerInvariant(),
        known_series = s.Series,
        most_series = s.Source.MostSeries,
        read_to = s.ReadTo == 0 ? null : Micros.ToText(s.ReadTo),
        trouble = s.Trouble,
        parked = s.Parked.Select(View),
        targets_without_start = s.WithoutStart,
        since_start = new
        {
            samples = s.Tally.Samples,
            old = s.Tally.Old,
            resets = s.Tally.Resets,
            baselines = s.Tally.Baselines,
            refused = s.Tally.Refused,
            stale = s.Tally.Stale,
            parked = s.Tally.Parked,
            without_subject = s.Tally.Nobodys,
            too_many_series = s.Tally.TooMany,
        },
    };

    private static object View(ParkedTarget p)
    {
        var named = p.Target.Split('\n');
        return new
        {
            job = named.Length == 2 ? named[0] : null,
            instance = named.Length == 2 ? named[1] : null,
            labels = named.Length == 2 ? (JsonElement?)null : JsonSerializer.Deserialize<JsonElement>(p.Target),
            at = Micros.ToText(p.At),
            why = p.Why,
        };
    }

    /// <summary>Counts parked targets again: all of them, or those of one instance.</summary>
    private static async Task<IResult> ReleaseAsync(string name, HttpRequest request, CounterIntake counters)
    {
        var fields = await Fields.ReadAsync(request);
        var (job, instance) = (fields.Text("job", max: 2_048), fields.Text("instance", max: 2_048));
        if (job is not null && instance is null) fields.Add("missing_field", "is required with a job", "instance");
        if (fields.Faults() is { } faults) return faults;
        if (Find(counters, name) is not { } source) return Answers.NotFound("source", name);
        var released = await counters.ReleaseAsync(source.Source, instance is null ? null : $"{job}\n{instance}");
        return Answers.Ok(new { released = released.Select(View) });
    }

    private static async Task<IResult> SeriesAsync(
        string name, HttpRequest request, CounterIntake counters, UsageDrain drain, Database database)
    {
        if (Paging.TryRead(request, out var paging) is { } fault) return fault;
        if (Find(counters, name) is not { } source) return Answers.NotFound("source", name);
        await drain.CatchUpAsync();
        var rows = await database.ReadAsync(db => CounterStore.PageAsync(db, name, paging.After, paging.Rows));
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
