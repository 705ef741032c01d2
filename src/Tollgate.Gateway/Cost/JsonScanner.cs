using System.Buffers;
using System.Text.Json;
using Tollgate.Catalog;

namespace Tollgate.Gateway.Cost;

/// <summary>Hears of a value that one of the paths of a <see cref="JsonScanner"/> names.</summary>
/// <param name="path">Which of them.</param>
/// <param name="value">A number's digits, or a text without its quotes and escapes; empty for anything else.</param>
/// <param name="isText">Whether it was a text.</param>
internal delegate void FoundValue(int path, ReadOnlySpan<byte> value, bool isText);

/// <summary>
/// Finds values in JSON texts as they pass, in pieces of any size, and keeps nothing but where it is: some hundred
/// bytes, however large the text. Texts may follow each other (JSON lines). What is no JSON ends the reading until
/// <see cref="Restart"/>; the call that carries it goes on.
/// </summary>
internal sealed class JsonScanner(JsonPath[] paths, FoundValue found)
{
    private static readonly SearchValues<byte> s_afterScalar = SearchValues.Create(",}] \n\r\t\u001E"u8);

    private const int MostKept = 1_024, MaxDepth = 1_024;

    // of each open container whether it is an object; which item of it comes, as far down as a path can lead
    private readonly ulong[] _objects = new ulong[MaxDepth / 64];
    private readonly int[] _items = new int[JsonPath.MaxSteps + 1];

    // how many steps of each path lead to where the scanner is
    private readonly int[] _matched = new int[paths.Length];
    private readonly byte[] _kept = new byte[MostKept];
    private int _length;
    private int _depth;
    private State _state;
    private bool _keeps, _escaped, _hasEscape;

    private enum State : byte { Value, ValueOrEnd, Key, KeyOrEnd, Colon, Next, InKey, InText, InScalar, Broken }

    /// <summary>No JSON came since the last restart.</summary>
    public bool IsBroken => _state == State.Broken;

    /// <summary>In the middle of a value: the text was cut short.</summary>
    public bool IsInside => _depth > 0 || _state is State.InText;

    /// <summary>A new text begins.</summary>
    public void Restart()
    {
        (_depth, _length, _state, _keeps, _escaped, _hasEscape) = (0, 0, State.Value, false, false, false);
        Array.Clear(_matched);
    }

    public void Scan(ReadOnlySpan<byte> text)
    {
        while (!text.IsEmpty && _state != State.Broken)
        {
            if (_state is State.InKey or State.InText) text = text[String(text)..];
            else if (_state == State.InScalar) text = text[Scalar(text)..];
            else
            {
                Token(text[0]);
                text = text[1..];
            }
        }
    }

    /// <summary>The text is over: where it is nothing but a number, that is one now. A number inside of something that never
    /// ended is a part of one, of which nobody knows how much is missing.</summary>
    public void End()
    {
        if (_state == State.InScalar && _depth == 0) EndScalar();
    }

    private void Token(byte c)
    {
        // a record separator stands between texts (RFC 7464)
        if (c is (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t' or 0x1E) return;
        switch (_state)
        {
            case State.Value:
            case State.ValueOrEnd when c != ']':
                BeginValue(c);
                break;
            case State.ValueOrEnd:
                Close(isObject: false);
                break;
            case State.Key:
            case State.KeyOrEnd when c != '}':
                if (c == '"') BeginText(State.InKey, _depth <= JsonPath.MaxSteps && AnyAt(_depth - 1));
                else _state = State.Broken;
                break;
            case State.KeyOrEnd:
                Close(isObject: true);
                break;
            case State.Colon:
                _state = c == ':' ? State.Value : State.Broken;
                break;
            case State.Next:
                Next(c);
                break;
        }
    }

    private void BeginValue(byte c)
    {
        if (c is (byte)'{' or (byte)'[') Open(c == '{');
        else if (c == '"') BeginText(State.InText, IsWanted());
        else if (c is (byte)'-' or (byte)'t' or (byte)'f' or (byte)'n' or (>= (byte)'0' and <= (byte)'9'))
        {
            (_length, _keeps, _state) = (0, IsWanted(), State.InScalar);
            Keep(c);
        }
        else _state = State.Broken;
    }

    private void BeginText(State state, bool keeps) =>
        (_length, _keeps, _escaped, _hasEscape, _state) = (0, keeps, false, false, state);

    private void Open(bool isObject)
    {
        if (_depth == MaxDepth)
        {
            _state = State.Broken;
            return;
        }

        var bit = 1UL << (_depth & 63);
        ref var word = ref _objects[_depth >> 6];
        word = isObject ? word | bit : word & ~bit;
        _depth++;
        _state = isObject ? State.KeyOrEnd : State.ValueOrEnd;
        if (!isObject) EnterItem(0);
    }

    private void Close(bool isObject)
    {
        if (_depth == 0 || IsObject != isObject)
        {
            _state = State.Broken;
            return;
        }

        _depth--;
        for (var i = 0; i < _matched.Length; i++) _matched[i] = Math.Min(_matched[i], _depth);
        EndValue();
    }

    private bool IsObject => (_objects[(_depth - 1) >> 6] & (1UL << ((_depth - 1) & 63))) != 0;

    private void Next(byte c)
    {
        if (c == ',')
        {
            _state = IsObject ? State.Key : State.Value;
            if (!IsObject && _depth <= JsonPath.MaxSteps) EnterItem(_items[_depth] + 1);
        }
        else if (c is (byte)'}' or (byte)']') Close(c == '}');
        else _state = State.Broken;
    }

    private void EndValue()
    {
        if (_depth > 0)
        {
            _state = State.Next;
            return;
        }

        Array.Clear(_matched);
        _state = State.Value;
    }

    private void EnterItem(int index)
    {
        if (_depth > JsonPath.MaxSteps) return;
        _items[_depth] = index;
        for (var i = 0; i < paths.Length; i++)
        {
            if (_matched[i] < _depth - 1) continue;
            var steps = paths[i].Steps;
            _matched[i] = steps.Count >= _depth && steps[_depth - 1] is { Name: null } step && step.Index == index
                ? _depth : _depth - 1;
        }
    }

    private void EnterMember(ReadOnlySpan<byte> name)
    {
        for (var i = 0; i < paths.Length; i++)
        {
            if (_matched[i] < _depth - 1) continue;
            var steps = paths[i].Steps;
            _matched[i] = steps.Count >= _depth && steps[_depth - 1] is { Name: not null } step
                && name.SequenceEqual(step.Utf8) ? _depth : _depth - 1;
        }
    }

    private bool AnyAt(int steps)
    {
        foreach (var matched in _matched)
            if (matched >= steps) return true;
        return false;
    }

    private bool IsWanted()
    {
        for (var i = 0; i < paths.Length; i++)
            if (_matched[i] == _depth && paths[i].Steps.Count == _depth) return true;
        return false;
    }

    /// <returns>How many bytes were taken.</returns>
    private int String(ReadOnlySpan<byte> text)
    {
        if (_escaped)
        {
            _escaped = false;
            Keep(text[0]);
            return 1;
        }

        var end = text.IndexOfAny((byte)'"', (byte)'\\');
        Keep(text[..(end < 0 ? text.Length : end)]);
        if (end < 0) return text.Length;
        if (text[end] == '\\')
        {
            _escaped = _hasEscape = true;
            Keep((byte)'\\');
        }
        else if (_state == State.InKey)
        {
            // a name that was too long to keep is none that a path has
            if (_depth <= JsonPath.MaxSteps) EnterMember(_keeps ? Unescaped() : "\0"u8);
            _state = State.Colon;
        }
        else
        {
            Tell(_keeps ? Unescaped() : [], isText: true);
            EndValue();
        }

        return end + 1;
    }

    private int Scalar(ReadOnlySpan<byte> text)
    {
        var end = text.IndexOfAny(s_afterScalar);
        Keep(text[..(end < 0 ? text.Length : end)]);
        if (end < 0) return text.Length;
        EndScalar();
        return end;
    }

    private void EndScalar()
    {
        Tell(_keeps ? _kept.AsSpan(0, _length) : [], isText: false);
        EndValue();
    }

    private void Tell(ReadOnlySpan<byte> value, bool isText)
    {
        for (var i = 0; i < paths.Length; i++)
            if (_matched[i] == _depth && paths[i].Steps.Count == _depth) found(i, value, isText);
    }

    private void Keep(byte c)
    {
        if (!_keeps) return;
        if (_length == MostKept) _keeps = false;
        else _kept[_length++] = c;
    }

    private void Keep(ReadOnlySpan<byte> text)
    {
        if (!_keeps) return;
        if (_length + text.Length > MostKept)
        {
            _keeps = false;
            return;
        }

        text.CopyTo(_kept.AsSpan(_length));
        _length += text.Length;
    }

    private ReadOnlySpan<byte> Unescaped()
    {
        var raw = _kept.AsSpan(0, _length);
        if (!_hasEscape) return raw;
        byte[] quoted = [(byte)'"', .. raw, (byte)'"'];
        try
        {
            var reader = new Utf8JsonReader(quoted);
            reader.Read();
            return System.Text.Encoding.UTF8.GetBytes(reader.GetString()!);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return [];
        }
    }
}
