namespace Tollgate.Tests.Hosting;

/// <summary>Background work stays on threads of its own, whatever it waits for.</summary>
public sealed class WorkThreadsTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Work_is_on_threads_of_the_name_also_after_it_has_waited()
    {
        using var threads = new WorkThreads("test work", 4);
        var names = new List<string?>();
        var come = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var work = threads.RunAsync(async () =>
        {
            names.Add(Thread.CurrentThread.Name);
            await come.Task;
            names.Add(Thread.CurrentThread.Name);
            await Task.Run(() => { }, Stop);
            names.Add(Thread.CurrentThread.Name);
        });
        come.SetResult();
        await work;
        Assert.Equal(["test work", "test work", "test work"], names);
    }

    [Fact]
    public async Task As_many_pieces_of_work_as_there_may_be_threads_can_wait_at_once_and_the_next_waits_for_one_of_them()
    {
        using var threads = new WorkThreads("test work", 2);
        using var inside = new SemaphoreSlim(0);
        using var go = new SemaphoreSlim(0);
        var third = 0;
        Task[] blocked = [.. Enumerable.Range(0, 2).Select(_ => threads.RunAsync(() =>
        {
            inside.Release();
            go.Wait(Stop);
            Assert.Equal(0, Volatile.Read(ref third));
            return Task.CompletedTask;
        }))];
        var later = threads.RunAsync(() =>
        {
            Volatile.Write(ref third, 1);
            return Task.CompletedTask;
        });
        await inside.WaitAsync(Stop);
        await inside.WaitAsync(Stop);
        Assert.False(later.IsCompleted);
        // both look before either thread is free
        var one = Task.WhenAny(blocked);
        go.Release(1);
        await await one;
        await later;
        Assert.Equal(1, third);
        Volatile.Write(ref third, 0);
        go.Release(1);
        await Task.WhenAll(blocked);
    }

    [Fact]
    public async Task Many_small_pieces_of_work_are_all_done_by_few_threads()
    {
        using var threads = new WorkThreads("test work", 3);
        var (done, seen) = (0, new System.Collections.Concurrent.ConcurrentDictionary<int, bool>());
        await Task.WhenAll(Enumerable.Range(0, 1_000).Select(_ => threads.RunAsync(async () =>
        {
            await Task.Yield();
            seen[Environment.CurrentManagedThreadId] = true;
            Interlocked.Increment(ref done);
        })));
        Assert.Equal(1_000, done);
        Assert.InRange(seen.Count, 1, 3);
    }

    [Fact]
    public async Task What_fails_is_told_to_whoever_waits_for_it_and_the_thread_goes_on()
    {
        using var threads = new WorkThreads("test work", 1);
        await Assert.ThrowsAsync<IOException>(() => threads.RunAsync(() => throw new IOException("the disk")));
        await threads.RunAsync(() => Task.CompletedTask);
    }

    [Fact]
    public async Task Work_that_was_under_way_at_the_end_is_finished_by_the_pool()
    {
        var threads = new WorkThreads("test work", 1);
        var come = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var work = threads.RunAsync(async () => await come.Task);
        await threads.RunAsync(() => Task.CompletedTask);
        threads.Dispose();
        come.SetResult();
        await work.WaitAsync(TimeSpan.FromSeconds(10), TimeProvider.System, Stop);
    }
}
