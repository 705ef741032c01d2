using CsCheck;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Catalog;

namespace Tollgate.Tests.Catalog;

public sealed class IdTests
{
    [Fact]
    public void An_id_reads_as_it_was_written() => Gen.Guid.Sample(guid =>
    {
        var id = new Id<Subscription>(guid);
        Assert.StartsWith("sub_", id.ToString());
        Assert.True(Id<Subscription>.TryParse(id.ToString(), out var prefixed) && prefixed == id);
        Assert.True(Id<Subscription>.TryParse(guid.ToString(), out var bare) && bare == id);
    });

    [Theory]
    [InlineData("")]
    [InlineData("sub_")]
    [InlineData("cus_0198f2c10198f2c10198f2c10198f2c1")]
    [InlineData("SUB_0198f2c10198f2c10198f2c10198f2c1")]
    [InlineData("sub-0198f2c10198f2c10198f2c10198f2c1")]
    [InlineData("sub_0198f2c10198f2c10198f2c10198f2cg")]
    [InlineData("sub_0198f2c10198f2c10198f2c10198f2c")]
    [InlineData("sub_0198f2c10198f2c10198f2c10198f2c1 ")]
    [InlineData(" 0198f2c1-0198-7980-8f2c-10198f2c1019")]
    [InlineData("0198f2c1-0198-7980-8f2c-10198f2c1019 ")]
    [InlineData("{0198f2c1-0198-7980-8f2c-10198f2c1019}")]
    public void What_is_not_an_id_of_this_kind_is_refused(string text)
    {
        Assert.False(Id<Subscription>.TryParse(text, out var id));
        Assert.Equal(default, id);
    }

    [Fact]
    public void Ids_sort_by_creation()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
        var ids = Enumerable.Range(0, 50).Select(_ =>
        {
            clock.Advance(TimeSpan.FromMilliseconds(1));
            return Id<Invoice>.New(clock).ToString();
        }).ToArray();
        Assert.Equal(ids.Order(StringComparer.Ordinal), ids);
    }
}
