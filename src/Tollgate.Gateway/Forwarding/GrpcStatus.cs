using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Tollgate.Gateway.Forwarding;

/// <summary>
/// The two languages of failure: HTTP's statuses, by which plans bill, and gRPC's, which its callers and servers speak
/// (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). A gRPC answer is 200 whatever happened; how the call ended stands
/// in its trailer.
/// </summary>
internal static class GrpcStatus
{
    /// <summary>A call that ended without any: its connection broke.</summary>
    public const int Missing = StatusCodes.Status503ServiceUnavailable;

    private static readonly int[] s_http =
        [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];

    public static bool IsGrpc(HttpRequest request) => HttpProtocol.IsHttp2(request.Protocol)
        && request.ContentType is { } type && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase)
        && (type.Length == 16 || type[16] is '+' or ';');

    /// <summary>Lets messages through as they come. The forwarder does so for <c>application/grpc</c> and knows no
    /// <c>application/grpc+proto</c>, so it is told the first, and the upstream what the caller said.</summary>
    public static void Streams(HttpRequest request, GateCall call)
    {
        if (request.ContentType is not { Length: > 16 } said) return;
        call.ContentType = said;
        request.ContentType = "application/grpc";
    }

    /// <summary>The status of HTTP that says the same; for what is no code of gRPC, 500.</summary>
    public static int ToHttp(string? code) =>
        int.TryParse(code, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n < s_http.Length
            ? s_http[n] : StatusCodes.Status500InternalServerError;

    /// <summary>What a refusal of the gate is in gRPC.</summary>
    public static int Of(Verdict verdict) => verdict switch
    {
        Verdict.PathAmbiguous or Verdict.RequestUnreadable => 3,
        Verdict.NoRoute => 12,
        Verdict.KeyMissing or Verdict.KeyUnknown or Verdict.KeyRevoked or Verdict.KeyExpired or Verdict.KeyDuplicate => 16,
        Verdict.NotInGroup or Verdict.NoPlan or Verdict.OperationNotInPlan => 7,
        Verdict.RateExceeded or Verdict.QuotaExhausted or Verdict.ConcurrencyExceeded or Verdict.CreditExhausted
            or Verdict.SpendCapReached or Verdict.BodyTooLarge => 8,
        Verdict.PaymentOverdue => 9,
        Verdict.ExtensionFailed => 13,
        Verdict.UpstreamTimeout => 4,
        _ => 14,
    };

    /// <summary>Writes a refusal that has no body: the status stands among the headers ("trailers-only").</summary>
    public static void Write(HttpResponse response, int code, string message)
    {
        response.StatusCode = StatusCodes.Status200OK;
        response.ContentType = "application/grpc";
        response.Headers["grpc-status"] = code.ToString(CultureInfo.InvariantCulture);
        response.Headers["grpc-message"] = Escaped(message);
    }

    /// <summary>Visible ASCII but '%' stands for itself.</summary>
    private static string Escaped(string message)
    {
        var text = new StringBuilder(message.Length);
        foreach (var b in Encoding.UTF8.GetBytes(message))
            if (b is >= 0x20 and <= 0x7E and not (byte)'%') text.Append((char)b);
            else text.Append('%').Append(b.ToString("X2", CultureInfo.InvariantCulture));
        return text.ToString();
    }
}
