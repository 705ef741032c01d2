using System.Buffers.Binary;
using System.Text;
using Tollgate.Catalog;
using Tollgate.Metering;

namespace Tollgate.Tests.Metering;

/// <summary>What a Prometheus sends, and what somebody else may send in its place.</summary>
public sealed class RemoteWriteTests
{
    private static readonly SeriesSelector s_calls = SeriesSelector.Parse("calls_total{job=\"shop\"}").Selector!;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Samples_of_wanted_series_are_read(bool version2)
    {
        var message = Request(version2,
            Series("calls_total", "a", (1_000, 5), (2_000, 7)), Series("other_total", "a", (1_000, 1)),
            Series("process_start_time_seconds", "", (1_000, 77)));
        var sent = RemoteWrite.Read(Pack(message), version2, s_calls);
        Assert.Equal(4, sent.All);
        Assert.Equal([(1_000_000, 5d), (2_000_000, 7d), (1_000_000, 77d)], sent.Samples.Select(s => (s.At, s.Value)));
        Assert.Equal("a", sent.Samples[0].Labels["consumer"]);
        Assert.Null(sent.Samples[2].Labels["consumer"]); // an empty label is none
    }

    [Fact]
    public void Every_message_that_is_cut_short_is_refused_or_read_in_part_and_nothing_else_happens()
    {
        foreach (var version2 in (bool[])[false, true])
        {
            var message = Request(version2, Series("calls_total", "a", (1_000, 5)), Series("calls_total", "b", (1_000, 6)));
            var packed = Pack(message);
            for (var length = 0; length < packed.Length; length++)
                Assert.Throws<InvalidDataException>(() => RemoteWrite.Read(packed.AsSpan(0, length), version2, s_calls));
        }
    }

    [Fact]
    public void Whatever_bytes_come_are_refused_as_bad_data_or_read()
    {
        var random = new Random(3);
        var good = new[] { false, true }
            .Select(v => Request(v, Series("calls_total", "a", (1_000, 5)), Series("x", "b", (1, 2)))).ToArray();
        for (var i = 0; i < 20_000; i++)
        {
            var version2 = i % 2 == 1;
            var message = (byte[])good[i % 2].Clone();
            for (var n = random.Next(4); n >= 0; n--) message[random.Next(message.Length)] = (byte)random.Next(256);
            var body = i % 3 == 0 ? message : Pack(message);
            try
            {
                RemoteWrite.Read(body, version2, s_calls);
            }
            catch (InvalidDataException)
            {
                // said so
            }
        }
    }

    [Theory]
    [InlineData("FFFFFFFF0F", "length is too large")]
    [InlineData("FFFFFFFF07", "at most")] // two gigabytes, said in five bytes
    [InlineData("0A00610900", "points outside")]
    [InlineData("04FC00000080", "too long")]
    [InlineData("04F0FF", "longer")]
    [InlineData("0406", "within a copy")]
    public void A_block_that_lies_about_itself_is_refused(string block, string why)
    {
        var fault = Assert.Throws<InvalidDataException>(() => RemoteWrite.Read(Convert.FromHexString(block), false, s_calls));
        Assert.Contains(why, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_copy_that_reaches_into_itself_repeats()
    {
        // "ab" and then 8 bytes from 2 back, as each packer writes runs
        byte[] block = [10, 0x04, (byte)'a', (byte)'b', 0x11, 0x02];
        var text = new byte[10];
        SnappyBlock.Unpack(block, text);
        Assert.Equal("ababababab", Encoding.ASCII.GetString(text));
    }

    [Fact]
    public void Labels_that_are_no_labels_are_refused_with_all_that_stands_beside_them()
    {
        Refused("twice", [("__name__", "a"), ("a", "1"), ("a", "2")]);
        Refused("no name", [("", "a")]);
        Refused("256 labels", [.. Enumerable.Range(0, 300).Select(i => ($"l{i}", "x"))]);
        Refused("16384 characters", [("__name__", new string('a', 20_000))]);

        static void Refused(string why, (string, string)[] labels)
        {
            foreach (var version2 in (bool[])[false, true])
            {
                var message = Request(version2, Series("calls_total", "a", (1_000, 5)), (labels, [(1L, 1d)]));
                var fault = Assert.Throws<InvalidDataException>(() => RemoteWrite.Read(Pack(message), version2, s_calls));
                Assert.Contains(why, fault.Message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("application/x-protobuf", false)]
    [InlineData("application/x-protobuf;proto=prometheus.WriteRequest", false)]
    [InlineData("application/x-protobuf; proto=io.prometheus.write.v2.Request", true)]
    [InlineData("application/x-protobuf;proto=io.prometheus.write.v3.Request", null)]
    [InlineData("application/json", null)]
    [InlineData(null, null)]
    public void The_version_stands_in_the_content_type(string? contentType, bool? version2) =>
        Assert.Equal(version2, RemoteWrite.IsVersion2(contentType));

    private static ((string, string)[] Labels, (long, double)[] Samples) Series(
        string name, string consumer, params (long, double)[] samples) =>
        ([("__name__", name), ("consumer", consumer), ("instance", "app:80"), ("job", "shop")], samples);

    /// <summary>A block of literals alone.</summary>
    internal static byte[] Pack(byte[] message)
    {
        var block = new List<byte>();
        Varint(block, (ulong)message.Length);
        foreach (var part in message.Chunk(60)) block.AddRange([(byte)((part.Length - 1) << 2), .. part]);
        return [.. block];
    }

    internal static byte[] Request(
        bool version2, params ((string Name, string Value)[] Labels, (long At, double Value)[] Samples)[] series)
    {
        var (message, symbols) = (new List<byte>(), new List<string> { "" });
        foreach (var (labels, samples) in series)
        {
            var one = new List<byte>();
            int[] references = version2 ? [.. labels.SelectMany(l => (int[])[Symbol(l.Name), Symbol(l.Value)])] : [];
            if (version2) Part(one, 1, [.. references.SelectMany(n => Number((ulong)n))]);
            else
                foreach (var (name, value) in labels)
                    Part(one, 1, [.. Text(1, name), .. Text(2, value)]);
            foreach (var (at, value) in samples)
            {
                var number = new byte[8];
                BinaryPrimitives.WriteDoubleLittleEndian(number, value);
                Part(one, 2, [(1 << 3) | 1, .. number, 2 << 3, .. Number((ulong)at)]);
            }

            Part(message, version2 ? 5 : 1, [.. one]);
        }

        if (version2)
            foreach (var symbol in symbols) Part(message, 4, Encoding.UTF8.GetBytes(symbol));
        return [.. message];

        int Symbol(string text)
        {
            if (!symbols.Contains(text)) symbols.Add(text);
            return symbols.IndexOf(text);
        }
    }

    private static byte[] Text(int field, string text)
    {
        var part = new List<byte>();
        Part(part, field, Encoding.UTF8.GetBytes(text));
        return [.. part];
    }

    private static byte[] Number(ulong value)
    {
        var number = new List<byte>();
        Varint(number, value);
        return [.. number];
    }

    private static void Part(List<byte> into, int field, byte[] bytes)
    {
        Varint(into, (ulong)(field << 3) | 2);
        Varint(into, (ulong)bytes.Length);
        into.AddRange(bytes);
    }

    private static void Varint(List<byte> into, ulong value)
    {
        for (; value >= 0x80; value >>= 7) into.Add((byte)(value | 0x80));
        into.Add((byte)value);
    }
}
