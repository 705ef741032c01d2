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

    [Fact]
    public async Task Stamps_of_a_batch_go_with_the_last_file_of_the_archive_that_holds_a_part_of_it()
    {
        await using var books = new Books();
        var files = Enumerable.Range(0, 3).Select(i => new ArchiveFile
        {
            Journal = 7,
            First = 10UL * (ulong)i,
            Next = 10UL * (ulong)(i + 1),
            Boot = 1,
            Bytes = 1,
            Checksum = "x",
            Records = 10,
            Holes = 0,
            Calls = 0,
            Quantity = 0,
            MinAt = i,
            MaxAt = i,
        }).ToArray();
        foreach (var (first, last) in ((ulong, ulong)[])[(1, 8), (8, 11), (12, 19), (28, 31)])
        {
            var stamps = new OutsideStamps();
            stamps.Set(first, OutsideStamp.Nobodys);
            stamps.Set(last, OutsideStamp.Nobodys);
            await books.Database.WriteAsync(db => stamps.AddAsync(db, 7));
        }

        foreach (var file in files) await books.Database.WriteAsync(db => ArchiveStore.AddAsync(db, file, 1));
        Assert.Equal([8, 12, 28], await LeftAfterAsync(files[0]));
        Assert.Equal([28], await LeftAfterAsync(files[1]));
        // a part of it is in the journal still
        Assert.Equal([28], await LeftAfterAsync(files[2]));

        async Task<IEnumerable<long>> LeftAfterAsync(ArchiveFile gone)
        {
            await books.Database.WriteAsync(db => ArchiveStore.DeleteAsync(db, gone, 2));
            return await books.ReadAsync(db => db.QueryAsync<long>("select first from outside_stamps order by first"));
        }
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
