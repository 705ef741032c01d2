using Dapper;
using Tollgate.Metering;
using Tollgate.Tests.Billing;

namespace Tollgate.Tests.Metering;

/// <summary>What became of records from outside is kept to the letter, in little room.</summary>
public sealed class OutsideStampsTests
{
    [Theory]
    [InlineData(1, 0.1)]
    [InlineData(1_000, 3)]
    public async Task Stamps_are_read_back_as_they_were_and_take_at_most_three_bytes(int owners, double most)
    {
        await using var books = new Books();
        var random = new Random(1);
        var kept = new Dictionary<ulong, OutsideStamp>();
        var stamps = new OutsideStamps();
        for (var i = 0UL; i < UsageDrain.BatchSize; i++)
        {
            var owner = random.Next(owners);
            kept[(1UL << 40) + i * 3 / 2] = owner == 0 && owners > 1 ? (i % 2 == 0 ? OutsideStamp.Nothing : OutsideStamp.Nobodys)
                : new OutsideStamp(true, 1 + owner, -3 + owner % 7, owner);
        }

        foreach (var (sequence, stamp) in kept) stamps.Set(sequence, stamp);
        await books.Database.WriteAsync(db => stamps.AddAsync(db, 0xFFFF_FFFF));
        await books.Database.WriteAsync(db => OutsideStamps.AddLaterAsync(db,
            [(new UnattributedRow { Journal = 0xFFFF_FFFF, Sequence = 1L << 40 }, new Attributed(9, 8, 7, 0))]));
        kept[1UL << 40] = new OutsideStamp(true, 9, 8, 7);
        var read = await books.ReadAsync(db => OutsideStamps.ReadAsync(db, 0xFFFF_FFFF, (0, ulong.MaxValue)));
        Assert.Equal(kept.OrderBy(k => k.Key), read.OrderBy(k => k.Key));
        var bytes = await books.ReadAsync(db => db.ExecuteScalarAsync<long>("select length(stamps) from outside_stamps"));
        TestContext.Current.TestOutputHelper?.WriteLine($"{(double)bytes / kept.Count:0.00} bytes a record of {owners} owners");
        Assert.InRange((double)bytes / kept.Count, 0, most);
    }

    [Theory(Skip = Support.TestDatabase.NeedsTheFile, SkipType = typeof(Support.TestDatabase),
        SkipWhen = nameof(Support.TestDatabase.OnPostgres))]
    [InlineData("x'00'")]
    [InlineData("x'789c030000000001'")]
    [InlineData("x'789cffffffff0f'")]
    public async Task Stamps_that_are_damaged_are_named_and_nothing_is_made_of_them(string damage)
    {
        await using var books = new Books();
        await books.SqlAsync($"insert into outside_stamps (journal, first, next, stamps) values (1, 5, 9, {damage})");
        var refused = await Assert.ThrowsAsync<InvalidDataException>(() =>
            books.ReadAsync(db => OutsideStamps.ReadAsync(db, 1, (0, 100))));
        Assert.Contains("sequence 5", refused.Message, StringComparison.Ordinal);
    }
}
