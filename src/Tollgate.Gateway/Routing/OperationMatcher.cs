using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace Tollgate.Gateway.Routing;

/// <summary>
/// One way to reach an operation. <paramref name="Template"/> is made of literal segments and of parameters
/// (<c>{name}</c>), each of which stands for exactly one segment that is not empty.
/// </summary>
/// <param name="Method">The method, case-sensitive (RFC 9110, 9.1); null for any.</param>
/// <param name="Template">What <see cref="OperationMatcher.TryParseTemplate"/> accepts.</param>
/// <param name="IsPrefix">
/// Whether everything below belongs to it as well: <c>/v1</c> is <c>/v1</c>, <c>/v1/</c> and <c>/v1/x</c>, never
/// <c>/v10</c>; <c>/v1/</c> is the same without <c>/v1</c>; <c>/</c> is everything.
/// </param>
/// <param name="Value">What a match answers.</param>
public sealed record OperationPattern<T>(string? Method, string Template, bool IsPrefix, T Value);

/// <summary>The rules of templates, for those who read them before there is anything to match.</summary>
public static class OperationMatcher
{
    /// <summary>The deepest template. It bounds the recursion of a match; the paths of callers may be deeper.</summary>
    public const int MaxSegments = 64;

    private static readonly SearchValues<char> InName =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    /// <summary>Whether a template can be matched; if not, <paramref name="error"/> says what would be right.</summary>
    public static bool TryParseTemplate(string template, out string error)
    {
        ArgumentNullException.ThrowIfNull(template);
        error = FindError(template) ?? "";
        return error.Length == 0;
    }

    private static string? FindError(string template)
    {
        if (!template.StartsWith('/')) return $"A template starts with '/': write '/{template}'.";
        if (template.Contains('*'))
            return "'*' stands for nothing in a template: write {name} for one segment, "
                + "or declare a prefix for everything below.";
        if (template.AsSpan().ContainsAny('?', '#'))
            return $"A template is a path without query and fragment: write '{template.Split('?', '#')[0]}'.";

        var segments = template[1..].Split('/');
        if (segments.Length > MaxSegments)
            return $"A template has at most {MaxSegments} segments, this one has {segments.Length}: "
                + "declare a prefix of it.";

        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var segment in segments)
            if (FindParameterError(segment, names) is { } error)
                return error;

        return FindSpellingError(template, names);
    }

    private static string? FindParameterError(string segment, HashSet<string> names)
    {
        if (!segment.AsSpan().ContainsAny('{', '}')) return null;
        if (!segment.StartsWith('{') || segment.IndexOf('}', StringComparison.Ordinal) != segment.Length - 1)
            return $"A parameter is a whole segment, but '{segment}' is more than one: write '/{{name}}'.";

        var name = segment[1..^1];
        if (name.Length == 0) return "A parameter has a name: write '{name}' instead of '{}'.";
        if (name.AsSpan().ContainsAnyExcept(InName))
            return $"A parameter's name is made of ASCII letters, digits, '_' and '-', but '{segment}' is not: "
                + "write '{name}'.";
        return names.Add(name)
            ? null
            : $"A parameter stands once in a template, but '{segment}' stands twice: give each its own name.";
    }

    private static string? FindSpellingError(string template, HashSet<string> names)
    {
        if (!CanonicalPath.TryRead(template, host: null, out var target))
            return $"'{template}' can never match, since requests of this form are refused as ambiguous: "
                + "write it without %2F, %5C, '\\', ';', control characters, doubled or broken escapes, "
                + "and write what is not ASCII as the escapes of its UTF-8.";

        // The canonical form escapes braces; there are none in the template but those of its parameters.
        var escaped = template
            .Replace("{", "%7B", StringComparison.Ordinal)
            .Replace("}", "%7D", StringComparison.Ordinal);
        if (target.Path.SequenceEqual(escaped)) return null;

        var right = target.Text;
        foreach (var name in names) right = right.Replace($"/%7B{name}%7D", $"/{{{name}}}", StringComparison.Ordinal);
        return $"'{template}' can never match, since paths are matched in canonical form: write '{right}'.";
    }
}

/// <summary>
/// Finds the operation of a request. Exact templates come before prefixes, longer prefixes before shorter ones, at each
/// segment a literal before a parameter, on one path a method's own pattern before one for any method. HEAD takes GET's
/// pattern where it has none of its own. What has no pattern for the method is passed over.
/// </summary>
/// <remarks>
/// Immutable once built. The patterns form a tree, and a match visits a node at most once: from each node it descends
/// into the one literal child of that name, then into the one parameter. So a path costs at most
/// <see cref="MostSteps"/>, however long it is; siblings, and with them the number of operations, cost nothing.
/// </remarks>
public sealed class OperationMatcher<T>
    where T : class
{
    private readonly Node _root;

    private OperationMatcher(Node root)
    {
        _root = root;
        MostSteps = root.MostSteps();
    }

    /// <summary>
    /// No path makes a match visit more nodes than this. It grows with the depth of templates, and where literals and
    /// parameters stand beside each other at many levels.
    /// </summary>
    public int MostSteps { get; }

    /// <summary>Compiles the patterns; their order does not matter.</summary>
    /// <exception cref="ArgumentException">
    /// A template is malformed, or two patterns match the same requests with the same rank. Names it, or both.
    /// </exception>
    public static OperationMatcher<T> Build(IEnumerable<OperationPattern<T>> patterns)
    {
        ArgumentNullException.ThrowIfNull(patterns);
        var root = new Node();
        foreach (var pattern in patterns)
        {
            if (!OperationMatcher.TryParseTemplate(pattern.Template, out var error))
                throw new ArgumentException(error, nameof(patterns));
            if (pattern.Method is "")
                throw new ArgumentException($"'{pattern.Template}' has an empty method: name one, or none for any.",
                    nameof(patterns));
            if (root.SlotOf(pattern).Add(pattern) is { } other)
                throw new ArgumentException($"{Describe(other)} and {Describe(pattern)} match the same requests: "
                    + "keep one of them.", nameof(patterns));
        }

        return new OperationMatcher<T>(root);
    }

    /// <summary>The value of the most specific pattern, or null when none matches. Allocates nothing.</summary>
    /// <param name="method">As the request spells it: <c>get</c> is not <c>GET</c>.</param>
    /// <param name="canonicalPath">A <see cref="CanonicalTarget.Path"/>.</param>
    public T? Match(string method, ReadOnlySpan<char> canonicalPath)
    {
        if (!canonicalPath.StartsWith('/')) return null;
        var prefix = new LongestPrefix();
        return Find(_root, method, canonicalPath, 0, ref prefix) ?? prefix.Value;
    }

    /// <summary>
    /// The exact match at or below <paramref name="node"/>; notes the prefixes that it passes. Of the path,
    /// <paramref name="rest"/> follows the node's own segment: nothing, or a '/' and more.
    /// </summary>
    private static T? Find(Node node, string method, ReadOnlySpan<char> rest, int depth, ref LongestPrefix prefix)
    {
        prefix.Offer(node.Prefix, method, 2 * depth);
        if (rest.IsEmpty) return node.Exact?.For(method);
        prefix.Offer(node.PrefixWithSlash, method, (2 * depth) + 1);

        var end = rest[1..].IndexOf('/') + 1;
        if (end == 0) end = rest.Length;
        var segment = rest[1..end];
        if (node.TryGetLiteral(segment, out var literal)
            && Find(literal, method, rest[end..], depth + 1, ref prefix) is { } found)
            return found;

        return node.Parameter is not null && !segment.IsEmpty
            ? Find(node.Parameter, method, rest[end..], depth + 1, ref prefix)
            : null;
    }

    private static string Describe(OperationPattern<T> pattern) =>
        $"'{pattern.Method ?? "any method"} {pattern.Template}'{(pattern.IsPrefix ? " (prefix)" : "")}";

    /// <summary>Literals are tried before parameters: of two prefixes of one length the first is better.</summary>
    private ref struct LongestPrefix
    {
        private int _longest;

        public T? Value { get; private set; }

        public void Offer(Slot? slot, string method, int length)
        {
            if (slot is null || (Value is not null && length <= _longest)) return;
            if (slot.For(method) is not { } value) return;
            Value = value;
            _longest = length;
        }
    }

    /// <summary>The patterns of one shape, by method.</summary>
    private sealed class Slot
    {
        private readonly Dictionary<string, OperationPattern<T>> _byMethod = new(StringComparer.Ordinal);
        private OperationPattern<T>? _any;

        /// <summary>The pattern that already has this place, or null once the new one has taken it.</summary>
        public OperationPattern<T>? Add(OperationPattern<T> pattern)
        {
            if (pattern.Method is not null)
                return _byMethod.TryAdd(pattern.Method, pattern) ? null : _byMethod[pattern.Method];
            if (_any is not null) return _any;
            _any = pattern;
            return null;
        }

        public T? For(string method)
        {
            if (_byMethod.TryGetValue(method, out var own)) return own.Value;
            // HEAD asks for the headers of GET, so it is gated and billed as GET even beside a pattern for any method.
            if (method is "HEAD" && _byMethod.TryGetValue("GET", out own)) return own.Value;
            return _any?.Value;
        }
    }

    /// <summary>The root, or what one more segment leads to. A trailing slash is an empty segment.</summary>
    private sealed class Node
    {
        private readonly Dictionary<string, Node> _literals;
        private readonly Dictionary<string, Node>.AlternateLookup<ReadOnlySpan<char>> _literalsBySpan;

        public Node()
        {
            _literals = new Dictionary<string, Node>(StringComparer.Ordinal);
            _literalsBySpan = _literals.GetAlternateLookup<ReadOnlySpan<char>>();
        }

        public Node? Parameter { get; private set; }

        public Slot? Exact { get; private set; }

        /// <summary>For a path that ends here or goes on.</summary>
        public Slot? Prefix { get; private set; }

        /// <summary>For a path that goes on, if only by a slash.</summary>
        public Slot? PrefixWithSlash { get; private set; }

        public bool TryGetLiteral(ReadOnlySpan<char> segment, [MaybeNullWhen(false)] out Node node) =>
            _literalsBySpan.TryGetValue(segment, out node);

        public Slot SlotOf(OperationPattern<T> pattern)
        {
            var withSlash = pattern.IsPrefix && pattern.Template.EndsWith('/');
            var node = this;
            foreach (var segment in (withSlash ? pattern.Template[..^1] : pattern.Template).Split('/').Skip(1))
                node = segment.StartsWith('{') ? node.Parameter ??= new Node() : node.Literal(segment);

            if (!pattern.IsPrefix) return node.Exact ??= new Slot();
            return withSlash ? node.PrefixWithSlash ??= new Slot() : node.Prefix ??= new Slot();
        }

        public int MostSteps() =>
            1 + _literals.Values.Select(literal => literal.MostSteps()).DefaultIfEmpty().Max()
            + (Parameter?.MostSteps() ?? 0);

        private Node Literal(string segment)
        {
            if (!_literals.TryGetValue(segment, out var node)) _literals.Add(segment, node = new Node());
            return node;
        }
    }
}
