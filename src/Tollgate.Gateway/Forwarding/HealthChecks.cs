using Tollgate.Config;

namespace Tollgate.Gateway.Forwarding;

/// <summary>Asks the servers of APIs with a health check how they are, each at its own pace, for as long as the configuration says
/// so. A server that several APIs check is checked by the first of them.</summary>
internal sealed class HealthChecks : IDisposable
{
    private static readonly TimeSpan s_pace = TimeSpan.FromMilliseconds(100);

    private readonly Func<CompiledApi[]> _apis;
    private readonly Balances _balances;
    private readonly Func<int, UpstreamTls?, HttpMessageInvoker> _clients;
    private readonly TimeProvider _machine;
    private readonly ITimer _timer;

    // by authority; touched by one look at a time
    private readonly Dictionary<string, Checked> _checked = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();
    private int _looking;

    public HealthChecks(
        Func<CompiledApi[]> apis, Balances balances, Func<int, UpstreamTls?, HttpMessageInvoker> clients, TimeProvider machine)
    {
        (_apis, _balances, _clients, _machine) = (apis, balances, clients, machine);
        _timer = machine.CreateTimer(_ => Look(), null, s_pace, s_pace);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _timer.Dispose();
    }

    private void Look()
    {
        if (Interlocked.Exchange(ref _looking, 1) != 0) return;
        try
        {
            var apis = _apis();
            if (_checked.Count == 0 && !Array.Exists(apis, a => a.Forward.Health is not null)) return;
            var now = new HashSet<string>(StringComparer.Ordinal);
            foreach (var api in apis)
            {
                if (api.Forward.Health is not { } check) continue;
                foreach (var target in api.Targets)
                    if (now.Add(target.Authority)) AskWhenDue(target, check, api.Forward);
            }

            foreach (var gone in _checked.Keys.Where(k => !now.Contains(k)).ToArray())
            {
                _checked[gone].Health.Unchecked();
                _checked.Remove(gone);
            }
        }
        finally
        {
            Volatile.Write(ref _looking, 0);
        }
    }

    private void AskWhenDue(CompiledTarget target, HealthCheck check, ForwardRules by)
    {
        if (!_checked.TryGetValue(target.Authority, out var server))
            _checked.Add(target.Authority, server = new Checked(_balances.HealthOf(target)));
        else if (server.Asking || _machine.GetElapsedTime(server.AskedAt).TotalMilliseconds < check.Interval) return;
        server.Asking = true;
        _ = AskAsync(server, target, check, by);
    }

    private async Task AskAsync(Checked server, CompiledTarget target, HealthCheck check, ForwardRules by)
    {
        var well = false;
        try
        {
            using var late = new CancellationTokenSource(TimeSpan.FromMilliseconds(check.Timeout), _machine);
            using var until = CancellationTokenSource.CreateLinkedTokenSource(late.Token, _stop.Token);
            using var request = new HttpRequestMessage(HttpMethod.Get, target.Authority + target.BasePath + check.Path)
            {
                Version = by.Config.Version!,
                VersionPolicy = by.Config.VersionPolicy!.Value,
            };
            request.Headers.TryAddWithoutValidation("User-Agent", "tollgate-health");
            using var answer = await _clients(check.Timeout, by.Tls).SendAsync(request, until.Token);
            well = (int)answer.StatusCode is >= 200 and < 400;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException or UriFormatException)
        {
            // no answer is one
        }

        if (!_stop.IsCancellationRequested) server.Health.Checked(well, check);
        server.AskedAt = _machine.GetTimestamp();
        server.Asking = false;
    }

    private sealed class Checked(ServerHealth health)
    {
        private volatile bool _asking;

        public ServerHealth Health => health;

        public long AskedAt { get; set; }

        public bool Asking
        {
            get => _asking;
            set => _asking = value;
        }
    }
}
