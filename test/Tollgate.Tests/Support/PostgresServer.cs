using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Npgsql;
using Tollgate.Storage;

namespace Tollgate.Tests.Support;

/// <summary>A real PostgreSQL of our own on a free port, gone with this process. It forgets at a power cut, which no test
/// makes; what it committed outlives its processes.</summary>
internal sealed class PostgresServer : IDisposable
{
    /// <summary>Why a test that needs it is skipped.</summary>
    public const string Missing = "PostgreSQL is not installed: dotnet dev.cs install";

    private const string Template = "tollgate_template";

    private static readonly string? s_programs = Directory.Exists("/usr/lib/postgresql")
        ? Directory.GetDirectories("/usr/lib/postgresql").Select(d => Path.Combine(d, "bin"))
            .Where(d => File.Exists(Path.Combine(d, "initdb"))).Order(StringComparer.Ordinal).LastOrDefault()
        : null;

    private static readonly Lazy<PostgresServer> s_shared = new(() =>
    {
        var server = new PostgresServer();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => server.Dispose();
        return server;
    });

    private readonly string _folder = Directory.CreateTempSubdirectory("tollgate-pg-").FullName;
    private readonly ConcurrentDictionary<string, string> _byFolder = new();
    private readonly Lock _turn = new();
    private int _made;

    private PostgresServer()
    {
        Port = Ports.Free();
        if (Environment.IsPrivilegedProcess) Run("chown", "postgres:", _folder);
        As("initdb", "-D", Data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync");
        Start();
        // migrated once, then copied for each test
        Sql($"create database {Template}");
        Database.Open(Of(Template)).DisposeAsync().AsTask().GetAwaiter().GetResult();
        NpgsqlConnection.ClearAllPools();
    }

    /// <summary>Whether this machine has PostgreSQL; tests that need it are skipped without.</summary>
    public static bool IsInstalled => s_programs is not null;

    /// <summary>One for all tests of this process.</summary>
    public static PostgresServer Shared => s_shared.Value;

    public int Port { get; }

    /// <summary>Of the process that all sessions are children of.</summary>
    public int Id => int.Parse(File.ReadLines(Path.Combine(Data, "postmaster.pid")).First(), CultureInfo.InvariantCulture);

    private string Data => Path.Combine(_folder, "data");

    /// <summary>One of its own, to be stopped or frozen.</summary>
    public static PostgresServer StartNew() => new();

    /// <summary>The database of a data folder: made empty when it is asked for first.</summary>
    public string For(string folder)
    {
        lock (_turn)
        {
            if (_byFolder.TryGetValue(folder, out var known)) return Of(known);
            foreach (var (old, gone) in _byFolder.Where(f => !Directory.Exists(f.Key)).ToArray())
            {
                Sql($"drop database {gone} with (force)");
                _byFolder.TryRemove(old, out _);
            }

            var name = $"t{++_made}";
            Sql($"create database {name} template {Template}");
            _byFolder[folder] = name;
            return Of(name);
        }
    }

    /// <summary>A database without any table.</summary>
    public string Empty() => Of(NewName());

    /// <summary>The name of one.</summary>
    public string NewName()
    {
        lock (_turn)
        {
            var name = $"t{++_made}";
            Sql($"create database {name}");
            return name;
        }
    }

    public void Sql(string sql, string database = "postgres")
    {
        using var connection = new NpgsqlConnection(Of(database) + ";Pooling=false");
        connection.Open();
        using var command = new NpgsqlCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    public string Of(string database) =>
        $"Host=127.0.0.1;Port={Port};Username=postgres;Database={database};Maximum Pool Size=10";

    public void Start() => As("pg_ctl", "-D", Data, "-w", "-s", "-l", Path.Combine(_folder, "log"), "-o",
        $"-p {Port} -k {_folder} -c listen_addresses=127.0.0.1 -c max_connections=400 -c fsync=off " +
        "-c full_page_writes=off", "start");

    /// <summary>As a crash does: no session ends in peace.</summary>
    public void Stop() => As("pg_ctl", "-D", Data, "-m", "immediate", "-w", "-s", "stop");

    /// <summary>SIGSTOP to the server and its sessions: connections stay open and nothing answers.</summary>
    public void Freeze() => SignalAll("STOP");

    public void Thaw() => SignalAll("CONT");

    public void Dispose()
    {
        if (!Directory.Exists(_folder)) return;
        try
        {
            Thaw();
            Stop();
        }
        catch (Exception e) when (e is InvalidOperationException or FileNotFoundException)
        {
            // stopped already
        }

        // beside us: of hundreds of databases it takes longer than the end of a test run may
        Run("sh", "-c", "rm -rf \"$0\" &", _folder);
    }

    private void SignalAll(string signal)
    {
        var main = File.ReadAllLines(Path.Combine(Data, "postmaster.pid"))[0];
        string[] children = Output("ps", "-o", "pid=", "--ppid", main)
            .Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        // that of a connection may have ended meanwhile
        Run("sh", "-c", $"kill -{signal} {main} && {{ kill -{signal} {string.Join(' ', children)}; true; }}");
    }

    private static void As(string program, params string[] arguments)
    {
        var path = Path.Combine(s_programs!, program);
        if (Environment.IsPrivilegedProcess) Run("runuser", ["-u", "postgres", "--", path, .. arguments]);
        else Run(path, arguments);
    }

    private static void Run(string program, params string[] arguments)
    {
        // pg_ctl's server would keep a pipe of ours open
        using var process = Process.Start(new ProcessStartInfo("/bin/sh",
            ["-c", "exec \"$0\" \"$@\" >/dev/null 2>&1 </dev/null", program, .. arguments]) { WorkingDirectory = "/" })!;
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: exit {process.ExitCode}");
    }

    private static string Output(string program, params string[] arguments)
    {
        using var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text;
    }
}
