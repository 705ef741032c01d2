using CsCheck;
using Tollgate.Config.File;

namespace Tollgate.Tests.Config;

/// <summary>Whatever the text is, the reader answers a file or problems with places; it never throws.</summary>
public sealed class ConfigFileFuzzTests
{
    private static readonly string s_good =
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Config", "good", "market-data.yaml"));

    private static readonly string[] s_pieces =
    [
        "\n", "  ", "\t", ":", ": ", "- ", "[", "]", "{", "}", ",", "\"", "'", "#", " #", "&a ", "*a", "!", "!!str ",
        "|\n", ">\n", "?", "? ", "---\n", "...\n", "%", "@", "`", "~", "null", "true", "-1", "1e9", "0x1", "_", "*",
        "/", "\\", "\r", "\r\n", "\u0000", "\u0085", "\u2028", "\uFEFF", "\uD800", "é", "🚦", "<<: ", "pro",
        "extends: pro", "\"*\"", "%YAML 9.9\n", "version: 1\n", "prices:", "where: ", "9999999999999999999999",
        new string(' ', 200), new string('[', 70),
    ];

    private static readonly Gen<string> s_piece = Gen.Int[0, s_pieces.Length - 1].Select(i => s_pieces[i]);

    private static readonly Gen<(int Kind, int At, int Length, string Piece)> s_mutations =
        Gen.Select(Gen.Int[0, 4], Gen.Int[0, s_good.Length], Gen.Int[1, 30], s_piece);

    [Fact]
    public void A_file_with_random_changes_is_read_or_refused() =>
        s_mutations.Array[1, 6].Sample(mutations => Holds(mutations.Aggregate(s_good, Mutate)), iter: 20_000);

    [Fact]
    public void Random_pieces_of_yaml_are_read_or_refused() =>
        s_piece.Array[0, 40].Sample(pieces => Holds(string.Concat(pieces)), iter: 20_000);

    [Fact]
    public void Random_text_is_read_or_refused() => Gen.String.Sample(Holds, iter: 5_000);

    [Fact]
    public void A_file_that_ends_anywhere_is_read_or_refused()
    {
        for (var length = 0; length <= s_good.Length; length++) Holds(s_good[..length]);
    }

    private static void Holds(string text)
    {
        var read = ConfigFileReader.Read(text, "f.yaml");
        if (read.Ok)
        {
            Assert.NotNull(ConfigFileTests.Dump(read.Value));
            return;
        }

        foreach (var problem in read.Problems)
        {
            Assert.NotEmpty(problem.Code);
            Assert.NotEmpty(problem.Detail);
            Assert.True(problem.Place is { Line: >= 1, Column: >= 1 }, $"{problem} has no place");
        }
    }

    private static string Mutate(string text, (int Kind, int At, int Length, string Piece) m)
    {
        var at = Math.Min(m.At, text.Length);
        var length = Math.Min(m.Length, text.Length - at);
        return m.Kind switch
        {
            0 => text.Remove(at, length),
            1 => text.Insert(at, m.Piece),
            2 => text.Remove(at, length).Insert(at, m.Piece),
            3 => text.Insert(at, text.Substring(at, length)),
            _ => text.Insert(Math.Min(m.Length * 20, text.Length), text.Substring(at, length)),
        };
    }
}
