using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Config.File;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>/v1/config</c>: the configuration file, over HTTP. The body is the file itself, YAML or JSON.</summary>
internal static class ConfigApi
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/config", StateAsync);
        routes.MapGet("/v1/config/export", ExportAsync);
        routes.MapGet("/v1/config/schema", () => Results.Text(ConfigSchema.Text, "application/schema+json", Encoding.UTF8));
        routes.MapPost("/v1/config/diff", DiffAsync).Needs(AdminScope.Read).ChangesNothing();
        routes.MapPost("/v1/config/apply", ApplyAsync);
    }

    private static async Task<IResult> StateAsync(ConfigFiles files, ConfigState state)
    {
        var (stored, last) = (await files.StoredAsync(), state.Last);
        return Answers.Ok(new
        {
            file = stored?.Name,
            hash = stored?.Hash,
            currency = stored?.Currency,
            applied_by = stored?.AppliedBy,
            applied_at = stored is null ? null : Micros.ToText(stored.AppliedAt),
            watched = last.File,
            last_reload = last.At is not { } at ? null : new
            {
                at = Micros.ToText(at),
                outcome = last.Outcome,
                errors = last.Problems.Take(Answers.MaxFaults).Select(View),
                more_errors = Math.Max(0, last.Problems.Count - Answers.MaxFaults),
            },
        });
    }

    private static async Task<IResult> ExportAsync(HttpRequest request, ConfigFiles files)
    {
        if (await files.StoredAsync() is not { } stored)
            return Answers.Refused(StatusCodes.Status404NotFound, [new Problem("not_found",
                "No configuration file was applied here yet: what Kong's calls made is at /services, /routes and /plugins.")]);
        var json = request.Headers.Accept.ToString().Contains("json", StringComparison.OrdinalIgnoreCase);
        return json
            ? Results.Text(ConfigText.ToJson(stored.Text, stored.Name), "application/json", Encoding.UTF8)
            : Results.Text(stored.Text, "application/yaml", Encoding.UTF8);
    }

    private static async Task<IResult> DiffAsync(HttpRequest request, ConfigFiles files)
    {
        var (read, takeOver, wrong) = await ReadAsync(request);
        if (wrong is not null) return wrong;
        var change = await files.DiffAsync(read!.File, takeOver);
        return change.Ok ? Answers.Ok(View(change.Value)) : Refused(change.Problems);
    }

    private static async Task<IResult> ApplyAsync(HttpRequest request, ConfigFiles files)
    {
        var (read, takeOver, wrong) = await ReadAsync(request);
        if (wrong is not null) return wrong;
        var caller = AdminCaller.Of(request.HttpContext);
        if (caller.Lacks(AdminScope.Billing) is { } lacks && await MovesAnybodyAsync(files, read!, takeOver)) return lacks;
        var change = await files.ApplyAsync(read!, caller.Name, "POST /v1/config/apply", takeOver);
        return change.Ok ? Answers.Ok(View(change.Value)) : Refused(change.Problems);
    }

    /// <summary>Who pays what is more than what is published: running subscriptions would go by new prices.</summary>
    private static async Task<bool> MovesAnybodyAsync(ConfigFiles files, ReadConfig read, bool takeOver)
    {
        var change = await files.DiffAsync(read.File, takeOver);
        return change.Ok && change.Value.Moved > 0;
    }

    /// <summary>What the file says that cannot stand beside what is stored is a conflict.</summary>
    private static IResult Refused(IReadOnlyList<Problem> problems) =>
        Answers.Refused(StatusCodes.Status409Conflict, problems);

    private static async Task<(ReadConfig? Read, bool TakeOver, IResult? Wrong)> ReadAsync(HttpRequest request)
    {
        var takeOver = request.Query["take_over"].ToString();
        if (takeOver is not ("" or "true" or "false"))
            return (null, false, Answers.Invalid(new Problem("bad_value", "must be true or false", "take_over")));
        var name = request.Query["name"].ToString();
        if (name.Length > 200 || name.Any(c => char.IsControl(c) || c == '/'))
            return (null, false, Answers.Invalid(new Problem(
                "bad_value", "must be a file's name of at most 200 characters, without a path", "name")));
        if (name.Length == 0) name = "tollgate.yaml";
        using var reader = new StreamReader(request.Body, new UTF8Encoding(false, throwOnInvalidBytes: false));
        var text = await reader.ReadToEndAsync();
        var read = ConfigFileReader.Read(text, name);
        return read.Ok
            ? (new ReadConfig(name, text, read.Value), takeOver == "true", null)
            : (null, false, Answers.Invalid(read.Problems));
    }

    private static object View(Problem problem) => new
    {
        problem.Code,
        problem.Field,
        problem.Detail,
        problem.Place?.Line,
        problem.Place?.Column,
    };

    private static object View(ConfigChange change) => new
    {
        unchanged = change.Applied.IsUnchanged,
        added = change.Applied.Added.Select(View),
        changed = change.Applied.Changed.Select(View),
        removed = change.Applied.Removed.Select(View),
        plan_versions = change.Versions.Select(v => new
        {
            plan = v.Plan,
            version = v.After.Version,
            before = v.Before is null ? null : CatalogueApi.View(v.Before),
            after = CatalogueApi.View(v.After),
            running_subscriptions = v.Running,
            subscriptions = v.Moves switch
            {
                Migration.Now => "move to it now",
                Migration.Renewal => "move to it when what they have paid for is over",
                _ => "keep the version that they run on",
            },
        }),
    };

    private static object View(AppliedObject o) => new
    {
        o.Kind,
        o.Name,
        taken_from = o.TakenFrom is { } side ? ConfigStore.NameOf(side) : null,
        before = Parsed(o.Before),
        after = Parsed(o.After),
        fields = o is { Before: { } before, After: { } after } ? ConfigText.Differences(before, after) : [],
    };

    private static JsonElement? Parsed(string? json)
    {
        if (json is null) return null;
        using var document = JsonDocument.Parse(json);
        return document.RootElement.Clone();
    }
}
