using Tollgate.Gateway;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>What is in a base and what is on top of it is told apart by the records of the journal.</summary>
public sealed class UnstoredTests
{
    private static readonly UsedRow s_calls = new(1, 0, "calls", 0), s_tokens = new(1, 0, "tokens", 0);

    [Fact]
    public void A_base_takes_what_is_before_its_position_and_nothing_else()
    {
        var of = new Unstored();
        // two calls that ended at once come in the other order than their records
        foreach (var (sequence, row, units) in
            ((ulong, UsedRow, decimal)[])[(10, s_calls, 1), (13, s_tokens, 0.5m), (12, s_calls, 2), (14, s_calls, 4)])
            of.Add(sequence, row, units);
        Assert.True(of.Forget(13));
        Assert.Equal(new() { [s_calls] = 4, [s_tokens] = 0.5m }, new Dictionary<UsedRow, decimal>(of.Sums));
        of.Add(15, s_tokens, -0.5m);
        Assert.Equal([s_calls], of.Sums.Keys);
        Assert.True(of.Forget(100));
        Assert.Empty(of.Sums);
    }

    [Fact]
    public void Of_very_many_none_is_lost_and_a_base_within_those_that_were_summed_up_counts_too_much_and_says_so()
    {
        const int calls = 3 * Unstored.Most;
        var of = new Unstored();
        for (var i = 0; i < calls; i++) of.Add((ulong)i, s_calls, 1);
        Assert.Equal(calls, of.Sums[s_calls]);
        Assert.False(of.Forget(100));
        Assert.Equal(calls, of.Sums[s_calls]);
        Assert.True(of.Forget(calls - 10));
        Assert.Equal(10, of.Sums[s_calls]);
    }
}
