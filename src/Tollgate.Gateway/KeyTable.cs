namespace Tollgate.Gateway;

/// <summary>
/// Credentials by the hash of their key. There may be a million of them, so each is one object and one place in an array, and
/// nothing stands between (decision 0084). Whoever looks one up takes no lock and never misses one that is there; changes take
/// turns and cost the same however many there are, but for the moments in which the array becomes too small.
/// </summary>
internal sealed class KeyTable
{
    private const int Least = 64;

    // Stands where one was taken out: whoever looks for another goes on behind it.
    private static readonly CredentialEntry s_gone =
        new(0, default, Guid.Empty, ConsumerEntry.Anonymous, revoked: true, expiresAt: 0);

    private readonly Lock _changing = new();

    // A power of two, at most three quarters of it in use; open addressing, one step at a time.
    private volatile CredentialEntry?[] _places;

    // Of the places, those that are not free: also where one was taken out.
    private int _used;
    private int _count;

    /// <param name="room">For so many it does not have to grow.</param>
    public KeyTable(int room = 0) => _places = new CredentialEntry?[PlacesFor(room)];

    public int Count => Volatile.Read(ref _count);

    public CredentialEntry? Find(in KeyHash hash)
    {
        var places = _places;
        for (var at = (int)hash.A; ; at++)
        {
            at &= places.Length - 1;
            var entry = Volatile.Read(ref places[at]);
            if (entry is null) return null;
            if (entry.Hash == hash && !ReferenceEquals(entry, s_gone)) return entry;
        }
    }

    /// <summary>Adds it, or puts it in the place of the one with the same hash.</summary>
    public void Put(CredentialEntry entry)
    {
        lock (_changing)
        {
            var at = PlaceOf(entry.Hash);
            if (_places[at] is null)
            {
                if ((_used + 1) * 4L > _places.Length * 3L)
                {
                    Renew(_count + 1);
                    at = PlaceOf(entry.Hash);
                }

                _used++;
            }

            if (_places[at] is null || ReferenceEquals(_places[at], s_gone)) _count++;
            Volatile.Write(ref _places[at], entry);
        }
    }

    /// <summary>Takes this very entry out; one that has come into its place stays.</summary>
    public void Remove(CredentialEntry entry)
    {
        lock (_changing)
        {
            var at = PlaceOf(entry.Hash);
            if (!ReferenceEquals(_places[at], entry)) return;
            _count--;
            // where nothing comes behind, nobody has to go on
            var isLast = _places[(at + 1) & (_places.Length - 1)] is null;
            Volatile.Write(ref _places[at], isLast ? null : s_gone);
            for (; isLast; _used--)
            {
                at = (at - 1) & (_places.Length - 1);
                isLast = ReferenceEquals(_places[at], s_gone);
                if (isLast) Volatile.Write(ref _places[at], null);
            }
        }
    }

    /// <summary>Where it is, else where it would go.</summary>
    private int PlaceOf(in KeyHash hash)
    {
        var gone = -1;
        for (var at = (int)hash.A; ; at++)
        {
            at &= _places.Length - 1;
            if (_places[at] is not { } entry) return gone >= 0 ? gone : at;
            if (ReferenceEquals(entry, s_gone)) gone = gone < 0 ? at : gone;
            else if (entry.Hash == hash) return at;
        }
    }

    /// <summary>Another array, with all that are there: larger, or only without the places of those that went.</summary>
    private void Renew(int room)
    {
        var old = _places;
        var places = new CredentialEntry?[PlacesFor(room)];
        foreach (var entry in old)
        {
            if (entry is null || ReferenceEquals(entry, s_gone)) continue;
            var at = (int)entry.Hash.A & (places.Length - 1);
            while (places[at] is not null) at = (at + 1) & (places.Length - 1);
            places[at] = entry;
        }

        _used = _count;
        _places = places;
    }

    private static int PlacesFor(int room) =>
        (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(Least, room + (room / 2L)));
}
