using System.Data.Common;
using Dapper;

namespace Tollgate.Metering;

/// <summary>The SQL of calls that were drained when they were let in and not yet when they ended.</summary>
internal static class OpenAdmissions
{
    public static async Task<IReadOnlyList<(ulong Sequence, Admission Admission)>> ReadAsync(DbConnection db, uint journal) =>
        (await db.QueryAsync<Row>(
            "select sequence, entitlement, period, consumer, operation, method, admitted_at from open_admissions " +
            "where journal = @id", new { id = (long)journal })).Select(r => ((ulong)r.Sequence, r.Admission)).ToArray();

    public static Task AddAsync(DbConnection db, uint journal, Dictionary<ulong, Admission> opened) => db.ExecuteAsync(
        "insert into open_admissions (journal, sequence, entitlement, period, consumer, operation, method, " +
        "admitted_at) values (@journal, @sequence, @Entitlement, @Period, @Consumer, @Operation, @Method, " +
        "@AdmittedAt)",
        opened.Select(o => new
        {
            journal = (long)journal,
            sequence = (long)o.Key,
            o.Value.Entitlement,
            o.Value.Period,
            o.Value.Consumer,
            o.Value.Operation,
            Method = (int)o.Value.Method,
            o.Value.AdmittedAt,
        }));

    public static Task CloseAsync(DbConnection db, uint journal, IEnumerable<ulong> closed) => db.ExecuteAsync(
        "delete from open_admissions where journal = @id and sequence = @sequence",
        closed.Select(sequence => new { id = (long)journal, sequence = (long)sequence }));

    private sealed record Row(
        long Sequence, long Entitlement, long Period, long Consumer, long Operation, long Method, long AdmittedAt)
    {
        public Admission Admission => new()
        {
            AdmittedAt = AdmittedAt,
            Entitlement = (int)Entitlement,
            Period = (int)Period,
            Consumer = (int)Consumer,
            Operation = (int)Operation,
            Credential = 0,
            Method = (byte)Method,
        };
    }
}
