namespace Tollgate.Bench;

/// <summary>The bench cannot go on; the message says why and is all that the reader needs.</summary>
internal sealed class BenchException(string message) : Exception(message);
