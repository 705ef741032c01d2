namespace Tollgate.Server;

/// <summary>What the command line ends with; scripts rely on it.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>Refused, or different from what was asked.</summary>
    public const int Refused = 1;

    /// <summary>The words of the command are off.</summary>
    public const int Usage = 2;

    /// <summary>The server does not answer.</summary>
    public const int Unreachable = 3;
}
