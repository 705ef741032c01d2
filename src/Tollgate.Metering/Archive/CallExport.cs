namespace Tollgate.Metering;

/// <summary>Writes calls with their names into a Parquet file, for whoever has no database at hand.</summary>
public static class CallExport
{
    /// <summary>A call and the names that its keys stand for.</summary>
    public readonly record struct Row(
        CallRecord Call, string RequestId, string? Customer, string? Subscription, string? Consumer, string? Credential,
        string Api, string Operation, string Endpoint)
    {
        /// <summary>Of an event the hash of its source and id, hexadecimal.</summary>
        public string? Event { get; init; }

        /// <summary>Of a counter the labels of its series.</summary>
        public string? Series { get; init; }

        /// <summary>A JSON object.</summary>
        public string? Dimensions { get; init; }
    }

    /// <summary>Columns as in the CSV; instants are timestamps of UTC.</summary>
    public static async Task WriteAsync(string path, IAsyncEnumerable<Row> rows)
    {
        using var db = DuckDb.Open(Path.GetDirectoryName(path)!);
        DuckDb.Run(db, "create table calls (request_id varchar, admitted_at bigint, customer varchar, subscription varchar, " +
            "consumer varchar, credential varchar, api varchar, operation varchar, endpoint varchar, method varchar, status usmallint, " +
            "billable boolean, quantity bigint, latency_us bigint, kind varchar, event varchar, series varchar, dimensions varchar)");
        using (var appender = db.CreateAppender("calls"))
        {
            await foreach (var row in rows)
            {
                var call = row.Call;
                appender.CreateRow()
                    .AppendValue(row.RequestId).AppendValue(call.At).AppendValue(row.Customer).AppendValue(row.Subscription)
                    .AppendValue(row.Consumer).AppendValue(row.Credential).AppendValue(row.Api).AppendValue(row.Operation)
                    .AppendValue(row.Endpoint).AppendValue(call.Method).AppendValue((ushort?)call.Status)
                    .AppendValue(call.Billable).AppendValue(call.Quantity).AppendValue(call.LatencyMicros)
                    .AppendValue(NameOf(call.Kind)).AppendValue(row.Event).AppendValue(row.Series).AppendValue(row.Dimensions).EndRow();
            }
        }

        DuckDb.Run(db, $"copy (select * replace (make_timestamptz(admitted_at) as admitted_at) from calls) to {DuckDb.Text(path)} " +
            "(format parquet, compression zstd)");
    }

    /// <summary>As the archive's column has it.</summary>
    public static string NameOf(CallKind kind) => kind switch
    {
        CallKind.Call => "call",
        CallKind.Measure => "measure",
        CallKind.Correction => "correction",
        CallKind.Event => "event",
        _ => "counter",
    };
}
