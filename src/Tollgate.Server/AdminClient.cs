using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace Tollgate.Server;

/// <summary>What a command asks of a running server, over its admin API.</summary>
internal static class AdminClient
{
    public static Option<string> Address() =>
        RunOptions.Text("--admin", "TOLLGATE_ADMIN", "http://127.0.0.1:8001", "The admin API of the server.");

    public static Option<bool> Json() => new("--json") { Description = "The answer as JSON." };

    /// <summary>Prints the answer to a GET: text for people, or JSON.</summary>
    /// <param name="admin">Address of the admin API.</param>
    /// <param name="path">Path and query, escaped.</param>
    /// <param name="json">What is asked for.</param>
    public static Task<int> PrintAsync(string admin, string path, bool json) =>
        SendAsync(admin, HttpMethod.Get, path, null, json, async response =>
            Console.WriteLine((await response.Content.ReadAsStringAsync()).TrimEnd()));

    /// <summary>Posts a body, and prints the answer: in words of the command's, or as it is.</summary>
    public static Task<int> PostAsync(string admin, string path, object body, bool json, Func<JsonElement, string> words) =>
        SendAsync(admin, HttpMethod.Post, path, JsonContent.Create(body), json: true, async response =>
        {
            var text = await response.Content.ReadAsStringAsync();
            using var answer = JsonDocument.Parse(text);
            Console.WriteLine(json ? text.TrimEnd() : words(answer.RootElement));
        });

    /// <summary>Deletes what stands at a path, and says so.</summary>
    public static Task<int> DeleteAsync(string admin, string path, string done) =>
        SendAsync(admin, HttpMethod.Delete, path, null, json: false, _ =>
        {
            Console.WriteLine(done);
            return Task.CompletedTask;
        });

    /// <summary>Saves the answer to a GET; a file that is there is replaced when the answer is whole.</summary>
    public static Task<int> SaveAsync(string admin, string path, string file) =>
        SendAsync(admin, HttpMethod.Get, path, null, json: false, async response =>
        {
            var unborn = file + ".part";
            await using (var target = new FileStream(unborn, FileMode.Create)) await response.Content.CopyToAsync(target);
            File.Move(unborn, file, overwrite: true);
            Console.WriteLine($"{file}: {new FileInfo(file).Length} bytes");
            if (response.Headers.TryGetValues("Tollgate-Missing-Journals", out var missing))
                Console.Error.WriteLine(
                    $"These are the calls of this node. Others keep their own: journals {string.Join(", ", missing)}. " +
                    "'tollgate journal list' says of which nodes they are: ask each with its --admin, and put the files together.");
        });

    /// <summary>Sends a text, and takes the answer: its exit code is the command's.</summary>
    public static Task<int> AskAsync(
        string admin, string path, HttpContent content, bool json, Func<JsonElement, string, int> take) =>
        AskAsync(admin, HttpMethod.Post, path, content, json, async response =>
        {
            var text = await response.Content.ReadAsStringAsync();
            using var answer = JsonDocument.Parse(text);
            return take(answer.RootElement, text);
        });

    private static Task<int> SendAsync(
        string admin, HttpMethod method, string path, HttpContent? content, bool json, Func<HttpResponseMessage, Task> take) =>
        AskAsync(admin, method, path, content, json, async response =>
        {
            await take(response);
            return ExitCode.Ok;
        });

    private static async Task<int> AskAsync(
        string admin, HttpMethod method, string path, HttpContent? content, bool json,
        Func<HttpResponseMessage, Task<int>> take)
    {
        if (!Uri.TryCreate(admin, UriKind.Absolute, out var address) || !address.Scheme.StartsWith("http", StringComparison.Ordinal))
        {
            Console.Error.WriteLine($"--admin '{admin}' must be an address such as http://127.0.0.1:8001.");
            return ExitCode.Usage;
        }

        // an export or a replay may take long; a server that is gone is noticed by its connection
        using var client = new HttpClient { Timeout = Timeout.InfiniteTimeSpan };
        try
        {
            using var request = new HttpRequestMessage(method, admin.TrimEnd('/') + path) { Content = content };
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(json ? "application/json" : "text/plain"));
            if (Environment.GetEnvironmentVariable("TOLLGATE_ADMIN_TOKEN") is { Length: > 0 } token)
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            if (response.IsSuccessStatusCode) return await take(response);

            var body = await response.Content.ReadAsStringAsync();
            Console.Error.WriteLine(json ? body : DetailOf(body));
            if (response.StatusCode == HttpStatusCode.Unauthorized)
                Console.Error.WriteLine("This command sends the token that TOLLGATE_ADMIN_TOKEN holds.");
            return ExitCode.Refused;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException or UriFormatException
            or InvalidOperationException or NotSupportedException)
        {
            Console.Error.WriteLine($"{admin} does not answer: {e.Message.TrimEnd('.')}. Is 'tollgate run' running there?");
            return ExitCode.Unreachable;
        }
    }

    private static string DetailOf(string body)
    {
        try
        {
            using var problem = JsonDocument.Parse(body);
            return problem.RootElement.TryGetProperty("errors", out var errors) && errors.GetArrayLength() > 1
                ? string.Join(Environment.NewLine, errors.EnumerateArray().Select(LineOf))
                : problem.RootElement.GetProperty("detail").GetString() ?? body;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return body;
        }
    }

    private static string LineOf(JsonElement error)
    {
        var place = error.GetProperty("line") is { ValueKind: JsonValueKind.Number } line
            ? $"{line}:{error.GetProperty("column")}: " : "";
        var field = error.GetProperty("field").GetString();
        return $"{place}{(field is null ? "" : field + ": ")}{error.GetProperty("detail").GetString()}";
    }
}
