namespace Tollgate.Gateway;

/// <summary>How many addresses may be counted for themselves, over all subscriptions.</summary>
public sealed class AddressBudget(int most)
{
    private int _left = most;

    /// <summary>False when there are as many as the bound on addresses allows.</summary>
    public bool TryTake()
    {
        if (Interlocked.Decrement(ref _left) >= 0) return true;
        Interlocked.Increment(ref _left);
        return false;
    }

    public void Return(int count) => Interlocked.Add(ref _left, count);
}
