using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Http;
using Tollgate.Gateway.Cost;
using Tollgate.Gateway.Forwarding;
using Tollgate.Gateway.Routing;
using Tollgate.Metering;

[assembly: InternalsVisibleTo("Tollgate.Tests")]

namespace Tollgate.Gateway;

/// <summary>One call on its way: what was decided, and what is still owed to the journal.</summary>
public sealed class GateCall
{
    private Decision _decision;
    private int _settled;

    public required CanonicalTarget Target { get; set; }

    public required CompiledOperation? Operation { get; init; }

    /// <summary>The parameters that may hold a key, as they were when the call was looked up: a reload in between must not let
    /// one through.</summary>
    internal string[] KeyQueries { get; init; } = [];

    /// <summary>Machine time, for the latency.</summary>
    public required long StartedAt { get; init; }

    /// <summary>Business time, microseconds UTC.</summary>
    public required long Now { get; set; }

    /// <summary>The identity of the call's record, as text: the X-Request-Id.</summary>
    public string RequestId { get; set; } = "";

    public RecordId Record { get; set; }

    public Admission Admission { get; set; }

    public ref Decision Decision => ref _decision;

    /// <summary>What it used so far; none where one call is one unit, or its weight.</summary>
    internal CallCost? Cost { get; set; }

    /// <summary>How it is told apart from others where broken calls may be repeated for nothing; null elsewhere.</summary>
    internal RepeatableCall? Repeatable { get; set; }

    /// <summary>Whether the whole answer was handed on.</summary>
    internal bool IsWhole { get; set; }

    /// <summary>Whether it ended in a way that the plan bills.</summary>
    internal bool IsBilled { get; set; }

    /// <summary>The status with which the upstream answered; 0 until it has, or when its answer is none that may be
    /// passed on.</summary>
    public int UpstreamStatus { get; set; }

    /// <summary>Why the upstream could not be reached, where callers may be told; else null.</summary>
    internal string? UpstreamFault { get; set; }

    /// <summary>The server that the call is sent to.</summary>
    public CompiledTarget? Destination { get; set; }

    /// <summary>Its number among those of the API.</summary>
    internal int DestinationIndex { get; set; }

    /// <summary>Of the sending that is under way; none where the API sets none.</summary>
    internal Deadline? Deadline { get; set; }

    /// <summary>Whether <c>grpc-status</c> tells how it ended.</summary>
    public bool IsGrpc { get; set; }

    /// <summary>What the caller said where the forwarder had to be told another type; see <see cref="GrpcStatus.Streams"/>.
    /// </summary>
    internal string? ContentType { get; set; }

    /// <summary>Whether its answer has begun, and how it ends is told after the last byte.</summary>
    internal bool IsOpen { get; set; }

    /// <summary>Whether a sending of it took longer than it may.</summary>
    internal bool IsLate { get; set; }

    /// <summary>Whether that was while its caller was still sending the body.</summary>
    internal bool IsSlow { get; set; }

    public bool IsSettled => Volatile.Read(ref _settled) != 0;

    /// <summary>True for the one caller that may settle the call.</summary>
    public bool TrySettle() => Interlocked.Exchange(ref _settled, 1) == 0;

    public static GateCall? Of(HttpContext context) => context.Features.Get<GateCall>();
}
