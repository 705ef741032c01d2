using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Tollgate.Web.Admin;

/// <summary>An answer to a GET with its ETag, or a 304 for who has it already. Only JSON that fits in memory is tagged;
/// what is longer streams through.</summary>
internal static class TaggedAnswer
{
    private const int MaxHeld = 1 << 20;

    public static async Task WriteAsync(HttpContext context, RequestDelegate next)
    {
        var outside = context.Response.Body;
        await using var held = new HeldBody(outside, MaxHeld);
        context.Response.Body = held;
        try
        {
            await next(context);
        }
        finally
        {
            context.Response.Body = outside;
        }

        if (held.PassedThrough) return;
        var response = context.Response;
        if (response.StatusCode == StatusCodes.Status200OK
            && response.ContentType?.StartsWith("application/json", StringComparison.Ordinal) == true)
        {
            // what says its own state in its answer brings a tag of it
            if (response.Headers.ETag.Count == 0) response.Headers.ETag = Representation.TagOf(held.Held.Span);
            var tag = response.Headers.ETag.ToString();
            if (Lists(context.Request.Headers.IfNoneMatch, tag))
            {
                response.StatusCode = StatusCodes.Status304NotModified;
                response.ContentLength = null;
                response.Headers.ContentType = StringValues.Empty;
                return;
            }
        }

        if (held.Held.Length > 0) await outside.WriteAsync(held.Held);
    }

    /// <summary>Whether a list of ETags names this one; <c>*</c> names any.</summary>
    public static bool Lists(StringValues header, string tag)
    {
        foreach (var value in header)
            foreach (var part in (value ?? "").Split(','))
                if (part.AsSpan().Trim() is "*" || part.AsSpan().Trim().SequenceEqual(tag)) return true;
        return false;
    }

    /// <summary>Keeps what is written until it is too much; from then on it passes.</summary>
    private sealed class HeldBody(Stream outside, int max) : Stream
    {
        private readonly MemoryStream _held = new();

        public bool PassedThrough { get; private set; }

        public ReadOnlyMemory<byte> Held => _held.GetBuffer().AsMemory(0, (int)_held.Length);

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (!PassedThrough && _held.Length + buffer.Length > max)
            {
                PassedThrough = true;
                await outside.WriteAsync(Held, cancellationToken);
            }

            if (PassedThrough) await outside.WriteAsync(buffer, cancellationToken);
            else _held.Write(buffer.Span);
        }

        public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override void Write(byte[] buffer, int offset, int count)
        {
            if (!PassedThrough && _held.Length + count <= max) _held.Write(buffer, offset, count);
            else throw new NotSupportedException("A long answer is written asynchronously.");
        }

        public override Task FlushAsync(CancellationToken cancellationToken) =>
            PassedThrough ? outside.FlushAsync(cancellationToken) : Task.CompletedTask;

        public override void Flush() { }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing) _held.Dispose();
            base.Dispose(disposing);
        }
    }
}
