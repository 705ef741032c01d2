using System.Data;
using System.Data.Common;
using System.Diagnostics.CodeAnalysis;

namespace Tollgate.Storage;

/// <summary>
/// A connection over which the same statements run many times: each is prepared once, and its command kept until the
/// connection is done. For SQLite, whose driver prepares each new command anew; on PostgreSQL it saves next to nothing. It
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
    private sealed class Repeated(RepeatingConnection connection, DbCommand inner) : CommandBefore(connection, inner)
    {
        private readonly RepeatingConnection _connection = connection;
        private bool _taken;

        protected override void Dispose(bool disposing)
        {
            // one that is given back is not at its end
            if (disposing && _taken) _connection.GiveBack(Inner);
            else base.Dispose(disposing);
        }

        protected override DbCommand Ready()
        {
            if (!_taken) Inner = _connection.Take(Inner);
            _taken = true;
            return Inner;
        }
    }
}
