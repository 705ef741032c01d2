using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace Tollgate.Bench;

/// <summary>Keys that come and go while calls run: so many changes a second, each through the admin port and the store into
/// the gate's table.</summary>
internal sealed class KeyChanges : IAsyncDisposable
{
    private const string Consumer = "churn";

    private readonly CancellationTokenSource _stopping = new();
    private readonly HttpClient _client;
    private readonly Uri _keys;
    private readonly Task _changing;
    private long _done;

    private KeyChanges(HttpClient client, Uri admin, int perSecond)
    {
        (_client, _keys) = (client, new Uri(admin, $"/consumers/{Consumer}/key-auth"));
        _changing = Task.Run(() => ChangeAsync(perSecond));
    }

    /// <summary>How many were answered well.</summary>
    public long Done => Volatile.Read(ref _done);

    public static async Task<KeyChanges> BeginAsync(HttpClient client, Uri admin, int perSecond, CancellationToken stop)
    {
        using var name = new FormUrlEncodedContent([KeyValuePair.Create("username", Consumer)]);
        using var made = await client.PostAsync(new Uri(admin, "/consumers"), name, stop);
        // from the round before it is there
        if (!made.IsSuccessStatusCode && made.StatusCode != HttpStatusCode.Conflict)
            throw new BenchException($"POST /consumers answered {(int)made.StatusCode}");
        return new KeyChanges(client, admin, perSecond);
    }

    /// <summary>Ends the changes; throws when one of them failed.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _changing;
        _stopping.Dispose();
    }

    private async Task ChangeAsync(int perSecond)
    {
        var began = Stopwatch.GetTimestamp();
        for (long n = 0; !_stopping.IsCancellationRequested; n += 2)
        {
            using var name = new FormUrlEncodedContent([KeyValuePair.Create("key", $"churn_{n}")]);
            using var added = await _client.PostAsync(_keys, name);
            if (!added.IsSuccessStatusCode) throw new BenchException($"POST {_keys} answered {(int)added.StatusCode}");
            var key = await added.Content.ReadFromJsonAsync<JsonElement>();
            using var gone = await _client.DeleteAsync(new Uri($"{_keys}/{key.GetProperty("id").GetString()}"));
            if (!gone.IsSuccessStatusCode) throw new BenchException($"DELETE {_keys} answered {(int)gone.StatusCode}");
            Interlocked.Add(ref _done, 2);
            var ahead = TimeSpan.FromSeconds((n + 2.0) / perSecond) - Stopwatch.GetElapsedTime(began);
            if (ahead <= TimeSpan.Zero) continue;
            try
            {
                await Task.Delay(ahead, TimeProvider.System, _stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}
