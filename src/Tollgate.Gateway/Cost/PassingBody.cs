using Microsoft.AspNetCore.Http;

namespace Tollgate.Gateway.Cost;

/// <summary>The request's body on its way to the upstream: whoever derives from this hears how much has passed.</summary>
internal abstract class PassingBody(Stream inner) : Stream
{
    /// <summary>Called after each piece, one at a time; what it throws ends the body.</summary>
    /// <param name="piece">Empty at the end.</param>
    protected abstract void Passed(ReadOnlySpan<byte> piece);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var read = await inner.ReadAsync(buffer, cancellationToken);
        // asking for nothing reads nothing, and is no end
        if (buffer.Length > 0) Passed(buffer.Span[..read]);
        return read;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) =>
        throw new NotSupportedException("A request is read asynchronously.");

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

/// <summary>Its bytes are counted.</summary>
internal sealed class CountedBody(Stream inner, CallCost cost) : PassingBody(inner)
{
    protected override void Passed(ReadOnlySpan<byte> piece) => cost.RequestBytes += piece.Length;
}

/// <summary>It ends where it becomes too long.</summary>
internal sealed class LimitedBody(Stream inner, long most) : PassingBody(inner)
{
    private long _left = most;

    protected override void Passed(ReadOnlySpan<byte> piece)
    {
        if ((_left -= piece.Length) < 0)
            throw new BadHttpRequestException("The body is too long.", StatusCodes.Status413PayloadTooLarge);
    }
}

/// <summary>It is told apart from other bodies.</summary>
internal sealed class HashedBody(Stream inner, RepeatableCall call) : PassingBody(inner)
{
    protected override void Passed(ReadOnlySpan<byte> piece) => call.Passed(piece);
}
