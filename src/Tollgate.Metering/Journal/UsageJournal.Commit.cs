namespace Tollgate.Metering;

/// <content>Waiting for the disk: whoever waits at the same time waits for the same flush.</content>
public sealed unsafe partial class UsageJournal
{
    private readonly Lock commits = new();

    // Under commits: those that wait for the flush after the one that is under way, and whether one is.
    private TaskCompletionSource? waiting;
    private bool committing;

    /// <summary>Whether answers wait for <see cref="CommitAsync"/>.</summary>
    public bool IsStrict => options.Durability == Durability.Strict;

    /// <summary>Completes when everything that was appended before this call is on the disk.</summary>
    /// <exception cref="IOException">The disk does not take it.</exception>
    public Task CommitAsync()
    {
        lock (commits)
        {
            waiting ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Task committed = waiting.Task;
            if (!committing)
            {
                committing = true;
                ThreadPool.UnsafeQueueUserWorkItem(static journal => journal.FlushForThoseThatWait(), this, preferLocal: false);
            }
            return committed;
        }
    }

    private void FlushForThoseThatWait()
    {
        while (true)
        {
            TaskCompletionSource batch;
            lock (commits)
            {
                if (waiting is null)
                {
                    committing = false;
                    return;
                }
                batch = waiting;
                waiting = null;
            }
            try
            {
                Flush();
                batch.SetResult();
            }
            catch (Exception e)
            {
                // Each of those that wait hears of it, and none of them answers.
                batch.SetException(e);
            }
        }
    }
}
