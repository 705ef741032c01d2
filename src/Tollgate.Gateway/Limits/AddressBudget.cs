namespace Tollgate.Gateway;

/// <summary>How many addresses may be counted for themselves, over all subscriptions.</summary>
public sealed class AddressBudget(int most)
{
    /// <summary>Unless somebody says otherwise; each takes about 300 bytes.</summary>
    public const int Usual = 200_000;

    private int _counted;
    private long _shared;

    /// <summary>Addresses that are counted for themselves now.</summary>
    public int Counted => Math.Min(most, Volatile.Read(ref _counted));

    /// <summary>Calls from further addresses: those of a subscription share one count.</summary>
    public long Shared => Volatile.Read(ref _shared);

    /// <summary>False when there are as many as the bound on addresses allows.</summary>
    public bool TryTake()
    {
        if (Interlocked.Increment(ref _counted) <= most) return true;
        Interlocked.Decrement(ref _counted);
        return false;
    }

    /// <summary>A call was counted with those of other addresses.</summary>
    public void Share() => Interlocked.Increment(ref _shared);

    public void Return(int count) => Interlocked.Add(ref _counted, -count);
}
