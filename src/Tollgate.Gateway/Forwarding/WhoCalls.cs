using System.Runtime.CompilerServices;

namespace Tollgate.Gateway.Forwarding;

/// <summary>What the gate says of the caller to whoever serves the call, an upstream or the application around it.</summary>
[InlineArray(Most)]
internal struct WhoCalls
{
    private const int Most = 5;

    private (string Name, string Value) _first;

    /// <returns>How many there are.</returns>
    public static int Say(ref Decision decision, ref WhoCalls headers)
    {
        if (decision.Consumer is not { } consumer || ReferenceEquals(consumer, ConsumerEntry.Anonymous))
        {
            headers[0] = ("X-Anonymous-Consumer", "true");
            return 1;
        }

        headers[0] = ("X-Consumer-ID", consumer.Id);
        headers[1] = ("X-Consumer-Username", consumer.UsernameHeader);
        var count = 2;
        if (consumer.CustomIdHeader is { } custom) headers[count++] = ("X-Consumer-Custom-ID", custom);
        if (decision.Plan is { } plan) headers[count++] = ("X-Consumer-Groups", plan.Name);
        if (decision.Credential is { } credential) headers[count++] = ("X-Credential-Identifier", credential.Id);
        return count;
    }
}
