namespace Tollgate;

/// <summary>
/// Threads for work that is not a call: what drains, archives and bills, and what the admin port is asked. SQLite and the
/// disk make whoever asks them wait, and on the threads of the pool every call behind them would wait too. They have a name,
/// by which <c>top -H</c> and the bench tell their time from that of calls (decision 0083).
/// </summary>
/// <param name="name">At most 15 characters, as Linux keeps no more.</param>
/// <param name="most">How many there are at most; each is made when it is needed, and stays.</param>
internal sealed class WorkThreads(string name, int most) : TaskScheduler, IDisposable
{
    [ThreadStatic]
    private static WorkThreads? t_mine;

    private readonly Queue<Task> _tasks = new();
    private int _threads;
    private int _idle;
    private bool _closed;

    public override int MaximumConcurrencyLevel => most;

    /// <summary>Runs the work here, and all of it that comes after something it has waited for.</summary>
    public Task RunAsync(Func<Task> work) =>
        Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this).Unwrap();

    /// <summary>The threads end when they have nothing to do. Work that comes later goes to the pool.</summary>
    public void Dispose()
    {
        lock (_tasks)
        {
            _closed = true;
            Monitor.PulseAll(_tasks);
        }
    }

    protected override void QueueTask(Task task)
    {
        lock (_tasks)
        {
            if (_closed)
            {
                ThreadPool.UnsafeQueueUserWorkItem(t => TryExecuteTask(t), task, preferLocal: false);
                return;
            }

            _tasks.Enqueue(task);
            if (_tasks.Count <= _idle || _threads == most)
            {
                Monitor.Pulse(_tasks);
                return;
            }

            _threads++;
        }

        new Thread(Work) { IsBackground = true, Name = name }.UnsafeStart();
    }

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) =>
        !taskWasPreviouslyQueued && ReferenceEquals(t_mine, this) && TryExecuteTask(task);

    protected override IEnumerable<Task> GetScheduledTasks()
    {
        lock (_tasks) return [.. _tasks];
    }

    private void Work()
    {
        t_mine = this;
        while (Next() is { } task) TryExecuteTask(task);
    }

    private Task? Next()
    {
        lock (_tasks)
        {
            Task? task;
            while (!_tasks.TryDequeue(out task) && !_closed)
            {
                _idle++;
                Monitor.Wait(_tasks);
                _idle--;
            }

            return task;
        }
    }
}
