using System.Globalization;
using System.Text.RegularExpressions;

namespace Tollgate.Bench;

/// <summary>The page that a long run writes. A page of the same day that says more stays.</summary>
internal static partial class ResultPage
{
    /// <summary>Writes the page into a folder, which is made. Where a page of the same name is of a longer run, the new one
    /// gets a number behind its name.</summary>
    /// <param name="folder">From the repository's root.</param>
    /// <param name="name">As <c>torture</c>; the day comes before it.</param>
    /// <param name="length">Runs, minutes, identities or records, as the page's command says them first.</param>
    /// <param name="text">Of the page.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>The file.</returns>
    public static async Task<string> WriteAsync(string folder, string name, double length, string text, CancellationToken stop)
    {
        var path = Directory.CreateDirectory(Repository.Path(folder)).FullName;
        var today = TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        for (var number = 1; ; number++)
        {
            var file = Path.Combine(path, $"{today}-{name}{(number == 1 ? "" : $"-{number}")}.md");
            if (File.Exists(file) && LengthOf(await File.ReadAllTextAsync(file, stop)) > length) continue;
            // whole, or as it was
            await File.WriteAllTextAsync(file + ".new", text, stop);
            File.Move(file + ".new", file, overwrite: true);
            return file;
        }
    }

    /// <summary>What the command on a page says; 0 for a page that says none.</summary>
    internal static double LengthOf(string page) => Command().Match(page) is { Success: true } found
        && double.TryParse(found.Groups[1].ValueSpan, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var length)
        ? length : 0;

    [GeneratedRegex(@"`dotnet dev\.cs \w+ --(?:runs|minutes|ids|records) ([0-9.]+)")]
    private static partial Regex Command();
}
