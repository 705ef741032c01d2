using System.Globalization;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <summary>
/// What this node may admit of a sliding window or a bucket that all nodes share. Such a window has an instant for each
/// admission, so nothing can be leased ahead of it: an admission is asked for when a call waits for it, and used or given
/// back within a tenth of a second. Belongs to a pool, whose lock guards it. What this node itself has admitted is counted
/// where it always is.
/// </summary>
internal sealed class SharedWindow(string prefix, WindowCounter own)
{
    /// <summary>An admission that was given may be used for so long; milliseconds.</summary>
    private const long Fresh = 100;

    private const long Idle = 5_000;
    private const long MostQuiet = 250;

    /// <summary>Steps of a sliding window up to <see cref="WindowCounter.MostExact"/>, and of a larger one.</summary>
    private const long Fine = 3_600, Coarse = 60;

    private CompiledLimit? _limit;
    private long _step;
    private bool _known, _forgotten;
    private long _given, _givenAt, _givenUntil;
    private long _left, _wait, _heardAt, _ownThen;
    private bool _heard;
    private OwnPart? _part;

    public string Key { get; private set; } = "";

    /// <summary>Admissions that calls wait for.</summary>
    public long Demand { get; set; }

    public long UsedAt { get; set; }

    /// <summary>Until then asking again would be told the same.</summary>
    public long QuietUntil { get; private set; }

    /// <summary>A changed limit goes on with the same counter, unless its steps are others.</summary>
    public void For(CompiledLimit limit)
    {
        if (ReferenceEquals(_limit, limit)) return;
        (_limit, QuietUntil) = (limit, 0);
        var parts = limit.Count <= WindowCounter.MostExact ? Fine : Coarse;
        var step = limit.Kind == WindowKind.Bucket ? 1 : (limit.Length + parts - 1) / parts;
        if (step == _step) return;
        (_step, _known, _given, _heard) = (step, false, 0, false);
        Key = limit.Kind == WindowKind.Bucket ? prefix : FormattableString.Invariant($"{prefix}:{step}");
    }

    public bool HasAt(long now) => _given > 0 && now < _givenUntil;

    /// <summary>What is left of all, and when there is more; as far as this node heard.</summary>
    public void Tell(ref LimitState state, long now, long business)
    {
        var ownUsed = _limit!.Count - state.Remaining;
        if (!HasAt(now) && now >= QuietUntil) _ownThen = ownUsed;
        // what was heard of an empty one holds until it is asked again
        if (!_heard || _left + _given >= state.Remaining || (_left + _given == 0 && now >= QuietUntil)) return;
        state.Remaining = _left + _given;
        state.ResetAt = business + Math.Max(1, _wait - (now - _heardAt) * 1_000);
    }

    /// <summary>A call was admitted.</summary>
    public void Use(Sharing sharing, long now)
    {
        UsedAt = now;
        if (sharing == Sharing.Leased && _given > 0) _given--;
        else if (sharing == Sharing.Share) _part?.Add();
    }

    /// <summary>While nobody can be asked: how many more this node may admit as its fair part.</summary>
    public long Part(in LimitState own, int nodes, long now)
    {
        if (_limit!.Kind == WindowKind.Bucket)
        {
            _part ??= new OwnPart(_limit, nodes, _heard && (now - _heardAt) * 1_000 < _limit.Reach ? _left / nodes : null, now);
            return _part.Left(now);
        }

        // of before it was heard, everything has left the window one length later
        var most = _heard && (now - _heardAt) * 1_000 < _limit.Length ? _ownThen + _given + _left / nodes : _limit.Count / nodes;
        return Math.Max(0, most - (_limit.Count - own.Remaining));
    }

    /// <summary>All nodes count together again.</summary>
    public void Rejoin() => _part = null;

    public bool IsAtRest(long now) => _given == 0 && Demand == 0 && now - UsedAt > Idle;

    /// <summary>Whether something lies here that no call used.</summary>
    public bool IsOverdue(long now) => Demand > 0 || (_given > 0 && now >= _givenUntil);

    /// <summary>What to ask; what was not used is given back with it.</summary>
    public WindowQuestion Ask(long business)
    {
        var limit = _limit!;
        var tells = _known ? "?" : (_forgotten ? "!" : "") + History(limit, business);
        var question = new WindowQuestion(Key, limit.Kind == WindowKind.Bucket, limit.Count, limit.Length, _step,
            limit.Burst, Demand, _given, _givenAt, tells);
        (Demand, _given) = (0, 0);
        return question;
    }

    /// <returns>True when it has to be asked again at once.</returns>
    public bool Take(in WindowQuestion question, in WindowAnswer answer, long now)
    {
        if (question.Key != Key) return false;
        if (answer.Granted == WindowAnswer.Forgotten)
        {
            (_known, _forgotten, Demand) = (false, true, Demand + question.Demand);
            return true;
        }

        (_known, _forgotten, _heard, _heardAt) = (true, false, true, now);
        (_given, _givenAt, _givenUntil) = (answer.Granted, answer.At, now + Fresh);
        (_left, _wait) = (answer.Left, answer.Wait);
        if (answer.Granted < question.Demand) QuietUntil = now + Math.Clamp(answer.Wait / 1_000, 1, MostQuiet);
        return false;
    }

    /// <summary>What this process knows, as steps ago and admissions; of a bucket only whether it is empty.</summary>
    private string History(CompiledLimit limit, long business)
    {
        if (own.IsIdle(business)) return "";
        if (limit.Kind == WindowKind.Bucket) return "0:1";
        var steps = new SortedDictionary<long, long>();
        own.ForEach((at, count) =>
        {
            var age = Math.Max(0, business - at) / _step;
            steps[age] = steps.GetValueOrDefault(age) + count;
        });
        return string.Join(',', steps.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Key}:{s.Value}")));
    }

    /// <summary>The part of one node of a bucket: it holds and drains so much less.</summary>
    private sealed class OwnPart
    {
        private readonly long _holds;
        private readonly Int128 _unit;
        private readonly long _rate;
        private Int128 _debt;
        private long _at;

        public OwnPart(CompiledLimit limit, int nodes, long? left, long now)
        {
            (_holds, _unit, _rate, _at) = (Math.Max(1, limit.Burst / nodes), (Int128)limit.Length * nodes, limit.Count, now);
            _debt = left is { } room ? Math.Max(0, _holds - room) * _unit : 0;
        }

        public long Left(long now)
        {
            _debt = Int128.Max(0, _debt - (Int128)(now - _at) * 1_000 * _rate);
            _at = now;
            return (long)Int128.Max(0, (_holds * _unit - _debt) / _unit);
        }

        public void Add() => _debt += _unit;
    }
}
