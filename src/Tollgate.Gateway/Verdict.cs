namespace Tollgate.Gateway;

/// <summary>
/// Everything the gate can say, in the order in which it checks: the first that is true wins. The order is that of
/// the table in docs/problems, and a test holds it.
/// </summary>
public enum Verdict : byte
{
    Admit,
    PathAmbiguous,
    NoRoute,
    KeyMissing,
    KeyUnknown,
    KeyRevoked,
    KeyExpired,
    KeyDuplicate,
    NotInGroup,
    NoPlan,
    OperationNotInPlan,
    RateExceeded,
    QuotaExhausted,
    ConcurrencyExceeded,
    CreditExhausted,
    SpendCapReached,
    PaymentOverdue,
    BodyTooLarge,
    RequestTerminated,
    MeteringUnavailable,
    LimitsUnavailable,
    RequestUnreadable,
    ExtensionFailed,
    UpstreamUnreachable,
    UpstreamTimeout,
}

/// <summary>What a verdict looks like outside. The code is public API: clients switch on it.</summary>
public sealed record VerdictForm(int Status, string Code, string Title, string Message)
{
    private static readonly VerdictForm[] s_forms =
    [
        new(200, "admit", "Admitted", ""),
        new(400, "path_ambiguous", "Ambiguous path", "The path can be read in more than one way"),
        new(404, "no_route", "No route", "no Route matched with those values"),
        new(401, "key_missing", "API key missing", "No API key found in request"),
        new(401, "key_unknown", "API key unknown", "Unauthorized"),
        new(401, "key_revoked", "API key revoked", "Unauthorized"),
        new(401, "key_expired", "API key expired", "Unauthorized"),
        new(401, "key_duplicate", "More than one API key", "Duplicate API key found"),
        new(403, "not_in_group", "Not in group", "You cannot consume this service"),
        new(403, "no_plan", "No plan", "Consumer not assigned to any group"),
        new(403, "operation_not_in_plan", "Operation not in plan", "Access denied for this endpoint."),
        new(429, "rate_exceeded", "Rate limit exceeded", "API rate limit exceeded"),
        new(429, "quota_exhausted", "Quota exhausted", "API rate limit exceeded"),
        new(429, "concurrency_exceeded", "Too many calls at a time", "API rate limit exceeded"),
        new(402, "credit_exhausted", "Prepaid credit exhausted", "The prepaid credit does not cover this call"),
        new(402, "spend_cap_reached", "Spend cap reached", "The spend cap does not cover this call"),
        new(402, "payment_overdue", "Payment overdue", "An invoice is overdue"),
        new(413, "body_too_large", "Body too large", "Request size limit exceeded"),
        new(503, "request_terminated", "Request terminated", "Service unavailable"),
        new(503, "metering_unavailable", "Metering unavailable", "The call cannot be recorded right now"),
        new(503, "limits_unavailable", "Limits unavailable", "What is left of the limits is not known right now"),
        new(400, "request_unreadable", "Request unreadable", "The body of the request could not be read"),
        new(500, "extension_failed", "Extension failed", "An extension of the gateway failed"),
        new(502, "upstream_unreachable", "Upstream unreachable", "The upstream server could not be reached"),
        new(504, "upstream_timeout", "Upstream timeout", "The upstream server did not answer in time"),
    ];

    public static VerdictForm Of(Verdict verdict) => s_forms[(int)verdict];
}
