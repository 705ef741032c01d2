using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
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
    public static async Task<int> PrintAsync(string admin, string path, bool json)
    {
        if (!Uri.TryCreate(admin, UriKind.Absolute, out var address) || !address.Scheme.StartsWith("http", StringComparison.Ordinal))
        {
            Console.Error.WriteLine($"--admin '{admin}' must be an address such as http://127.0.0.1:8001.");
            return ExitCode.Usage;
        }

        using var client = new HttpClient { Timeout = TimeSpan.FromSeconds(100) };
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, admin.TrimEnd('/') + path);
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(json ? "application/json" : "text/plain"));
            if (Environment.GetEnvironmentVariable("TOLLGATE_ADMIN_TOKEN") is { Length: > 0 } token)
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using var response = await client.SendAsync(request);
            var body = await response.Content.ReadAsStringAsync();
            if (response.IsSuccessStatusCode)
            {
                Console.WriteLine(body.TrimEnd());
                return ExitCode.Ok;
            }

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
            return problem.RootElement.GetProperty("detail").GetString() ?? body;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return body;
        }
    }
}
