using System.Collections.Concurrent;

namespace Tollgate.Gateway;

/// <summary>Consumers by name: kept only while an API takes tokens or lets anonymous callers in, since a million of them
/// cost some hundred megabytes.</summary>
internal sealed class ConsumerNames
{
    private readonly ConcurrentDictionary<string, ConsumerEntry> _byUsername = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ConsumerEntry> _byCustomId = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ConsumerEntry> _byId = new(StringComparer.Ordinal);

    public ConsumerNames(IEnumerable<ConsumerEntry> all)
    {
        foreach (var consumer in all) Put(consumer);
    }

    public void Put(ConsumerEntry consumer)
    {
        _byUsername[consumer.Username] = consumer;
        _byId[consumer.Id] = consumer;
        if (consumer.CustomIdHeader is not null) _byCustomId[consumer.CustomId!] = consumer;
    }

    public void Remove(ConsumerEntry consumer)
    {
        _byUsername.TryRemove(KeyValuePair.Create(consumer.Username, consumer));
        _byId.TryRemove(KeyValuePair.Create(consumer.Id, consumer));
        if (consumer.CustomId is { } custom) _byCustomId.TryRemove(KeyValuePair.Create(custom, consumer));
    }

    /// <summary>By username, else by custom id, else by id: as everywhere.</summary>
    public ConsumerEntry? Find(string name) =>
        _byUsername.GetValueOrDefault(name) ?? _byCustomId.GetValueOrDefault(name) ?? _byId.GetValueOrDefault(name);
}
