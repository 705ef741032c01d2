using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <content>Questions that nobody waits for: those of many subscriptions in some milliseconds go together, as one piece of work
/// and in one step. By itself a question costs both sides far more than by what it asks.</content>
public sealed partial class Leases
{
    /// <summary>Subscriptions in one piece of work.</summary>
    private const int MostGathered = 128;

    /// <summary>Counters in one step of Redis: it holds all others up for so long.</summary>
    private const int MostTogether = 128;

    private static readonly TimeSpan s_gather = TimeSpan.FromMilliseconds(10);

    private readonly Lock _gathering = new();
    private Gathered? _gathered;

    /// <summary>Adds it to those that are asked about next. The caller holds its lock.</summary>
    private Task<bool> GatherAsync(Pool pool)
    {
        Gathered gathered;
        var isFresh = false;
        lock (_gathering)
        {
            if (isFresh = _gathered is null) _gathered = new Gathered();
            gathered = _gathered!;
            gathered.Pools.Add(pool);
            if (gathered.Pools.Count == MostGathered) _gathered = null;
        }

        if (isFresh) _ = AskTogetherAsync(gathered);
        return gathered.Done.Task;
    }

    private async Task AskTogetherAsync(Gathered gathered)
    {
        // not on the threads of whoever was first: nothing here makes a thread wait
        await Task.Delay(s_gather, _machine).ConfigureAwait(false);
        lock (_gathering)
        {
            if (_gathered == gathered) _gathered = null;
        }

        List<Pool> again = [];
        try
        {
            var steps = new List<Task<bool>>();
            var plans = new List<LeasePlan>();
            var counters = 0;
            foreach (var pool in gathered.Pools)
            {
                _watched.TryAdd(pool.Tag, pool);
                if (pool.Plan(this) is not { } plan) continue;
                plans.Add(plan);
                counters += plan.Counts.Count;
                if (counters < MostTogether) continue;
                steps.Add(StepAsync(plans, again));
                (plans, counters) = ([], 0);
            }

            if (plans.Count > 0) steps.Add(StepAsync(plans, again));
            var answered = await Task.WhenAll(steps).ConfigureAwait(false);
            gathered.Done.TrySetResult(Array.TrueForAll(answered, a => a));
        }
        catch (Exception e)
        {
            gathered.Done.TrySetException(e);
        }

        // calls wait for what others may give back
        foreach (var pool in again) _ = AskAsync(pool);
    }

    /// <returns>False when Redis did not answer.</returns>
    private async Task<bool> StepAsync(List<LeasePlan> plans, List<Pool> again)
    {
        Asks();
        var questions = new List<CounterQuestion>();
        foreach (var plan in plans)
            foreach (var (_, question) in plan.Counts) questions.Add(question);
        var counts = questions.Count == 0 ? Task.FromResult<CounterAnswer[]?>([]) : _counters.AskAsync(questions);
        var windows = plans.ConvertAll(p => p.AskWindowsAsync(_counters));
        var all = await counts.ConfigureAwait(false);
        var (at, answered) = (0, all is not null);
        for (var i = 0; i < plans.Count; i++)
        {
            var (plan, given) = (plans[i], await windows[i].ConfigureAwait(false));
            answered &= given is not null;
            var isWaitedFor = plan.Of.Take(plan, all is null ? default : all.AsSpan(at, plan.Counts.Count), given, Now, last: false);
            at += plan.Counts.Count;
            if (!isWaitedFor) continue;
            lock (again) again.Add(plan.Of);
        }

        if (!answered) _up.Set(0);
        return answered;
    }

    private sealed class Gathered
    {
        public List<Pool> Pools { get; } = [];

        public TaskCompletionSource<bool> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>What is asked at once about one subscription.</summary>
/// <param name="Of">Whose.</param>
/// <param name="AskedAt">Machine time.</param>
/// <param name="Counts">Windows that are aligned to the clock, quotas, calls at a time.</param>
/// <param name="Windows">Others.</param>
internal sealed record LeasePlan(
    Pool Of, long AskedAt, List<(SharedCount Share, CounterQuestion Question)> Counts,
    List<(SharedWindow Share, WindowQuestion Question)> Windows)
{
    /// <returns>Null when Redis did not answer.</returns>
    public Task<CounterAnswer[]?> AskCountsAsync(SharedCounters counters) => Counts.Count == 0
        ? Task.FromResult<CounterAnswer[]?>([]) : counters.AskAsync(Counts.ConvertAll(a => a.Question));

    /// <inheritdoc cref="AskCountsAsync"/>
    public Task<WindowAnswer[]?> AskWindowsAsync(SharedCounters counters) => Windows.Count == 0
        ? Task.FromResult<WindowAnswer[]?>([]) : counters.AskAsync(Windows.ConvertAll(a => a.Question));
}
