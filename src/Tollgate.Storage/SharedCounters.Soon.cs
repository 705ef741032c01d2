namespace Tollgate.Storage;

/// <content>Questions that nobody waits for: those of some milliseconds go together, since a question costs both sides more by
/// itself than by what it asks.</content>
public sealed partial class SharedCounters
{
    /// <summary>Counters in one step: it holds all others up for so long.</summary>
    private const int MostTogether = 128;

    private static readonly TimeSpan s_gather = TimeSpan.FromMilliseconds(5);

    private readonly Lock _gathering = new();
    private Gathered? _gathered;

    /// <summary>As <see cref="AskAsync(IReadOnlyList{CounterQuestion})"/>, for what nobody waits for. Of a Redis Cluster each
    /// subscription may lie on another node, so there they are asked one by one.</summary>
    public Task<CounterAnswer[]?> AskSoonAsync(IReadOnlyList<CounterQuestion> questions, TimeProvider machine)
    {
        if (_away || _isCluster) return AskAsync(questions);
        var answer = new TaskCompletionSource<CounterAnswer[]?>(TaskCreationOptions.RunContinuationsAsynchronously);
        Gathered? fresh = null, full = null;
        lock (_gathering)
        {
            var gathered = _gathered ??= fresh = new Gathered();
            gathered.Add(questions, answer);
            if (gathered.Questions.Count >= MostTogether) (full, _gathered) = (gathered, null);
        }

        if (full is not null) _ = SendAsync(full);
        else if (fresh is not null) _ = GatherAsync(fresh, machine);
        return answer.Task;
    }

    private async Task GatherAsync(Gathered gathered, TimeProvider machine)
    {
        await Task.Delay(s_gather, machine);
        lock (_gathering)
        {
            // it was full before
            if (_gathered != gathered) return;
            _gathered = null;
        }

        await SendAsync(gathered);
    }

    private async Task SendAsync(Gathered gathered)
    {
        try
        {
            var answers = await AskAsync(gathered.Questions);
            var at = 0;
            foreach (var (count, answer) in gathered.Answers)
            {
                answer.SetResult(answers?[at..(at + count)]);
                at += count;
            }
        }
        catch (Exception e)
        {
            foreach (var (_, answer) in gathered.Answers) answer.TrySetException(e);
        }
    }

    private sealed class Gathered
    {
        public List<CounterQuestion> Questions { get; } = [];

        public List<(int Count, TaskCompletionSource<CounterAnswer[]?> Answer)> Answers { get; } = [];

        public void Add(IReadOnlyList<CounterQuestion> questions, TaskCompletionSource<CounterAnswer[]?> answer)
        {
            Questions.AddRange(questions);
            Answers.Add((questions.Count, answer));
        }
    }
}
