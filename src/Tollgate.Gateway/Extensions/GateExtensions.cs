using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Tollgate.Gateway.Extensions;

/// <summary>
/// Runs the extensions around a call, each within a time of its own. One that fails, or takes too long, fails the call
/// (500 <c>extension_failed</c>, not billed): going on without it could do what it is there to prevent.
/// </summary>
public sealed class GateExtensions
{
    private readonly IGateExtension[] _extensions;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _machine;
    private readonly ILogger _log;
    private readonly Func<object, Task> _atStart;

    /// <param name="timeout">For each extension and call; more than zero, at most a minute.</param>
    public GateExtensions(
        IEnumerable<IGateExtension> extensions, TimeSpan timeout, TimeProvider machine, ILogger log)
    {
        if (timeout <= TimeSpan.Zero || timeout > TimeSpan.FromMinutes(1))
            throw new ArgumentOutOfRangeException(nameof(timeout), timeout, "More than zero, at most a minute.");
        (_extensions, _timeout, _machine, _log) = ([.. extensions], timeout, machine, log);
        _atStart = state =>
        {
            AtStart((GatedCall)state);
            return Task.CompletedTask;
        };
    }

    public bool Any => _extensions.Length > 0;

    /// <summary>Asks one after the other; the first answer, or the first failure, ends the call.</summary>
    /// <param name="settle">Told how the call ended before the answer leaves.</param>
    /// <returns>Whether the call goes on to the upstream, was answered here, or failed.</returns>
    internal async Task<ExtensionOutcome> RunAsync(HttpContext context, GateCall call, Action<int> settle)
    {
        var gated = new GatedCall(context, call);
        // registered before whoever answers: it runs after theirs, over the headers as they are
        context.Response.OnStarting(_atStart, gated);
        foreach (var extension in _extensions)
        {
            using var time = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
            ExtensionAnswer? answer;
            try
            {
                var asked = extension.OnCallAsync(gated, time.Token);
                answer = asked.IsCompletedSuccessfully
                    ? asked.Result
                    : await asked.AsTask().WaitAsync(_timeout, _machine, context.RequestAborted);
                if (answer is not null && answer.Status is < 200 or > 599)
                    throw new InvalidOperationException($"It answered with the status {answer.Status}; 200 to 599 exist.");
            }
            catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
            {
                settle(499);
                return ExtensionOutcome.Answered;
            }
            catch (Exception e)
            {
                await time.CancelAsync();
                _log.LogError(e, "The extension {Extension} failed at {Operation}; the call {RequestId} got 500.",
                    extension.GetType().Name, gated.Operation, gated.RequestId);
                return ExtensionOutcome.Failed;
            }

            if (answer is null) continue;
            settle(answer.Status);
            await WriteAsync(context, call, answer);
            return ExtensionOutcome.Answered;
        }

        return ExtensionOutcome.GoesOn;
    }

    private void AtStart(GatedCall call)
    {
        foreach (var extension in _extensions)
        {
            try
            {
                extension.OnAnswer(call, call.Context.Response);
            }
            catch (Exception e)
            {
                _log.LogError(e, "The extension {Extension} failed at the answer of {RequestId}, which left as it was.",
                    extension.GetType().Name, call.RequestId);
            }
        }
    }

    private static async Task WriteAsync(HttpContext context, GateCall call, ExtensionAnswer answer)
    {
        var response = context.Response;
        response.StatusCode = answer.Status;
        RateHeaders.Write(response.Headers, call);
        if (answer.Body.Length == 0) return;
        var body = Encoding.UTF8.GetBytes(answer.Body);
        response.ContentType = answer.ContentType;
        response.ContentLength = body.Length;
        if (!HttpMethods.IsHead(context.Request.Method)) await response.Body.WriteAsync(body, context.RequestAborted);
    }
}

/// <summary>What became of a call among the extensions.</summary>
internal enum ExtensionOutcome : byte { GoesOn, Answered, Failed }
