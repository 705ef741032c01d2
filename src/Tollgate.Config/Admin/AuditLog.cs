using System.Data.Common;
using Dapper;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Config.Admin;

/// <summary>Names ids of entries of the audit log: <c>aud_…</c>.</summary>
public sealed class AuditEntry : IIdentified
{
    public static string IdPrefix => "aud";
}

/// <summary>One change: who, what, before and after.</summary>
/// <param name="Actor">The name of a token; <c>root</c>, <c>loopback</c> or <c>file</c>.</param>
/// <param name="Action">The method and the path template, as <c>POST /v1/subscriptions/{id}/cancel</c>.</param>
/// <param name="Resource">The path of what was changed.</param>
/// <param name="Before">JSON without secrets; null for what was not there.</param>
/// <param name="After">JSON without secrets; null for what is gone.</param>
public sealed record AuditRow(
    long Key, string Id, long At, string Actor, string Action, string Resource, string? Before, string? After);

/// <summary>What is asked of the log; null leaves a field open.</summary>
/// <param name="Resource">A path; what stands below it too.</param>
/// <param name="From">From this instant on, microseconds UTC.</param>
/// <param name="To">Before this instant.</param>
public sealed record AuditQuery(string? Actor, string? Action, string? Resource, long? From, long? To);

/// <summary>The SQL of the audit log: entries are added in the transaction of their change, and never changed.</summary>
public sealed class AuditLog(Database database, TimeProvider clock)
{
    /// <summary>Characters of a document in the log, at most; a longer one is replaced by its length.</summary>
    public const int MaxDocument = 256 * 1024;

    public Task AddAsync(
        DbConnection db, string actor, string action, string resource, (string? Before, string? After) documents) =>
        db.ExecuteAsync(
            "insert into audit_log (id, at, actor, action, resource, before_state, after_state) " +
            "values (@id, @at, @actor, @action, @resource, @before, @after)",
            new
            {
                id = Id<AuditEntry>.New(clock).ToString(),
                at = Micros.Now(clock),
                actor,
                action,
                resource,
                before = Bounded(documents.Before),
                after = Bounded(documents.After),
            });

    /// <summary>The newest first, before the key given.</summary>
    public Task<IReadOnlyList<AuditRow>> ListAsync(AuditQuery query, long before, int limit) =>
        database.ReadAsync<IReadOnlyList<AuditRow>>(async db => (await db.QueryAsync<AuditRow>(
            "select key, id, at, actor, action, resource, before_state as before, after_state as after " +
            "from audit_log where key < @before " +
            "and (@Actor is null or actor = @Actor) and (@Action is null or action = @Action) " +
            "and (@Resource is null or resource = @Resource or substr(resource, 1, length(@Below)) = @Below) " +
            "and (@From is null or at >= @From) and (@To is null or at < @To) order by key desc limit @limit",
            new
            {
                before,
                limit,
                query.Actor,
                query.Action,
                query.Resource,
                Below = query.Resource + "/",
                query.From,
                query.To,
            })).AsList());

    private static string? Bounded(string? document) => document is { Length: > MaxDocument }
        ? $$"""{"too_large":{{document.Length}}}""" : document;
}
