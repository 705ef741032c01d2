namespace Tollgate.Catalog;

/// <summary>
/// A rule said no. The code is public API: clients switch on it, so it never changes meaning. The detail says what
/// would be right.
/// </summary>
/// <param name="Field">The path of the field at fault, as <c>plans.pro.limits[0]</c>.</param>
/// <param name="Place">Where it stands in a file; none for a request.</param>
public sealed record Problem(string Code, string Detail, string? Field = null, Place? Place = null)
{
    public override string ToString()
    {
        var place = Place is { } p ? $"{p}: " : "";
        return Field is null ? $"{place}{Detail}" : $"{place}{Field}: {Detail}";
    }
}

/// <summary>A place in a file; lines and columns count from 1.</summary>
public sealed record Place(string File, int Line, int Column)
{
    public override string ToString() => $"{File}:{Line}:{Column}";
}

/// <summary>A value, or all the reasons why there is none. Read it with <c>if (!result.Ok)</c>.</summary>
public sealed class Result<T>
{
    private readonly T? _value;

    private Result(T? value, IReadOnlyList<Problem> problems) => (_value, Problems) = (value, problems);

    public IReadOnlyList<Problem> Problems { get; }

    public bool Ok => Problems.Count == 0;

    public T Value => Ok ? _value! : throw new InvalidOperationException("No value: " + string.Join("; ", Problems));

    public static implicit operator Result<T>(T value) => new(value, []);

    public static implicit operator Result<T>(Problem problem) => new(default, [problem]);

    /// <summary>A value for which there is no conversion, as null.</summary>
    public static Result<T> Of(T value) => new(value, []);

    public static Result<T> Refused(IReadOnlyList<Problem> problems) => new(default, problems);
}
