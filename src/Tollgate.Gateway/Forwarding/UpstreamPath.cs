using Tollgate.Config;
using Tollgate.Gateway.Routing;

namespace Tollgate.Gateway.Forwarding;

/// <summary>The path of an operation as its upstream has it: the canonical one, without its prefix, or another with the same
/// parameters. It is made of nothing but what was gated.</summary>
internal sealed class UpstreamPath
{
    private readonly int _strip;

    // text, and after it the caller's segment of this number; −1 for none
    private readonly (string Text, int Segment)[]? _parts;

    // made once for each server where there is but one path
    private readonly bool _isOne;
    private readonly Made?[] _made;

    public UpstreamPath(PublishedOperation operation, int targets)
    {
        _strip = operation.Rewrite is null ? operation.StripPrefix.Length : 0;
        _isOne = !operation.IsPrefix && !operation.Template.Contains('{');
        _made = new Made?[targets];
        if (operation.Rewrite is not { } rewrite) return;
        var segments = operation.Template.Split('/');
        var parts = new List<(string, int)>();
        var text = "";
        foreach (var segment in rewrite.Split('/').Skip(1))
        {
            text += "/";
            if (!segment.StartsWith('{')) text += segment;
            else
            {
                parts.Add((text, Array.IndexOf(segments, segment)));
                text = "";
            }
        }

        if (text.Length > 0) parts.Add((text, -1));
        _parts = [.. parts];
    }

    /// <summary>The address for a call, to the letter: nothing re-encodes it on the way.</summary>
    /// <param name="index">Of the server among those of the API.</param>
    public Uri For(in CanonicalTarget target, CompiledTarget server, int index)
    {
        var made = Volatile.Read(ref _made[index]);
        if (made is not null && made.Of == target.Text) return made.Uri;
        var path = _parts is null ? Stripped(target) : Rewritten(target);
        var uri = new Uri(string.Concat(server.Authority, server.BasePath, path),
            new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
        if (_isOne && target.Query.IsEmpty) Volatile.Write(ref _made[index], new Made(target.Text, uri));
        return uri;
    }

    private ReadOnlySpan<char> Stripped(in CanonicalTarget target)
    {
        var text = target.Text.AsSpan(_strip);
        return text.IsEmpty || text[0] != '/' ? string.Concat("/", text) : text;
    }

    private string Rewritten(in CanonicalTarget target)
    {
        var path = new System.Text.StringBuilder(target.Text.Length);
        foreach (var (text, segment) in _parts!)
        {
            path.Append(text);
            if (segment < 0) continue;
            var i = 0;
            foreach (var range in target.Path.Split('/'))
            {
                if (i++ != segment) continue;
                path.Append(target.Path[range]);
                break;
            }
        }

        return path.Append(target.Query).ToString();
    }

    private sealed record Made(string Of, Uri Uri);
}
