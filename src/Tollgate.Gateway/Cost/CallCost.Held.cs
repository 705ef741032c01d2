using Tollgate.Config;

namespace Tollgate.Gateway.Cost;

/// <content>Calls that are held to what was set aside for them: what they cost beyond that needs room of its own, and where
/// there is none it is not billed.</content>
internal sealed partial class CallCost
{
    private (bool Known, long Units)[]? _delivered;

    /// <summary>Finds room for all that was used so far.</summary>
    /// <param name="call">Whose cost this is.</param>
    /// <param name="toTheEnd">The call is over: what has no room is written off.</param>
    /// <param name="overrun">Told of what is written off: the meter, and units.</param>
    /// <returns>False when there was none for some of it.</returns>
    public bool Hold(GateCall call, bool toTheEnd, Action<string, double>? overrun = null)
    {
        ref var decision = ref call.Decision;
        (decision.NeedsLease, decision.NeedsCredit) = (false, false);
        var covered = true;
        for (var i = 0; i < _used.Length; i++)
        {
            var meter = operation.Meters[i];
            var units = meter.Source == UnitSource.Call && !_used[i].Known ? 1 : Now(i);
            if (!meter.IsAdditive || units is not { } used) continue;
            var beyond = used - _used[i].WrittenOff - _used[i].Settled - SetAside(i);
            if (beyond <= 0) continue;
            var more = Gate.Extend(ref decision, call.Operation!, meter, beyond);
            _used[i].Extra += more;
            if (more == beyond) continue;
            covered = false;
            if (!toTheEnd) continue;
            _used[i].WrittenOff += beyond - more;
            overrun?.Invoke(meter.Name, (double)((beyond - more) / meter.One));
        }

        if (Calls <= decision.Units) return covered;
        decision.Units += Gate.Extend(ref decision, call.Operation!, null, Calls - decision.Units);
        if (Calls <= decision.Units) return covered;
        if (toTheEnd)
        {
            overrun?.Invoke(Catalog.Meter.CallsName, Calls - decision.Units);
            Calls = decision.Units;
        }

        return false;
    }

    /// <summary>What the body has told up to here goes on to the caller.</summary>
    public void Mark()
    {
        _delivered ??= new (bool, long)[_used.Length];
        for (var i = 0; i < _used.Length; i++) _delivered[i] = (_used[i].Known, _used[i].Units);
    }

    /// <summary>What it has told since does not go on, and costs nothing. A value that was told for the first time stands: what it
    /// is of went on before it.</summary>
    public void Unsay()
    {
        for (var i = 0; i < _used.Length; i++)
            if (_delivered![i].Known) _used[i].Units = _delivered[i].Units;
    }

    /// <summary>The call is over and costs nothing: all that is set aside for it is freed.</summary>
    public void Free(bool nothingSetAside)
    {
        for (var i = 0; i < _used.Length; i++) _spent[i] = new Spent(nothingSetAside ? 0 : SetAside(i), 0);
    }

    /// <summary>What is set aside for it now, × 10^scale.</summary>
    private long SetAside(int i) => operation.Meters[i].Reserve + _used[i].Extra - _used[i].Freed;
}
