using CsCheck;
using Tollgate.Metering;

namespace Tollgate.Tests.Metering;

public sealed class JournalRecordIdTests
{
    private static readonly Gen<RecordId> Ids =
        Gen.Select(Gen.UInt, Gen.UInt, Gen.ULong, (journal, boot, sequence) => new RecordId(journal, boot, sequence));

    [Fact]
    public void Text_and_id_are_the_same_thing() => Ids.Sample(id =>
        id.ToString().Length == 26 && RecordId.TryParse(id.ToString(), out RecordId back) && back == id
        && RecordId.TryParse(id.ToString().ToLowerInvariant(), out back) && back == id);

    [Fact]
    public void Texts_of_one_boot_sort_like_their_sequences() => Gen.Select(Ids, Gen.ULong).Sample((id, other) =>
        Math.Sign(string.CompareOrdinal(id.ToString(), (id with { Sequence = other }).ToString()))
        == id.Sequence.CompareTo(other));

    [Fact]
    public void Whatever_parses_prints_a_text_that_parses_to_the_same_id() =>
        Gen.String[Gen.Char["0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"], 26, 26].Sample(text =>
            !RecordId.TryParse(text, out RecordId id)
            || (RecordId.TryParse(id.ToString(), out RecordId again) && again == id));

    [Theory]
    [InlineData(0u, 0u, 0ul, "00000000000000000000000000")]
    [InlineData(uint.MaxValue, uint.MaxValue, ulong.MaxValue, "7ZZZZZZZZZZZZZZZZZZZZZZZZZ")]
    [InlineData(0u, 0u, 31ul, "0000000000000000000000000Z")]
    public void The_text_form_is_pinned(uint journal, uint boot, ulong sequence, string text) =>
        Assert.Equal(text, new RecordId(journal, boot, sequence).ToString());

    [Fact]
    public void Letters_that_look_like_digits_are_read_as_digits()
    {
        Assert.True(RecordId.TryParse("0000000000000000000000OoIl", out RecordId id));
        Assert.Equal(new RecordId(0, 0, 33), id);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0")]
    [InlineData("0000000000000000000000000")]
    [InlineData("000000000000000000000000000")]
    [InlineData("80000000000000000000000000")] // 129 bits
    [InlineData("ZZZZZZZZZZZZZZZZZZZZZZZZZZ")]
    [InlineData("0000000000000000000000000U")]
    [InlineData("000000000000 0000000000000")]
    [InlineData("0000000000000000000000000\n")]
    [InlineData("0000000000000000000000000\0")]
    [InlineData("-0000000000000000000000000")]
    [InlineData("0000000000000000000000000\u0661")] // an Arabic digit one
    [InlineData("0000000000000000000000000\u212A")] // a Kelvin sign, whose lower case is k
    [InlineData("0000000000000000000000000\uD800")]
    public void Hostile_text_is_refused(string text)
    {
        Assert.False(RecordId.TryParse(text, out RecordId id));
        Assert.Equal(default, id);
    }

    [Fact]
    public void Any_text_at_all_is_answered_without_an_exception() =>
        Gen.String.Sample(text => RecordId.TryParse(text, out _) || true);

    [Fact]
    public void Too_little_room_gets_nothing_written()
    {
        Span<char> room = new char[25];
        Assert.False(new RecordId(1, 2, 3).TryFormat(room, out int written));
        Assert.Equal(0, written);
        Assert.Equal(new string('\0', 25), room.ToString());
    }
}
