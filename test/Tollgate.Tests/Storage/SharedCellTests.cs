using System.Globalization;
using Tollgate.Storage;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Storage;

/// <summary>Cells in a real Redis: whoever writes has seen all of it.</summary>
public sealed class SharedCellTests
{
    private const string Missing = "Redis is not installed: dotnet dev.cs install";
    private const string Key = "tollgate:{customer-1}:spent";

    public static bool IsInstalled => RedisServer.IsInstalled;

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task Nodes_that_decide_by_what_they_see_together_never_pass_a_sum_and_reach_it()
    {
        const int limit = 200;
        using var redis = RedisServer.Start();
        var taken = await Task.WhenAll(Enumerable.Range(0, 4).Select(n => TakeAsync(redis.Address, $"node{n}", limit)));
        Assert.Equal(limit, taken.Sum());
        await using var counters = await SharedCounters.OpenAsync(redis.Address, "looks");
        Assert.Equal(limit, Sum((await counters.ReadAsync(Key))!));
    }

    [Fact(Skip = Missing, SkipUnless = nameof(IsInstalled))]
    public async Task A_cell_that_was_lost_and_made_again_is_not_the_one_that_was_seen()
    {
        using var redis = RedisServer.Start();
        await using var counters = await SharedCounters.OpenAsync(redis.Address, "one");
        var absent = (await counters.ReadAsync(Key))!;
        Assert.Equal((false, 0L, ""), (absent.Written, absent.Version, absent.Generation));
        var first = new CellWrite(Key, "", 0) { NewGeneration = "a", Base = "of a", Node = "one", Share = "5" };
        Assert.Equal((true, 1L, "a"), Told(await counters.WriteAsync(first)));
        Assert.Equal((false, 1L, "a"), Told(await counters.WriteAsync(first)));

        redis.Stop();
        redis.Restart();
        await using var other = await SharedCounters.OpenAsync(redis.Address, "two");
        Assert.Equal((true, 1L, "b"), Told(await other.WriteAsync(first with { NewGeneration = "b", Base = "of b" })));
        // the number of the write is the same, the base is not
        var late = (await other.WriteAsync(new CellWrite(Key, "a", 1) { Node = "one", Share = "9" }))!;
        Assert.Equal((false, 1L, "b"), Told(late));
        Assert.Equal(("of b", "5"), (late.Base, late.Shares["one"]));

        // who knows the base is not told it again; a share goes with a new one
        Assert.Equal("", (await other.WriteAsync(new CellWrite(Key, "b", 7)))!.Base);
        var next = new CellWrite(Key, "b", 1) { NewGeneration = "c", Base = "of c", Dropped = ["one"] };
        Assert.Equal((true, 2L, "c"), Told(await other.WriteAsync(next)));
        Assert.Empty((await other.ReadAsync(Key))!.Shares);
    }

    private static (bool, long, string) Told(CellAnswer? answer) => (answer!.Written, answer.Version, answer.Generation);

    private static long Sum(CellAnswer cell) => cell.Shares.Values.Sum(s => long.Parse(s, CultureInfo.InvariantCulture));

    /// <summary>Takes one after the other as long as the sum of all is below the limit. After an answer that came too late the
    /// cell says whether it was written.</summary>
    private static async Task<int> TakeAsync(string address, string node, int limit)
    {
        while (true)
        {
            await using var counters = await SharedCounters.OpenAsync(address, node);
            var seen = await counters.ReadAsync(Key);
            while (seen is not null)
            {
                var taken = int.Parse(seen.Shares.GetValueOrDefault(node, "0"), CultureInfo.InvariantCulture);
                if (Sum(seen) >= limit) return taken;
                var write = new CellWrite(Key, seen.Generation, seen.Version) { Node = node, Share = $"{taken + 1}" };
                if (seen.Generation.Length == 0) write = write with { NewGeneration = node, Base = "of " + node };
                seen = await counters.WriteAsync(write) is { Written: false } other ? other : await counters.ReadAsync(Key);
            }
        }
    }
}
