using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using Tollgate.Storage;

namespace Tollgate.Metering;

/// <summary>Asks Prometheus for raw samples: a range selector, never <c>rate()</c> or <c>increase()</c>, which guess.
/// </summary>
internal static class PrometheusQuery
{
    /// <summary>A larger answer is refused: a shorter stretch is asked for next.</summary>
    public const int MostBytes = 64 << 20;

    /// <summary>Of a file with a token.</summary>
    private const int MostOfToken = 64 << 10;

    /// <summary>Of more jobs nobody is asked when their processes started.</summary>
    private const int MostJobs = 100;

    /// <summary>Samples from one instant to another, both in whole seconds and included. Null when the
    /// answer is too large.</summary>
    /// <exception cref="HttpRequestException">No answer, or one that says what is wrong.</exception>
    public static async Task<List<RawSample>?> ReadAsync(
        HttpClient client, CounterSource source, long fromSeconds, long toSeconds, CancellationToken stop) =>
        await ReadAsync(client, source, source.Series, fromSeconds, toSeconds, stop);

    /// <summary>What the processes of these jobs say of their start; empty when they do not.</summary>
    /// <exception cref="HttpRequestException">No answer, or one that says what is wrong.</exception>
    public static async Task<List<RawSample>> StartsAsync(HttpClient client, CounterSource source, IReadOnlySet<string> jobs,
        long fromSeconds, long toSeconds, CancellationToken stop)
    {
        if (jobs.Count is 0 or > MostJobs) return [];
        var matcher = string.Join('|', jobs.Select(RegexOf)).Replace("\\", "\\\\", StringComparison.Ordinal);
        return await ReadAsync(client, source, $"{CounterReading.StartName}{{job=~\"{matcher}\"}}", fromSeconds, toSeconds, stop) ?? [];
    }

    /// <summary>An expression that matches this text alone, whatever is in it.</summary>
    private static string RegexOf(string text) => string.Concat(text.Select(c =>
        char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '/' ? $"{c}" : c < 128 ? $"\\x{(int)c:x2}" : $"\\x{{{(int)c:x}}}"));

    private static async Task<List<RawSample>?> ReadAsync(HttpClient client, CounterSource source, string selector,
        long fromSeconds, long toSeconds, CancellationToken stop)
    {
        var query = string.Create(CultureInfo.InvariantCulture, $"{selector}[{toSeconds - fromSeconds + 1}s]");
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{source.Prometheus!.AbsoluteUri.TrimEnd('/')}/api/v1/query");
        request.Content = new FormUrlEncodedContent([new("query", query), new("time", toSeconds.ToString(CultureInfo.InvariantCulture))]);
        if (source.TokenFile is { } file)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", SmallFile.Read(file, MostOfToken).Trim());
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, stop);
        if (response.Content.Headers.ContentLength > MostBytes) return null;
        await using var body = await response.Content.ReadAsStreamAsync(stop);
        using var held = new MemoryStream();
        var buffer = new byte[81_920];
        int read;
        while ((read = await body.ReadAsync(buffer, stop)) > 0)
        {
            if (held.Length + read > MostBytes) return null;
            held.Write(buffer, 0, read);
        }

        try
        {
            using var answer = JsonDocument.Parse(held.GetBuffer().AsMemory(0, (int)held.Length));
            return Read(answer.RootElement);
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException or KeyNotFoundException)
        {
            throw new HttpRequestException($"{source.Prometheus} answered {(int)response.StatusCode}, and no samples: {e.Message}", e);
        }
    }

    private static List<RawSample> Read(JsonElement answer)
    {
        if (answer.GetProperty("status").GetString() != "success")
            throw new FormatException(answer.TryGetProperty("error", out var error) ? error.GetString() : "no success");
        var samples = new List<RawSample>();
        foreach (var series in answer.GetProperty("data").GetProperty("result").EnumerateArray())
        {
            var all = new SortedDictionary<string, string>(StringComparer.Ordinal);
            foreach (var label in series.GetProperty("metric").EnumerateObject()) all[label.Name] = label.Value.GetString()!;
            var labels = new SeriesLabels(all);
            foreach (var value in series.GetProperty("values").EnumerateArray())
                samples.Add(new RawSample(labels, (long)(value[0].GetDecimal() * 1_000_000), NumberOf(value[1].GetString()!)));
        }

        return samples;
    }

    private static double NumberOf(string text) => text switch
    {
        "NaN" => double.NaN,
        "+Inf" => double.PositiveInfinity,
        "-Inf" => double.NegativeInfinity,
        _ => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture),
    };
}
