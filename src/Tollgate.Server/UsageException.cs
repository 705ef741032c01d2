namespace Tollgate.Server;

/// <summary>A word of the command line cannot be read; the message names it and shows one that can.</summary>
internal sealed class UsageException : Exception
{
    public UsageException() { }

    public UsageException(string message) : base(message) { }

    public UsageException(string message, Exception inner) : base(message, inner) { }
}
