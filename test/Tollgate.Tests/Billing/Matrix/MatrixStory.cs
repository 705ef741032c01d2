using System.Collections;

namespace Tollgate.Tests.Billing.Matrix;

/// <summary>One cell of the matrix: a subscription of a customer in a zone, who pays in a currency. The table is that of
/// <see cref="Story"/>; <c>use</c> takes a number of units, and prices are those of the meter <c>units</c>.</summary>
public sealed record MatrixStory(string Name, string Zone, string Currency, string Table);

/// <summary>The stories of one class, by name.</summary>
public sealed class MatrixStories : IEnumerable<TheoryDataRow<string>>
{
    private readonly List<MatrixStory> _stories = [];

    public IReadOnlyList<MatrixStory> All => _stories;

    public void Add(string name, string zone, string currency, string table) =>
        _stories.Add(new MatrixStory(name, zone, currency, table));

    public IEnumerator<TheoryDataRow<string>> GetEnumerator() =>
        _stories.Select(s => new TheoryDataRow<string>(s.Name)).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
