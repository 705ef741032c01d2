using System.IO.Pipelines;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Tollgate.Web.V1;

namespace Tollgate.Tests.Web.V1;

/// <summary>The bodies of events that are under way take so much memory together and no more, however slowly they come.</summary>
public sealed class EventBodyTests
{
    private readonly FakeTimeProvider _clock = new();

    [Fact]
    public async Task Slow_senders_share_one_room_and_who_finds_none_is_asked_to_send_again()
    {
        var room = new EventRoom(256 << 10, _clock);
        var slow = Enumerable.Range(0, 2).Select(_ => new Sender(room)).ToArray();
        foreach (var sender in slow) await sender.SendAsync(100_000);
        Assert.All(slow, s => Assert.False(s.Body.IsCompleted));
        Assert.Equal(256 << 10, room.Taken);
        using var third = await new Sender(room).EndAsync("[]"u8.ToArray());
        Assert.Equal(StatusCodes.Status503ServiceUnavailable, await StatusAsync(third.Fault!));

        // their bytes were no JSON; what they held is free with their answers
        foreach (var sender in slow) (await sender.EndAsync([])).Dispose();
        Assert.Equal(0, room.Taken);
        using (var fourth = await new Sender(room).EndAsync("[]"u8.ToArray())) Assert.Null(fourth.Fault);
        Assert.Equal(0, room.Taken);
    }

    [Fact]
    public async Task A_body_takes_room_as_it_comes_and_not_as_it_says_that_it_will()
    {
        var room = new EventRoom(EventRoom.MostBytes, _clock);
        var sender = new Sender(room, said: 4 << 20);
        await sender.SendAsync(10);
        Assert.InRange(room.Taken, 1, 128 << 10);
        (await sender.EndAsync([])).Dispose();
        Assert.Equal(0, room.Taken);
    }

    [Fact]
    public async Task A_body_that_does_not_end_is_given_up()
    {
        var room = new EventRoom(EventRoom.MostBytes, _clock);
        var sender = new Sender(room);
        await sender.SendAsync(10);
        _clock.Advance(EventRoom.Patience);
        using (var body = await sender.Body)
            Assert.Equal(StatusCodes.Status408RequestTimeout, await StatusAsync(body.Fault!));
        Assert.Equal(0, room.Taken);
    }

    [Fact]
    public async Task A_sender_who_goes_away_leaves_nothing_taken()
    {
        var room = new EventRoom(EventRoom.MostBytes, _clock);
        var sender = new Sender(room);
        await sender.SendAsync(100_000);
        await sender.BreakAsync();
        await Assert.ThrowsAsync<IOException>(() => sender.Body);
        Assert.Equal(0, room.Taken);
    }

    [Fact]
    public async Task What_a_body_becomes_when_it_is_read_is_counted_too()
    {
        var room = new EventRoom(1 << 20, _clock);
        var dense = Enumerable.Repeat((byte)',', 100_000).ToArray();
        dense[0] = (byte)'[';
        using var body = await new Sender(room).EndAsync(dense);
        Assert.Equal(StatusCodes.Status503ServiceUnavailable, await StatusAsync(body.Fault!));
    }

    private static async Task<int> StatusAsync(IResult answer)
    {
        await using var services = new ServiceCollection().AddLogging().BuildServiceProvider();
        var context = new DefaultHttpContext { RequestServices = services };
        context.Response.Body = new MemoryStream();
        await answer.ExecuteAsync(context);
        if (context.Response.StatusCode == 503) Assert.Equal("1", context.Response.Headers.RetryAfter);
        return context.Response.StatusCode;
    }

    /// <summary>A request whose body comes as the test sends it.</summary>
    private sealed class Sender
    {
        private readonly Pipe _pipe = new(new PipeOptions(pauseWriterThreshold: 0, useSynchronizationContext: false,
            readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline));

        public Sender(EventRoom room, long? said = null)
        {
            var context = new DefaultHttpContext();
            context.Request.Body = _pipe.Reader.AsStream();
            context.Request.ContentLength = said;
            Body = EventBody.ReadAsync(context.Request, room);
        }

        public Task<EventBody> Body { get; }

        public async Task SendAsync(int bytes) => await _pipe.Writer.WriteAsync(Enumerable.Repeat((byte)' ', bytes).ToArray());

        public async Task<EventBody> EndAsync(byte[] last)
        {
            await _pipe.Writer.WriteAsync(last);
            await _pipe.Writer.CompleteAsync();
            return await Body;
        }

        public async Task BreakAsync() => await _pipe.Writer.CompleteAsync(new IOException("The client is gone."));
    }
}
