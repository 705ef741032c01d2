using Tollgate.Catalog;

namespace Tollgate.Gateway;

/// <summary>A credential as the gate sees it; replaced whole when it changes. There may be a million of them.</summary>
public class CredentialEntry
{
    private readonly Guid _id;

    internal CredentialEntry(int key, in KeyHash hash, Guid id, ConsumerEntry consumer, bool revoked, long expiresAt) =>
        (Key, Hash, _id, Consumer, Revoked, ExpiresAt) = (key, hash, id, consumer, revoked, expiresAt);

    public int Key { get; }

    public virtual string Id => IdText.Of<Credential>(_id);

    public ConsumerEntry Consumer { get; }

    public bool Revoked { get; }

    /// <summary>Microseconds UTC; <see cref="long.MaxValue"/> for never.</summary>
    public long ExpiresAt { get; }

    /// <summary>The only subscription that it is good for; null: whichever comes first.</summary>
    public virtual string? Subscription => null;

    /// <summary>Under which the table holds it.</summary>
    internal KeyHash Hash { get; }

    /// <summary>Another one of the consumer; see <see cref="ConsumerEntry.Credentials"/>.</summary>
    internal CredentialEntry? Next { get; set; }

    /// <summary>Whether a call with it may belong to this subscription.</summary>
    public bool IsFor(string subscription) => Subscription is null || Subscription == subscription;

    /// <summary>With the id as it is written, in as little memory as it takes.</summary>
    internal static CredentialEntry New(
        int key, in KeyHash hash, string id, ConsumerEntry consumer, bool revoked, long expiresAt, string? subscription) =>
        subscription is null && IdText.TryPack<Credential>(id, out var packed)
            ? new CredentialEntry(key, hash, packed, consumer, revoked, expiresAt)
            : new Particular(key, hash, id, consumer, revoked, expiresAt, subscription);

    /// <summary>One with an id that others do not have the form of, or bound to a subscription.</summary>
    private sealed class Particular(
        int key, in KeyHash hash, string id, ConsumerEntry consumer, bool revoked, long expiresAt, string? subscription)
        : CredentialEntry(key, hash, default, consumer, revoked, expiresAt)
    {
        public override string Id { get; } = id;

        public override string? Subscription { get; } = subscription;
    }
}

/// <summary>A consumer as the gate sees it. What it is called and who pays may change; written only by the table.</summary>
public sealed class ConsumerEntry(int key, string id, string username, string? customId)
{
    private volatile CustomerEntry? _customer;
    private volatile string[] _groups = [];

    /// <summary>Whoever calls an API that asks for no key.</summary>
    public static ConsumerEntry Anonymous { get; } = new(0, "", "anonymous", null);

    public int Key { get; } = key;

    public string Id { get; } = id;

    public string Username { get; private set; } = username;

    /// <summary>The names as a header can carry them: what is not ASCII is percent-encoded.</summary>
    public string UsernameHeader => HeaderText(Username);

    public string? CustomId { get; private set; } = customId;

    public string? CustomIdHeader => CustomId is null ? null : HeaderText(CustomId);

    /// <summary>The first of its credentials, which leads to the others; written only by the table, one change at a time.
    /// </summary>
    internal CredentialEntry? Credentials { get; set; }

    /// <summary>Stands for whatever says that it is this consumer without being a credential of ours: a token of an
    /// issuer, or nothing at an API that lets anonymous callers in. Limits by key count it apart from the keys.</summary>
    public CredentialEntry WithoutKey(string how) =>
        CredentialEntry.New(-Key, default, how, this, revoked: false, long.MaxValue, subscription: null);

    /// <summary>Without a name of its own in metrics, for good: asked at each call, of a consumer whose place in memory was just
    /// read anyway.</summary>
    internal bool IsNameless { get; set; }

    /// <summary>Groups that APIs admit or keep out, beside its plans; nearly always none. Written only by the table.</summary>
    public string[] Groups
    {
        get => _groups;
        internal set => _groups = value;
    }

    /// <summary>Who pays; none for consumers that belong to nobody yet. Written only by the table.</summary>
    public CustomerEntry? Customer
    {
        get => _customer;
        internal set => _customer = value;
    }

    /// <summary>Highest priority first, then the older subscription.</summary>
    public EntitlementEntry[] Entitlements => _customer?.Entitlements ?? [];

    /// <summary>A call that is under way may see the one name of before and the other of after.</summary>
    internal void Rename(string username, string? customId) => (Username, CustomId) = (username, customId);

    private static string HeaderText(string name) =>
        System.Text.Ascii.IsValid(name) ? name : Uri.EscapeDataString(name);
}
