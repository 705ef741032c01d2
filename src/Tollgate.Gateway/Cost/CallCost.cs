using Microsoft.Extensions.Primitives;
using Tollgate.Catalog;
using Tollgate.Config;
using Tollgate.Metering;

namespace Tollgate.Gateway.Cost;

/// <summary>Why units that an upstream told were not counted.</summary>
public enum UnitFault : byte
{
    /// <summary>An item of the header is not <c>meter=number</c>.</summary>
    Syntax,

    /// <summary>The header names a meter that does not count this operation.</summary>
    UnknownMeter,

    /// <summary>The value is no number, negative, too large, or finer than the meter's scale.</summary>
    Number,

    /// <summary>The answer's body is neither JSON nor server-sent events.</summary>
    ContentType,

    /// <summary>The body is compressed, though the upstream was asked for a plain one.</summary>
    Compressed,

    /// <summary>The body is broken JSON, or ended before its value came.</summary>
    Missing,

    /// <summary>A trailer told them of a call that had been settled when its answer began.</summary>
    Late,
}

/// <summary>What one call used so far. Written by whoever carries the answer, one at a time.</summary>
internal sealed partial class CallCost(OperationCost operation, Action<UnitFault> fault)
{
    private readonly Used[] _used = new Used[operation.Meters.Length];
    private readonly Spent[] _spent = new Spent[operation.Meters.Length];

    // by path of the scanner: which meter
    private readonly int[] _ofPath = operation.Meters.Index()
        .Where(m => m.Item.Source == UnitSource.ResponseBody).Select(m => m.Index).ToArray();

    public OperationCost Operation => operation;

    /// <summary>What it used of each meter since the last part; filled when it is settled.</summary>
    public ReadOnlySpan<Spent> Spent => _spent;

    /// <summary>What the upstream's headers say of a meter; null when they say nothing, or for −1.</summary>
    public long? Told(int meter) => meter >= 0 && _used[meter].FromHeader ? _used[meter].Units : null;

    /// <summary>Units of <c>calls</c>.</summary>
    public long Calls { get; private set; } = operation.Weight;

    /// <summary>Machine time of the last part that was settled.</summary>
    public long PartAt { get; set; }

    /// <summary>Where the answer passes, if somebody must look.</summary>
    public MeteredBody? Body { get; set; }

    public long ResponseBytes { get; set; }

    public long RequestBytes { get; set; }

    /// <summary>A scanner of the values that the meters want of the answer's body.</summary>
    public JsonScanner Scanner() => new([.. _ofPath.Select(i => operation.Meters[i].Path!)], Found);

    /// <summary>Reads the upstream's word for it: <c>tokens=350, calls=2</c>. It counts before what the body says. Items
    /// that are wrong are told and do not count; of a meter that is named twice the last counts.</summary>
    public void ReadHeader(StringValues lines)
    {
        foreach (var line in lines)
            foreach (var range in line.AsSpan().Split(','))
                ReadItem(line.AsSpan()[range].Trim());
    }

    /// <summary>The body is over, wholly or not: a value that was wanted and never came is told.</summary>
    public void EndBody(UnitFault? why)
    {
        foreach (var i in _ofPath)
            if (!_used[i].Known) fault(why ?? UnitFault.Missing);
    }

    /// <summary>Writes what was used since the last part, where parts may be added up.</summary>
    public void SettlePart(UsageJournal journal, GateCall call)
    {
        if (operation.IsHeld) Hold(call, toTheEnd: false);
        for (var i = 0; i < _used.Length; i++)
        {
            var meter = operation.Meters[i];
            if (!meter.IsAdditive || meter.Source == UnitSource.Call || Now(i) is not { } units) continue;
            // what there is no room for waits for the end
            if (operation.IsHeld) units = Math.Min(units, _used[i].Settled + SetAside(i));
            if (units == _used[i].Settled) continue;
            var part = units - _used[i].Settled;
            if (!journal.TryAppendPart(MeasureOf(meter, part, call.Record.Sequence, call.Admission), out var sequence)) continue;
            var freed = Math.Min(part, SetAside(i));
            Gate.SettlePart(ref call.Decision, call.Operation!, meter, new Spent(freed, part) { Sequence = sequence });
            _used[i].Settled = units;
            _used[i].Freed += freed;
        }
    }

    /// <summary>Writes all that was used and not written yet. Called once, with a place reserved for each meter.</summary>
    /// <param name="journal">Null for a call that is not written down.</param>
    /// <param name="admission">Sequence of its admission.</param>
    /// <param name="call">Its admission.</param>
    /// <returns>How many of the places were not needed.</returns>
    public int Settle(UsageJournal? journal, ulong admission, in Admission call)
    {
        var unused = 0;
        for (var i = 0; i < _used.Length; i++)
        {
            var meter = operation.Meters[i];
            var units = meter.Source == UnitSource.Call && !_used[i].Known ? 1 : Now(i);
            units -= _used[i].WrittenOff;
            _spent[i] = new Spent(SetAside(i), (units ?? 0) - _used[i].Settled);
            if (units is null || (meter.IsAdditive && units == _used[i].Settled)) unused++;
            else if (journal?.AppendMeasured(MeasureOf(meter, units.Value - _used[i].Settled, admission, call)) is { } sequence)
                _spent[i] = _spent[i] with { Sequence = sequence };
        }

        return unused;
    }

    private static Measure MeasureOf(CostMeter meter, long units, ulong admission, in Admission call) => new()
    {
        AdmissionSequence = admission,
        Admission = call,
        Meter = meter.Key,
        Quantity = units,
    };

    /// <summary>Units of a meter up to now, × 10^scale; null when nobody has said any.</summary>
    private long? Now(int i)
    {
        if (_used[i].Known) return _used[i].Units;
        var bytes = operation.Meters[i].Source switch
        {
            UnitSource.ResponseBytes => ResponseBytes,
            UnitSource.RequestBytes => RequestBytes,
            _ => -1,
        };
        if (bytes < 0) return null;
        return (long)Math.Min(bytes * Meter.PowerOfTen(operation.Meters[i].Scale), Meter.MaxQuantity);
    }

    private void ReadItem(ReadOnlySpan<char> item)
    {
        var equals = item.IndexOf('=');
        if (equals <= 0)
        {
            if (!item.IsEmpty) fault(UnitFault.Syntax);
            return;
        }

        var name = item[..equals].Trim();
        var value = item[(equals + 1)..].Trim();
        if (name.SequenceEqual(Meter.CallsName))
        {
            if (ScaledNumber.TryParse(value, 0, out var calls) && calls >= 0) Calls = calls;
            else fault(UnitFault.Number);
            return;
        }

        for (var i = 0; i < _used.Length; i++)
        {
            var meter = operation.Meters[i];
            if (!name.SequenceEqual(meter.Name)) continue;
            if (!meter.IsUnique && ScaledNumber.TryParse(value, meter.Scale, out var units) && units >= 0)
                (_used[i].Known, _used[i].FromHeader, _used[i].Units) = (true, true, units);
            else
                fault(UnitFault.Number);
            return;
        }

        fault(UnitFault.UnknownMeter);
    }

    private void Found(int path, ReadOnlySpan<byte> value, bool isText)
    {
        ref var used = ref _used[_ofPath[path]];
        var meter = operation.Meters[_ofPath[path]];
        if (used.FromHeader || (!isText && value.SequenceEqual("null"u8))) return;
        if (meter.IsUnique && !value.IsEmpty) (used.Known, used.Units) = (true, EventHash.Value(value));
        else if (!meter.IsUnique && ScaledNumber.TryParse(value, meter.Scale, out var units) && units >= 0)
            (used.Known, used.Units) = (true, units);
        else fault(UnitFault.Number);
    }

    private struct Used
    {
        public bool Known, FromHeader;
        public long Units, Settled, Freed, Extra, WrittenOff;
    }
}
