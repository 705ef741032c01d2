namespace Tollgate.Config.File;

/// <summary>What things may be called, and which name somebody may have meant.</summary>
internal static class Names
{
    public const int Longest = 63;

    private const int MostListed = 20;

    /// <summary>Letters, digits, '_' and '-', the first a letter or digit: such a name needs no quotes in YAML, no
    /// escape in a URL, and is never taken for a path.</summary>
    public static bool IsName(string text) =>
        text.Length is > 0 and <= Longest && char.IsAsciiLetterOrDigit(text[0])
        && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-');

    /// <summary>Whether the name of a field is one; when not, that is found.</summary>
    public static bool Check(Field field, string ofWhat, Findings findings)
    {
        if (IsName(field.Name)) return true;
        findings.Add(new(Code.BadName, $"{Quote.Of(field.Name)} cannot be the name of {ofWhat}: a name has 1 to " +
            $"{Longest} letters (a-z, A-Z), digits, '_' and '-', and begins with a letter or digit.",
            field.Value.Path, field.Place));
        return false;
    }

    /// <summary>The known names as a list that stays readable.</summary>
    public static string List(IReadOnlyCollection<string> known) => known.Count == 0 ? "none"
        : string.Join(", ", known.Take(MostListed))
            + (known.Count > MostListed ? $" and {known.Count - MostListed} more" : "");

    /// <summary>The known name that is written most alike, or null when none is near.</summary>
    /// <param name="patience">Falls with the work; at zero nothing more is compared.</param>
    public static string? Nearest(string name, IEnumerable<string> known, ref long patience)
    {
        if (name.Length is 0 or > Longest) return null;
        var lower = name.ToLowerInvariant();
        var (best, start, least) = ((string?)null, (string?)null, Math.Clamp(name.Length / 3, 1, 3) + 1);
        foreach (var candidate in known)
        {
            if (patience-- <= 0) break;
            if (name.Length >= 3 && candidate.StartsWith(name, StringComparison.OrdinalIgnoreCase)) start ??= candidate;
            if (Math.Abs(candidate.Length - name.Length) >= least) continue;
            var distance = Distance(lower, candidate.ToLowerInvariant(), least, ref patience);
            if (distance < least) (best, least) = (candidate, distance);
        }

        return best ?? start;
    }

    /// <summary>How many letters must be added, removed, changed, or swapped with their neighbour; <paramref
    /// name="bound"/> when it is that or more.</summary>
    private static int Distance(string a, string b, int bound, ref long patience)
    {
        var width = b.Length + 1;
        Span<int> before = stackalloc int[width], last = stackalloc int[width], row = stackalloc int[width];
        for (var j = 0; j <= b.Length; j++) last[j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            patience -= width;
            var least = row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                row[j] = Math.Min(last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), 1 + Math.Min(last[j], row[j - 1]));
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    row[j] = Math.Min(row[j], before[j - 2] + 1);
                least = Math.Min(least, row[j]);
            }

            if (least > bound) return bound;
            var free = before;
            before = last;
            last = row;
            row = free;
        }

        return Math.Min(last[b.Length], bound);
    }
}
