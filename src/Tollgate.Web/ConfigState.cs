using Tollgate.Catalog;

namespace Tollgate.Web;

/// <summary>What became of the file that this process watches, the last time that it was read; replaced whole.</summary>
/// <param name="File">Its name; null when the process was started without one.</param>
/// <param name="At">Business time, microseconds; null until a reload was tried.</param>
/// <param name="Outcome"><c>applied</c>, <c>unchanged</c> or <c>refused</c>.</param>
/// <param name="Problems">Why it was refused: all of it. What was applied before is in force.</param>
public sealed record Reloaded(string? File, long? At, string Outcome, IReadOnlyList<Problem> Problems);

/// <summary>Holds the last reload for whoever asks.</summary>
public sealed class ConfigState
{
    private volatile Reloaded _last = new(null, null, "unchanged", []);

    public Reloaded Last
    {
        get => _last;
        set => _last = value;
    }
}
