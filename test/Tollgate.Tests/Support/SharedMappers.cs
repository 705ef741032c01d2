using System.Runtime.CompilerServices;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Tests.Support;

/// <summary>
/// Dapper compiles how a query is read once for each connection string. All databases of tests have the same tables, so one time for
/// each engine is enough: compiling it for each test took two fifths of their time.
/// </summary>
internal sealed class SharedMappers : IEqualityComparer<string>
{
    [ModuleInitializer]
    internal static void Share() => SqlMapper.ConnectionStringComparer = new SharedMappers();

    public bool Equals(string? x, string? y) =>
        x is null || y is null ? x is null && y is null : Database.IsServer(x) == Database.IsServer(y);

    public int GetHashCode(string obj) => Database.IsServer(obj) ? 1 : 0;
}
