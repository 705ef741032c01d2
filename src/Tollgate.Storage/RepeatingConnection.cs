using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

namespace Tollgate.Storage;

/// <summary>
/// A connection over which the same statements run many times: each is prepared once, and its command kept until the
/// connection is done. For SQLite, whose driver prepares each new command anew; PostgreSQL's keeps statements by itself. It
/// neither opens nor closes what it stands before.
/// </summary>
public sealed class RepeatingConnection(DbConnection inner) : DbConnection
{
    /// <summary>Statements that are kept; with more the new ones are not.</summary>
    private const int Most = 200;

    private readonly Dictionary<string, DbCommand> _ready = new(StringComparer.Ordinal);

    [AllowNull]
    public override string ConnectionString
    {
        get => inner.ConnectionString;
        set => throw new NotSupportedException("The connection is open already.");
    }

    public override string Database => inner.Database;

    public override string DataSource => inner.DataSource;

    public override string ServerVersion => inner.ServerVersion;

    public override ConnectionState State => inner.State;

    public override void ChangeDatabase(string databaseName) => inner.ChangeDatabase(databaseName);

    public override void Open() { }

    public override void Close() { }

    protected override DbTransaction BeginDbTransaction(IsolationLevel isolationLevel) => inner.BeginTransaction(isolationLevel);

    protected override DbCommand CreateDbCommand() => new Repeated(this, inner.CreateCommand());

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            foreach (var command in _ready.Values) command.Dispose();
        _ready.Clear();
        base.Dispose(disposing);
    }

    /// <summary>Takes over the text and the parameters of a new command: those of one that ran the text before, when there
    /// is one.</summary>
    private DbCommand Take(DbCommand asked)
    {
        if (!_ready.Remove(asked.CommandText, out var ready)) return asked;
        ready.Parameters.Clear();
        var parameters = asked.Parameters.Cast<DbParameter>().ToArray();
        asked.Parameters.Clear();
        foreach (var parameter in parameters) ready.Parameters.Add(parameter);
        asked.Dispose();
        return ready;
    }

    private void GiveBack(DbCommand command)
    {
        if (command.CommandText.Length == 0 || _ready.Count >= Most || !_ready.TryAdd(command.CommandText, command))
            command.Dispose();
    }

    /// <summary>A command that becomes the one that ran its text before.</summary>
    private sealed class Repeated(RepeatingConnection connection, DbCommand inner) : DbCommand
    {
        private DbCommand _inner = inner;
        private bool _taken;

        [AllowNull]
        public override string CommandText
        {
            get => _inner.CommandText;
            set => _inner.CommandText = value;
        }

        public override int CommandTimeout
        {
            get => _inner.CommandTimeout;
            set => _inner.CommandTimeout = value;
        }

        public override CommandType CommandType
        {
            get => _inner.CommandType;
            set => _inner.CommandType = value;
        }

        public override bool DesignTimeVisible { get; set; }

        public override UpdateRowSource UpdatedRowSource
        {
            get => _inner.UpdatedRowSource;
            set => _inner.UpdatedRowSource = value;
        }

        protected override DbConnection? DbConnection
        {
            get => connection;
            set
            {
                if (!ReferenceEquals(value, connection))
                    throw new NotSupportedException("A command stays on the connection that made it.");
            }
        }

        protected override DbParameterCollection DbParameterCollection => _inner.Parameters;

        protected override DbTransaction? DbTransaction
        {
            get => _inner.Transaction;
            set => _inner.Transaction = value;
        }

        public override void Cancel() => _inner.Cancel();

        public override void Prepare() => Ready().Prepare();

        public override int ExecuteNonQuery() => Ready().ExecuteNonQuery();

        public override object? ExecuteScalar() => Ready().ExecuteScalar();

        public override Task<int> ExecuteNonQueryAsync(CancellationToken cancellationToken) =>
            Ready().ExecuteNonQueryAsync(cancellationToken);

        public override Task<object?> ExecuteScalarAsync(CancellationToken cancellationToken) =>
            Ready().ExecuteScalarAsync(cancellationToken);

        protected override DbParameter CreateDbParameter() => _inner.CreateParameter();

        protected override DbDataReader ExecuteDbDataReader(CommandBehavior behavior) => Ready().ExecuteReader(behavior);

        protected override Task<DbDataReader> ExecuteDbDataReaderAsync(
            CommandBehavior behavior, CancellationToken cancellationToken) =>
            Ready().ExecuteReaderAsync(behavior, cancellationToken);

        protected override void Dispose(bool disposing)
        {
            if (disposing && _taken) connection.GiveBack(_inner);
            else if (disposing) _inner.Dispose();
            base.Dispose(disposing);
        }

        private DbCommand Ready()
        {
            if (!_taken) _inner = connection.Take(_inner);
            _taken = true;
            return _inner;
        }
    }
}
