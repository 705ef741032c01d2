using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>How far the time of an event may lie from now, business time.</summary>
public sealed record EventOptions
{
    /// <summary>Older events are refused: what is older than identities are remembered could count twice.</summary>
    public TimeSpan MostPast { get; init; } = TimeSpan.FromDays(EventIdentities.KeepDays);

    /// <summary>Clocks differ a little; more than this is a mistake of the sender's.</summary>
    public TimeSpan MostFuture { get; init; } = TimeSpan.FromHours(1);
}

/// <summary>
/// Takes events from outside into the journal. Each is judged for itself: what is accepted is in the journal when the
/// call returns, and survives the process. Whether it was counted before is decided when it is drained.
/// </summary>
public sealed class EventIntake(
    UsageJournal journal, Database database, TimeProvider business, EventOptions options)
{
    /// <summary>Events in one request.</summary>
    public const int MostEvents = 10_000;

    /// <summary>Characters of an id or a source.</summary>
    public const int LongestId = 512;

    /// <summary>Characters of a subject, a type or the value of a dimension.</summary>
    public const int LongestText = 255;

    private readonly EventKeyStore _keys = new(database);
    private long _accepted, _rejected, _turnedAway;

    /// <summary>Events since the start: accepted, rejected for a fault of theirs, and turned away for want of room in the
    /// journal, to be sent again.</summary>
    public (long Accepted, long Rejected, long TurnedAway) Seen =>
        (Interlocked.Read(ref _accepted), Interlocked.Read(ref _rejected), Interlocked.Read(ref _turnedAway));

    /// <summary>Swapped whole when what is published changes.</summary>
    public EventTypes Types { get; set; } = EventTypes.None;

    /// <summary>Judges events and writes those that are right, all of them or none. Null, and nothing written, when the
    /// journal has no room, or a strict one no disk (<see cref="UsageJournal.Trouble"/> says why).</summary>
    public async Task<IReadOnlyList<EventAnswer>?> TakeAsync(IReadOnlyList<IncomingEvent> events)
    {
        var now = Micros.Now(business);
        var types = Types;
        var judged = new Judged[events.Count];
        var answers = new EventAnswer[events.Count];
        for (var i = 0; i < judged.Length; i++) judged[i] = Judge(types, events[i], now);
        if (Unknown(judged) is var (subjects, sets) && subjects.Count + sets.Count > 0)
            await _keys.LearnAsync(subjects, sets);
        var parts = new List<UsageEvent>(judged.Length);
        for (var i = 0; i < judged.Length; i++)
            answers[i] = new EventAnswer(events[i].Source, events[i].Id, judged[i].Fault ?? Add(parts, judged[i]));
        for (var at = 0; at < parts.Count;)
        {
            // the parts of an event are never torn; what one request writes is one piece unless it is very large
            var length = Math.Min(parts.Count - at, UsageJournal.MostEventRecords);
            while (at + length < parts.Count && !parts[at + length].IsFirst) length--;
            if (!journal.TryAppendEvents(CollectionsMarshal.AsSpan(parts).Slice(at, length)))
            {
                Interlocked.Add(ref _turnedAway, events.Count);
                return null;
            }

            at += length;
        }

        if (journal.IsStrict && parts.Count > 0 && !await IsOnDiskAsync())
        {
            Interlocked.Add(ref _turnedAway, events.Count);
            return null;
        }

        var accepted = answers.Count(a => a.Accepted);
        Interlocked.Add(ref _accepted, accepted);
        Interlocked.Add(ref _rejected, answers.Length - accepted);
        return answers;
    }

    /// <summary>False when the disk took no flush: whether the events survive a power cut is not known, and they are to be
    /// sent again, which counts nothing twice.</summary>
    private async Task<bool> IsOnDiskAsync()
    {
        try
        {
            await journal.CommitAsync();
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private Judged Judge(EventTypes types, in IncomingEvent e, long now)
    {
        try
        {
            return JudgeText(types, e, now);
        }
        catch (InvalidOperationException)
        {
            // half of a surrogate pair, which JSON can carry and a text cannot
            return Refused("bad_value", "must hold Unicode texts only", "data");
        }
    }

    private Judged JudgeText(EventTypes types, in IncomingEvent e, long now)
    {
        if (e.Fault is not null) return new Judged { Fault = e.Fault };
        if (Missing(e) is { } missing) return new Judged { Fault = missing };
        if (types.Find(e.Type!) is not { } meters)
            return Refused("type_unknown", $"No meter is fed by events of the type '{e.Type}'. Known are: " +
                $"{string.Join(", ", types.Known.Order(StringComparer.Ordinal).Take(20))}.", "type");
        if (AtOf(e, now, out var at) is { } wrong) return new Judged { Fault = wrong };
        var judged = new Judged { At = at, Subject = e.Subject!, Identity = EventHash.Identity(e.Source!, e.Id!) };
        foreach (var meter in meters)
        {
            if (!Counts(meter, e.Data)) continue;
            if (Measure(meter, e.Data, out var quantity, out var dimensions) is { } fault)
                return new Judged { Fault = fault };
            judged.Units.Add((meter.Meter.Key, quantity, dimensions));
        }

        return judged;
    }

    private static Judged Refused(string code, string detail, string field) =>
        new() { Fault = new Problem(code, detail, field) };

    private static Problem? Missing(in IncomingEvent e) =>
        Text(e.Id, "id", LongestId) ?? Text(e.Source, "source", LongestId) ?? Text(e.Type, "type", LongestText)
        ?? Text(e.Subject, "subject", LongestText);

    private static Problem? Text(string? text, string field, int longest) => string.IsNullOrEmpty(text)
        ? new Problem("missing_field", "is required", field)
        : text.Length > longest || text.AsSpan().ContainsAnyInRange('\0', '\u001F')
            ? new Problem("bad_value", $"must have 1 to {longest} characters, none of them a control character", field)
            : null;

    private Problem? AtOf(in IncomingEvent e, long now, out long at)
    {
        at = e.At ?? now;
        if (e.Time is not null && !Micros.TryParse(e.Time, out at))
            return new Problem("bad_value", "must be an RFC 3339 instant such as 2026-01-31T00:00:00Z", "time");
        if (at > now + options.MostFuture.Ticks / 10)
            return new Problem("time_in_future", $"lies more than {Said(options.MostFuture)} ahead of " +
                $"{Micros.ToText(now)} (EventOptions.MostFuture)", "time");
        if (at < now - options.MostPast.Ticks / 10)
            return new Problem("time_too_old", $"lies more than {Said(options.MostPast)} before {Micros.ToText(now)} " +
                "(EventOptions.MostPast): a retry of it could not be told from it any more", "time");
        return null;
    }

    private static string Said(TimeSpan span) =>
        span >= TimeSpan.FromDays(2) ? $"{span.TotalDays:0.#} days" : $"{span.TotalMinutes:0.#} minutes";

    private static bool Counts(EventMeter meter, JsonElement data)
    {
        foreach (var (path, values) in meter.Where)
            if (Find(data, path) is not { } value || TextOf(value) is not { } text || !values.Contains(text)) return false;
        return true;
    }

    private static Problem? Measure(EventMeter meter, JsonElement data, out long quantity, out string? dimensions)
    {
        quantity = 1;
        dimensions = null;
        if (meter.Value is { } path)
        {
            var field = "data" + path.Text[1..];
            if (Find(data, path) is not { } value)
                return new Problem("missing_field", $"is required: the meter '{meter.Meter.Name}' measures it", field);
            if (meter.Meter.Aggregation == Aggregation.UniqueCount)
            {
                if (TextOf(value) is not { Length: > 0 and <= 1_024 } text)
                    return new Problem("bad_value", "must be a text, a number or a truth value, of at most 1024 characters", field);
                quantity = EventHash.Value(Encoding.UTF8.GetBytes(text));
            }
            else if (!TryNumber(value, meter.Meter.Scale, out quantity))
                return new Problem("bad_value", $"must be a number, or a text of one, with at most {meter.Meter.Scale} " +
                    $"digits after the point and at most {Meter.MaxQuantity} × 10^-{meter.Meter.Scale} large", field);
        }

        return meter.Dimensions.Count == 0 ? null : DimensionsOf(meter, data, out dimensions);
    }

    private static Problem? DimensionsOf(EventMeter meter, JsonElement data, out string? dimensions)
    {
        dimensions = null;
        var set = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, path) in meter.Dimensions)
        {
            if (Find(data, path) is not { ValueKind: not JsonValueKind.Null } value) continue;
            if (TextOf(value) is not { } text || text.Length > LongestText)
                return new Problem("bad_value", $"must be a text, a number or a truth value of at most {LongestText} " +
                    $"characters: it is the dimension '{name}'", "data" + path.Text[1..]);
            set[name] = text;
        }

        if (set.Count > 0) dimensions = DimensionSets.Write(set);
        return null;
    }

    private static JsonElement? Find(JsonElement data, JsonPath path)
    {
        foreach (var step in path.Steps)
        {
            if (step.Name is not null)
            {
                if (data.ValueKind != JsonValueKind.Object || !data.TryGetProperty(step.Utf8, out data)) return null;
            }
            else
            {
                if (data.ValueKind != JsonValueKind.Array || step.Index >= data.GetArrayLength()) return null;
                data = data[step.Index];
            }
        }

        return data.ValueKind is JsonValueKind.Undefined ? null : data;
    }

    private static string? TextOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString(),
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
        _ => null,
    };

    private static bool TryNumber(JsonElement value, int scale, out long quantity)
    {
        quantity = 0;
        return value.ValueKind switch
        {
            JsonValueKind.Number => ScaledNumber.TryParse(JsonMarshal.GetRawUtf8Value(value), scale, out quantity),
            JsonValueKind.String => ScaledNumber.TryParse(value.GetString(), scale, out quantity),
            _ => false,
        };
    }

    private (List<string> Subjects, List<string> Sets) Unknown(Judged[] judged)
    {
        var (subjects, sets) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<string>(StringComparer.Ordinal));
        foreach (var e in judged)
        {
            if (e.Fault is not null || e.Units.Count == 0) continue;
            if (_keys.Subject(e.Subject) == 0) subjects.Add(e.Subject);
            foreach (var (_, _, dimensions) in e.Units)
                if (dimensions is not null && _keys.Set(dimensions) == 0) sets.Add(dimensions);
        }

        return ([.. subjects], [.. sets]);
    }

    /// <summary>Adds the records of an event that is right.</summary>
    private Problem? Add(List<UsageEvent> parts, Judged e)
    {
        if (e.Units.Count == 0) return null;
        var subject = _keys.Subject(e.Subject);
        if (subject == 0)
            return new Problem("too_many_subjects", $"This store has {EventKeyStore.MostSubjects:N0} subjects, which is as " +
                "many as it can tell apart.", "subject");
        var first = parts.Count;
        for (var i = 0; i < e.Units.Count; i++)
        {
            var (meter, quantity, dimensions) = e.Units[i];
            var set = dimensions is null ? 0 : _keys.Set(dimensions);
            if (dimensions is not null && set == 0)
            {
                parts.RemoveRange(first, parts.Count - first);
                return new Problem("too_many_dimension_sets", $"This store has {EventKeyStore.MostSets:N0} different sets of " +
                    "dimensions. Use dimensions that have few values: no ids or times.", "data");
            }

            parts.Add(new UsageEvent
            {
                Identity = e.Identity,
                OccurredAt = e.At,
                Subject = subject,
                Meter = meter,
                Quantity = quantity,
                Dimensions = set,
                IsFirst = i == 0,
                Left = e.Units.Count - 1 - i,
            });
        }

        return null;
    }

    private sealed class Judged
    {
        public Problem? Fault { get; init; }

        public long At { get; init; }

        public string Subject { get; init; } = "";

        public UInt128 Identity { get; init; }

        public List<(int Meter, long Quantity, string? Dimensions)> Units { get; } = new(1);
    }
}
