using System.Text.RegularExpressions;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.House;

/// <summary>What the compiler does not see of how our code reads.</summary>
public sealed partial class TidyTests
{
    private const int MaxLines = 400, MaxColumns = 140;

    private static readonly string[] s_noRooms =
        ["Common", "Core", "Helpers", "Managers", "Services", "Shared", "Utilities", "Utils"];

    [Fact]
    public void Files_are_short_and_lines_are_shorter()
    {
        var wrong = from file in Sources("src", "bench", "test")
                    let lines = File.ReadAllLines(file)
                    from problem in Problems(lines)
                    select $"{Path.GetRelativePath(Repository.Root, file)}: {problem}";
        Assert.Empty(wrong);

        static IEnumerable<string> Problems(string[] lines)
        {
            if (lines.Length > MaxLines) yield return $"{lines.Length} lines";
            for (var i = 0; i < lines.Length; i++)
                if (lines[i].Length > MaxColumns) yield return $"line {i + 1} has {lines[i].Length} columns";
        }
    }

    [Fact]
    public void No_folder_or_type_is_named_for_nothing()
    {
        var folders = Directory.GetDirectories(Path.Combine(Repository.Root, "src"), "*", SearchOption.AllDirectories)
            .Where(f => s_noRooms.Contains(Path.GetFileName(f)));
        var types = Sources("src").SelectMany(f => EmptyNames().Matches(File.ReadAllText(f)).Select(m => m.Value));
        Assert.Empty(folders);
        Assert.Empty(types);
    }

    [Fact]
    public void No_binary_floating_point_comes_near_money()
    {
        var wrong = from file in Sources("src/Tollgate.Catalog", "src/Tollgate.Billing")
                    from line in File.ReadLines(file)
                    where FloatingPoint().IsMatch(line) && !line.TrimStart().StartsWith("//", StringComparison.Ordinal)
                    select $"{Path.GetFileName(file)}: {line.Trim()}";
        Assert.Empty(wrong);
    }

    [Fact]
    public void Every_room_and_every_decision_is_written_down()
    {
        var rooms = Directory.GetDirectories(Path.Combine(Repository.Root, "src"))
            .Where(r => !File.Exists(Path.Combine(r, "README.md"))).Select(Path.GetFileName);
        Assert.Empty(rooms);
        var list = File.ReadAllText(Path.Combine(Repository.Root, "docs", "decisions", "README.md"));
        var unlisted = Directory.GetFiles(Path.Combine(Repository.Root, "docs", "decisions"), "0*.md")
            .Select(f => Path.GetFileName(f)!).Where(f => !list.Contains(f, StringComparison.Ordinal));
        Assert.Empty(unlisted);
    }

    private static IEnumerable<string> Sources(params string[] folders) =>
        from folder in folders
        from file in Directory.GetFiles(Path.Combine(Repository.Root, folder), "*.cs", SearchOption.AllDirectories)
        where !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal)
        select file;

    [GeneratedRegex(@"(class|record|struct|interface) \w+(Manager|Helper|Helpers|Util|Utils|Processor|Impl)\b")]
    private static partial Regex EmptyNames();

    [GeneratedRegex(@"\b(double|float|Half)\b")]
    private static partial Regex FloatingPoint();
}
