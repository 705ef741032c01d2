namespace Tollgate.Gateway.Cost;

/// <summary>
/// Takes server-sent events apart as they pass, in pieces of any size: the bytes of their <c>data</c> fields go to a
/// scanner, which begins anew with each event. Lines end with CR, LF or both, as the standard allows.
/// </summary>
internal sealed class EventLines(JsonScanner data)
{
    private static ReadOnlySpan<byte> Field => "data:"u8;

    // −1: this line is not of data; up to 5: so much of "data:" was read; then the data
    private int _at;
    private bool _blank = true, _afterReturn;

    public void Scan(ReadOnlySpan<byte> text)
    {
        while (!text.IsEmpty)
        {
            if (_afterReturn && text[0] == '\n')
            {
                _afterReturn = false;
                text = text[1..];
                continue;
            }

            _afterReturn = false;
            var end = text.IndexOfAny((byte)'\n', (byte)'\r');
            Line(end < 0 ? text : text[..end]);
            if (end < 0) return;
            EndLine();
            _afterReturn = text[end] == '\r';
            text = text[(end + 1)..];
        }
    }

    private void Line(ReadOnlySpan<byte> part)
    {
        if (!part.IsEmpty) _blank = false;
        while (!part.IsEmpty && _at >= 0 && _at < Field.Length)
        {
            _at = part[0] == Field[_at] ? _at + 1 : -1;
            part = part[1..];
        }

        if (_at == Field.Length) data.Scan(part);
    }

    private void EndLine()
    {
        if (_blank)
        {
            data.End();
            data.Restart();
        }
        else if (_at == Field.Length)
        {
            // the lines of one event are joined by a line feed
            data.Scan("\n"u8);
        }

        (_at, _blank) = (0, true);
    }
}
