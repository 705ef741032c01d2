namespace Tollgate.Gateway;

/// <summary>
/// Entries by their keys in the store, which count up from 1: 8 bytes for each key, in pages that are made when somebody needs
/// one. Whoever looks one up takes no lock.
/// </summary>
internal sealed class EntryPages<T>
    where T : class
{
    private const int Bits = 10, Size = 1 << Bits;

    private readonly Lock _changing = new();
    private volatile T?[]?[] _pages = [];
    private int _count;

    public bool IsEmpty => Volatile.Read(ref _count) == 0;

    /// <summary>In the order of their keys.</summary>
    public IEnumerable<T> Values => _pages.OfType<T?[]>().SelectMany(page => page.OfType<T>());

    public T? Find(int key)
    {
        var pages = _pages;
        return key >= 0 && key >> Bits < pages.Length && Volatile.Read(ref pages[key >> Bits]) is { } page
            ? Volatile.Read(ref page[key & (Size - 1)]) : null;
    }

    public T GetOrAdd(int key, Func<int, T> make)
    {
        if (Find(key) is { } there) return there;
        lock (_changing)
        {
            ref var place = ref PlaceOf(key);
            if (place is null)
            {
                Volatile.Write(ref place, make(key));
                _count++;
            }

            return place;
        }
    }

    public void Remove(int key)
    {
        lock (_changing)
        {
            if (Find(key) is null) return;
            Volatile.Write(ref PlaceOf(key), null);
            _count--;
        }
    }

    private ref T? PlaceOf(int key)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(key);
        var number = key >> Bits;
        if (number >= _pages.Length)
        {
            var more = new T?[]?[Math.Max(number + 1, _pages.Length + (_pages.Length / 2))];
            _pages.CopyTo(more, 0);
            _pages = more;
        }

        if (_pages[number] is null) Volatile.Write(ref _pages[number], new T?[Size]);
        return ref _pages[number]![key & (Size - 1)];
    }
}
