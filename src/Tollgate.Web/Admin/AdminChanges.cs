using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Primitives;
using Tollgate.Catalog;
using Tollgate.Config.Admin;
using Tollgate.Storage;

namespace Tollgate.Web.Admin;

/// <summary>
/// What holds for every change that comes over the admin port, whichever resource it is for: all that a request writes
/// is one transaction, and in it are its entry in the audit log and its answer, if it has an Idempotency-Key; an
/// <c>If-Match</c> is compared in it too. Answers to GET carry an ETag.
/// </summary>
public sealed class AdminChanges(
    Database database, IdempotentAnswers answers, AuditLog log, Representation representation)
{
    // what a listener could not be told after a commit; told before the next change
    private readonly ConcurrentQueue<Func<Task>> _owed = new();

    // of requests with one Idempotency-Key whose effect and answer are no one transaction, one at a time
    private readonly SemaphoreSlim[] _turns = [.. Enumerable.Range(0, 256).Select(_ => new SemaphoreSlim(1, 1))];

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var request = context.Request;
        if (context.Features.Get<AdminCaller>() is null || context.GetEndpoint()?.Metadata.GetMetadata<ChangesNothing>() is not null)
            await next(context);
        else if (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method))
            await TaggedAnswer.WriteAsync(context, next);
        else
            await ChangeAsync(context, next);
    }

    private async Task ChangeAsync(HttpContext context, RequestDelegate next)
    {
        var request = context.Request;
        var named = HttpMethods.IsPost(request.Method)
            ? await answers.ReadAsync(request, AdminCaller.Of(context).Name) : null;
        if (named is { Ok: false })
        {
            await Answers.Invalid(named.Problems).ExecuteAsync(context);
            return;
        }

        await TellOwedAsync();
        var alone = context.GetEndpoint()?.Metadata.GetMetadata<OwnTransactions>() is not null;
        var turn = alone && named is not null ? _turns[named.Value.NameHash[0]] : null;
        if (turn is not null) await turn.WaitAsync(context.RequestAborted);
        try
        {
            await ChangeAsync(context, next, named?.Value, alone);
        }
        finally
        {
            turn?.Release();
        }
    }

    private async Task ChangeAsync(HttpContext context, RequestDelegate next, NamedRequest? named, bool alone)
    {
        if (named is not null && await RepeatAsync(context, named)) return;
        var change = new Change(context, named, representation.Changed(context.Request));
        using var body = new MemoryStream();
        var given = alone ? await RunAloneAsync(change, next, body) : await RunAsync(change, next, body);
        if (given is null) return;

        // another request of this name may have been quicker, and this one refused for what that one has made
        if (given.Status >= 400 && named is not null && await RepeatAsync(context, named)) return;
        await WriteAsync(context, given);
    }

    /// <summary>The change as one transaction. Null: it was stopped and is answered.</summary>
    private async Task<GivenAnswer?> RunAsync(Change change, RequestDelegate next, MemoryStream body)
    {
        var context = change.Context;
        IReadOnlyList<Func<Task>> afterwards;
        GivenAnswer given;
        await using (var one = OneWrite.Begin(() => OpenAsync(change)))
        {
            try
            {
                given = await CaptureAsync(context, next, body);
            }
            catch (StoppedException stopped)
            {
                await one.DisposeAsync();
                context.Response.Clear();
                if (stopped.Answer is not null) await stopped.Answer.ExecuteAsync(context);
                else if (!await RepeatAsync(context, change.Named!))
                    throw new InvalidOperationException("The answer of an earlier request is gone.", stopped);
                return null;
            }

            if (one.IsOpen && given.Status < 300)
                given = await database.WriteAsync(async db => await RecordAsync(db, change, given, await AfterAsync(change, given)));
            afterwards = await one.CommitAsync();
        }

        await TellAsync(afterwards);
        return given;
    }

    private async Task<GivenAnswer> RunAloneAsync(Change change, RequestDelegate next, MemoryStream body)
    {
        change.Before = await BeforeAsync(change);
        if (!Matches(change)) return await CaptureAsync(change.Context, c => NotMatched().ExecuteAsync(c), body);
        var given = await CaptureAsync(change.Context, next, body);
        if (given.Status >= 300) return given;
        // read before the transaction, not in it: there it would wait for a connection while it holds the writers' turn
        var after = await AfterAsync(change, given);
        return await database.WriteAsync(db => RecordAsync(db, change, given, after));
    }

    /// <summary>The first thing in the transaction: whether the change may still be made.</summary>
    private async Task OpenAsync(Change change)
    {
        if (change.Named is { } named && await answers.FindAsync(named) is not null) throw new StoppedException();
        change.Before = await BeforeAsync(change);
        if (!Matches(change)) throw new StoppedException { Answer = NotMatched() };
    }

    private async Task<(byte[] Json, string Tag)?> BeforeAsync(Change change) =>
        change.Path is null ? null : await representation.ReadAsync(change.Context, change.Path);

    private static IResult NotMatched() => Answers.Refused(StatusCodes.Status412PreconditionFailed,
        [new Problem("not_as_expected", "It is not what If-Match says any more: read it again, and decide again.")]);

    private static bool Matches(Change change)
    {
        var wanted = change.Context.Request.Headers.IfMatch;
        if (wanted.Count == 0) return true;
        return change.Before is var (_, tag) && TaggedAnswer.Lists(wanted, tag);
    }

    /// <summary>Where what was changed is read, if anywhere.</summary>
    private static string? PlaceOf(Change change, GivenAnswer given) =>
        change.Path ?? (HttpMethods.IsDelete(change.Context.Request.Method) ? null : given.Location);

    private async Task<(byte[] Json, string Tag)?> AfterAsync(Change change, GivenAnswer given) =>
        PlaceOf(change, given) is { } path ? await representation.ReadAsync(change.Context, path) : null;

    private async Task<GivenAnswer> RecordAsync(
        System.Data.Common.DbConnection db, Change change, GivenAnswer given, (byte[] Json, string Tag)? after)
    {
        var context = change.Context;
        var deleted = HttpMethods.IsDelete(context.Request.Method);
        if (after is var (_, tag) && !deleted) given = given with { ETag = tag };
        var template = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? context.Request.Path;
        await log.AddAsync(db, AdminCaller.Of(context).Name, $"{context.Request.Method} {template}",
            PlaceOf(change, given) ?? context.Request.Path,
            (change.Before is var (before, _) ? Redaction.Of(before) : null,
                deleted && after is null ? null : Redaction.Of(after is var (now, _) ? now : given.Body)));
        if (change.Named is { } named) await answers.KeepAsync(db, named, given);
        return given;
    }

    private static async Task<GivenAnswer> CaptureAsync(HttpContext context, RequestDelegate next, MemoryStream body)
    {
        var outside = context.Response.Body;
        context.Response.Body = body;
        try
        {
            await next(context);
        }
        finally
        {
            context.Response.Body = outside;
        }

        var headers = context.Response.Headers;
        return new GivenAnswer(context.Response.StatusCode, context.Response.ContentType, Text(headers.Location),
            Text(headers.ETag), body.ToArray());

        static string? Text(StringValues value) => value.Count == 0 ? null : value.ToString();
    }

    /// <summary>Answers as before, when this request was answered before.</summary>
    private async Task<bool> RepeatAsync(HttpContext context, NamedRequest named)
    {
        if (await answers.FindAsync(named) is not { } found) return false;
        context.Response.Clear();
        if (!found.Ok)
        {
            await Answers.Refused(StatusCodes.Status422UnprocessableEntity, found.Problems).ExecuteAsync(context);
            return true;
        }

        context.Response.Headers["Idempotent-Replayed"] = "true";
        context.Response.ContentType = found.Value.ContentType;
        if (found.Value.Location is { } location) context.Response.Headers.Location = location;
        await WriteAsync(context, found.Value);
        return true;
    }

    private static async Task WriteAsync(HttpContext context, GivenAnswer given)
    {
        context.Response.StatusCode = given.Status;
        if (given.ETag is not null) context.Response.Headers.ETag = given.ETag;
        if (given.Body.Length > 0) await context.Response.Body.WriteAsync(given.Body);
    }

    private async Task TellOwedAsync()
    {
        var owed = new List<Func<Task>>();
        while (_owed.TryDequeue(out var work)) owed.Add(work);
        if (owed.Count > 0) await TellAsync(owed);
    }

    /// <summary>What is committed is committed: whom it could not be told to is told before the next change.</summary>
    private async Task TellAsync(IReadOnlyList<Func<Task>> works)
    {
        for (var i = 0; i < works.Count; i++)
        {
            try
            {
                await works[i]();
            }
            catch
            {
                foreach (var work in works.Skip(i)) _owed.Enqueue(work);
                throw;
            }
        }
    }

    private sealed class Change(HttpContext context, NamedRequest? named, string? path)
    {
        public HttpContext Context { get; } = context;

        public NamedRequest? Named { get; } = named;

        public string? Path { get; } = path;

        public (byte[] Json, string Tag)? Before { get; set; }
    }
}
