using System.Security.Cryptography;
using Tollgate.Catalog;
using Tollgate.Gateway;

namespace Tollgate.Tests.Gateway;

/// <summary>The tables that hold a million keys and their consumers.</summary>
public sealed class KeyTableTests
{
    private static readonly ConsumerEntry s_consumer = new(7, "con", "fred", null);

    [Fact]
    public void A_key_is_found_by_its_hash_however_many_came_and_went_around_it()
    {
        var (table, there, random) = (new KeyTable(), new Dictionary<int, CredentialEntry>(), new Random(1));
        for (var step = 0; step < 200_000; step++)
        {
            // few hashes begin alike, so that chains form, meet and go
            var number = random.Next(2_000);
            if (random.Next(3) > 0) table.Put(there[number] = Entry(number));
            else if (there.Remove(number, out var gone)) table.Remove(gone);
            if (step % 997 != 0) continue;
            Assert.Equal(there.Count, table.Count);
            for (var n = 0; n < 2_000; n++) Assert.Same(there.GetValueOrDefault(n), table.Find(HashOf(n)));
        }
    }

    [Fact]
    public void An_entry_that_has_come_into_the_place_of_another_is_not_taken_out_with_it()
    {
        var (table, before, after) = (new KeyTable(), Entry(1), Entry(1));
        table.Put(before);
        table.Put(after);
        table.Remove(before);
        Assert.Same(after, table.Find(HashOf(1)));
    }

    [Fact]
    public void Keys_that_stay_are_never_missed_while_others_come_and_go_and_the_table_grows()
    {
        var table = new KeyTable();
        for (var n = 0; n < 100; n++) table.Put(Entry(n));
        using var stop = new CancellationTokenSource();
        var missed = 0;
        var reader = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
                for (var n = 0; n < 100; n++)
                    if (table.Find(HashOf(n)) is null) missed++;
        });
        reader.Start();
        for (var round = 0; round < 20; round++)
        {
            var others = Enumerable.Range(1_000, 1_000 * (1 + (round % 5))).Select(Entry).ToArray();
            foreach (var other in others) table.Put(other);
            foreach (var other in others) table.Remove(other);
        }

        stop.Cancel();
        reader.Join();
        Assert.Equal(0, missed);
    }

    [Fact]
    public void An_id_is_told_as_it_was_written_whatever_form_it_has()
    {
        string[] ids =
        [
            Id<Credential>.New(TimeProvider.System).ToString(), "0198f2c1-7c3b-7d5e-9a51-0f2d3c4b5a69",
            "KEY_0198f2c17c3b7d5e9a510f2d3c4b5a69", "key_0198F2C17C3B7D5E9A510F2D3C4B5A69", "key_1", "", "anonymous",
        ];
        foreach (var id in ids)
        {
            Assert.Equal(id, CredentialEntry.New(1, default, id, s_consumer, false, 0, null).Id);
            Assert.Equal(id, CredentialEntry.New(1, default, id, s_consumer, false, 0, "sub_1").Id);
        }
    }

    [Fact]
    public void Entries_are_found_by_their_keys_and_listed_in_their_order()
    {
        var pages = new EntryPages<string>();
        int[] keys = [5, 1, 4_000_000, 1_024, 1_023];
        foreach (var key in keys) Assert.Equal($"{key}", pages.GetOrAdd(key, k => $"{k}"));
        Assert.Equal("5", pages.GetOrAdd(5, _ => "another"));
        Assert.Equal(["1", "5", "1023", "1024", "4000000"], pages.Values);
        pages.Remove(5);
        pages.Remove(6);
        Assert.Null(pages.Find(5));
        Assert.Null(pages.Find(-1));
        Assert.Null(pages.Find(int.MaxValue));
        Assert.False(pages.IsEmpty);
    }

    private static CredentialEntry Entry(int number) =>
        CredentialEntry.New(number, HashOf(number), $"key_{number}", s_consumer, false, long.MaxValue, null);

    private static KeyHash HashOf(int number)
    {
        var bytes = SHA256.HashData(BitConverter.GetBytes(number));
        return new KeyHash((ulong)(number % 50), BitConverter.ToUInt64(bytes, 8), BitConverter.ToUInt64(bytes, 16), 0);
    }
}
