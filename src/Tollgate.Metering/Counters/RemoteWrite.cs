using Tollgate.Catalog;

namespace Tollgate.Metering;

/// <summary>What a request of remote write holds for one source.</summary>
/// <param name="Samples">Of series that the source selects, and what processes say of their start.</param>
/// <param name="All">Samples in the request, whoever selects them.</param>
public sealed record SentSamples(List<RawSample> Samples, int All);

/// <summary>
/// Reads requests of Prometheus' remote write, versions 1.0 and 2.0. Histograms, exemplars and metadata are passed over.
/// </summary>
public static class RemoteWrite
{
    /// <summary>Bytes of a request when it is unpacked.</summary>
    public const int MostBytes = 32 << 20;

    /// <summary>How much memory what is sent takes when it is unpacked; at most as much as is unpacked at all.</summary>
    /// <exception cref="InvalidDataException">It does not say.</exception>
    public static int UnpackedLength(ReadOnlySpan<byte> packed) => Math.Min(MostBytes, SnappyBlock.LengthOf(packed, out _));

    /// <summary>Labels of a series, and characters of all of them.</summary>
    public const int MostLabels = 256, MostCharacters = 16_384;

    /// <summary>Milliseconds: the year 2200, after which no time is told.</summary>
    private const long Latest = 7_258_118_400_000;

    private const string Version1 = "prometheus.WriteRequest", Version2 = "io.prometheus.write.v2.Request";

    /// <summary>Whether the body is in version 2, by its content type; null when it is neither.</summary>
    public static bool? IsVersion2(string? contentType)
    {
        var parts = (contentType ?? "").Split(';', StringSplitOptions.TrimEntries);
        if (!parts[0].Equals("application/x-protobuf", StringComparison.OrdinalIgnoreCase)) return null;
        return parts.Skip(1).FirstOrDefault(p => p.StartsWith("proto=", StringComparison.OrdinalIgnoreCase))?[6..].Trim('"') switch
        {
            null or Version1 => false,
            Version2 => true,
            _ => null,
        };
    }

    /// <summary>Reads a packed request whole, or not at all.</summary>
    /// <param name="body">Packed with Snappy.</param>
    /// <param name="version2">Which version it is in.</param>
    /// <param name="series">Which series are wanted.</param>
    /// <exception cref="InvalidDataException">What is wrong with it.</exception>
    public static SentSamples Read(ReadOnlySpan<byte> body, bool version2, SeriesSelector series)
    {
        var length = SnappyBlock.LengthOf(body, out _);
        if (length > MostBytes)
            throw new InvalidDataException($"The request has {length} bytes when it is unpacked; at most {MostBytes} are read. " +
                "Lower max_samples_per_send.");
        var message = new byte[length];
        SnappyBlock.Unpack(body, message);
        var reading = new Reading(series);
        if (version2) reading.Read2(message);
        else reading.Read1(message);
        return new SentSamples(reading.Samples, reading.All);
    }

    private sealed class Reading(SeriesSelector series)
    {
        private readonly List<(long At, double Value)> _values = [];
        private readonly SortedDictionary<string, string> _labels = new(StringComparer.Ordinal);
        private int _characters;

        public List<RawSample> Samples { get; } = [];

        public int All { get; private set; }

        public void Read1(ReadOnlySpan<byte> message)
        {
            var request = new ProtoReader(message);
            while (request.TryNext(out var field))
            {
                if (field != 1)
                {
                    request.Skip();
                    continue;
                }

                var one = new ProtoReader(request.Bytes());
                while (one.TryNext(out var part))
                {
                    if (part == 1) ReadLabel(one.Bytes());
                    else if (part == 2) ReadSample(one.Bytes());
                    else one.Skip();
                }

                Close();
            }
        }

        public void Read2(ReadOnlySpan<byte> message)
        {
            // symbols may stand behind the series that use them
            var symbols = new List<string>();
            var request = new ProtoReader(message);
            while (request.TryNext(out var field))
            {
                if (field == 4) symbols.Add(request.Text());
                else request.Skip();
            }

            if (symbols is [{ Length: > 0 }, ..]) throw ProtoReader.Broken("its first symbol is not empty");
            request = new ProtoReader(message);
            while (request.TryNext(out var field))
            {
                if (field != 5)
                {
                    request.Skip();
                    continue;
                }

                var one = new ProtoReader(request.Bytes());
                var references = new List<int>();
                while (one.TryNext(out var part))
                {
                    if (part == 1) ReadReferences(ref one, references, symbols.Count);
                    else if (part == 2) ReadSample(one.Bytes());
                    else one.Skip();
                }

                if (references.Count % 2 != 0) throw ProtoReader.Broken("a label has no value");
                for (var i = 0; i < references.Count; i += 2) AddLabel(symbols[references[i]], symbols[references[i + 1]]);
                Close();
            }
        }

        private static void ReadReferences(ref ProtoReader series, List<int> references, int symbols)
        {
            if (!series.IsPacked)
            {
                Add((ulong)series.Whole());
                return;
            }

            var packed = new ProtoReader(series.Bytes());
            while (!packed.IsAtEnd) Add(packed.Varint());

            void Add(ulong reference)
            {
                if (reference >= (ulong)symbols) throw ProtoReader.Broken("a label refers to a symbol that is not there");
                if (references.Count == 2 * MostLabels) throw ProtoReader.Broken($"a series has more than {MostLabels} labels");
                references.Add((int)reference);
            }
        }

        private void ReadLabel(ReadOnlySpan<byte> message)
        {
            var label = new ProtoReader(message);
            var (name, value) = ("", "");
            while (label.TryNext(out var field))
            {
                if (field == 1) name = label.Text();
                else if (field == 2) value = label.Text();
                else label.Skip();
            }

            AddLabel(name, value);
        }

        private void AddLabel(string name, string value)
        {
            _characters += name.Length + value.Length;
            if (_labels.Count == MostLabels || _characters > MostCharacters)
                throw ProtoReader.Broken($"a series has more than {MostLabels} labels or {MostCharacters} characters");
            if (name.Length == 0) throw ProtoReader.Broken("a label has no name");
            if (!_labels.TryAdd(name, value)) throw ProtoReader.Broken($"a series has the label '{name}' twice");
        }

        private void ReadSample(ReadOnlySpan<byte> message)
        {
            var sample = new ProtoReader(message);
            var (at, value) = (0L, 0d);
            while (sample.TryNext(out var field))
            {
                if (field == 1) value = sample.Double();
                else if (field == 2) at = sample.Whole();
                else sample.Skip();
            }

            _values.Add((at, value));
        }

        /// <summary>The series is whole: its samples are kept when somebody wants them.</summary>
        private void Close()
        {
            // an empty label is one that is not there
            foreach (var name in _labels.Where(l => l.Value.Length == 0).Select(l => l.Key).ToArray()) _labels.Remove(name);
            All += _values.Count;
            if (_values.Count > 0 && (_labels.GetValueOrDefault("__name__") == CounterReading.StartName
                || series.Matches(_labels.GetValueOrDefault)))
            {
                var labels = new SeriesLabels(new SortedDictionary<string, string>(_labels, StringComparer.Ordinal));
                foreach (var (at, value) in _values)
                    Samples.Add(new RawSample(labels, Math.Clamp(at, 0, Latest) * 1_000, value));
            }

            _values.Clear();
            _labels.Clear();
            _characters = 0;
        }
    }
}
