using Dapper;
using Tollgate.Tests.Billing;

namespace Tollgate.Tests.Storage;

public sealed class DatabaseTests
{
    [Fact]
    public async Task All_reads_in_one_see_one_state_and_writers_do_not_wait_for_it()
    {
        await using var books = new Books();
        var (before, after) = await books.ReadAsync(async db =>
        {
            var first = await db.ExecuteScalarAsync<long>("select count(*) from customers");
            await books.CustomerAsync("acme");
            return (first, await db.ExecuteScalarAsync<long>("select count(*) from customers"));
        });
        Assert.Equal((0, 0), (before, after));
        Assert.Equal(1, await books.ReadAsync(db => db.ExecuteScalarAsync<long>("select count(*) from customers")));
    }
}
