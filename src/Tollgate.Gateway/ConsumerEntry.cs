namespace Tollgate.Gateway;

/// <summary>A credential as the gate sees it; replaced whole when it changes.</summary>
/// <param name="ExpiresAt">Microseconds UTC; <see cref="long.MaxValue"/> for never.</param>
public sealed record CredentialEntry(int Key, string Id, ConsumerEntry Consumer, bool Revoked, long ExpiresAt)
{
    /// <summary>The only subscription that it is good for; null: whichever comes first.</summary>
    public string? Subscription { get; init; }

    /// <summary>Whether a call with it may belong to this subscription.</summary>
    public bool IsFor(string subscription) => Subscription is null || Subscription == subscription;
}

/// <summary>A consumer as the gate sees it. Its names live as long as it is known; who pays may change.</summary>
public sealed class ConsumerEntry(int key, string id, string username, string? customId)
{
    private volatile CustomerEntry? _customer;
    private int _hashes;

    /// <summary>Whoever calls an API that asks for no key.</summary>
    public static ConsumerEntry Anonymous { get; } = new(0, "", "anonymous", null);

    public int Key { get; } = key;

    public string Id { get; } = id;

    public string Username { get; } = username;

    /// <summary>The names as a header can carry them: what is not ASCII is percent-encoded.</summary>
    public string UsernameHeader { get; } = HeaderText(username);

    public string? CustomId { get; } = customId;

    public string? CustomIdHeader { get; } = customId is null ? null : HeaderText(customId);

    /// <summary>Under which the table holds its credentials; written only by the table, one change at a time.</summary>
    internal KeyHash[] Hashes { get; set; } = [];

    /// <summary>Adds one; <see cref="Trim"/> comes after the last.</summary>
    internal void Add(KeyHash hash)
    {
        if (Hashes.Length == 0) _hashes = 0;
        if (_hashes == Hashes.Length)
        {
            var more = new KeyHash[Math.Max(1, 2 * _hashes)];
            Hashes.CopyTo(more, 0);
            Hashes = more;
        }

        Hashes[_hashes++] = hash;
    }

    internal void Trim()
    {
        if (_hashes < Hashes.Length) Hashes = Hashes[.._hashes];
    }

    /// <summary>Stands for whatever says that it is this consumer without being a credential of ours: a token of an
    /// issuer, or nothing at an API that lets anonymous callers in. Limits by key count it apart from the keys.</summary>
    public CredentialEntry WithoutKey(string how) => new(-Key, how, this, false, long.MaxValue);

    /// <summary>Who pays; none for consumers that belong to nobody yet. Written only by the table.</summary>
    public CustomerEntry? Customer
    {
        get => _customer;
        internal set => _customer = value;
    }

    /// <summary>Highest priority first, then the older subscription.</summary>
    public EntitlementEntry[] Entitlements => _customer?.Entitlements ?? [];

    private static string HeaderText(string name) =>
        System.Text.Ascii.IsValid(name) ? name : Uri.EscapeDataString(name);
}
