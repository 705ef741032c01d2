using System.Diagnostics;
using Tollgate.IntegrationTests;

namespace Tollgate.Bench;

/// <summary>How long a key that was revoked at one node is still let in by another.</summary>
internal static class Revocations
{
    public const string Consumer = "revoked";

    /// <returns>Milliseconds from sending the revocation to node A until node B has answered 401 for the first time, sorted.
    /// </returns>
    public static async Task<double[]> MeasureAsync(Cluster cluster, int times, CancellationToken stop)
    {
        var (here, there) = (cluster.Nodes[0], cluster.Nodes[1]);
        var took = new List<double>();
        for (var i = 0; i < times && !stop.IsCancellationRequested; i++)
        {
            var made = await here.PostAsync($"/v1/consumers/{Consumer}/keys", new { });
            var (key, id) = (made.GetProperty("key").GetString()!, made.GetProperty("id").GetString());
            await Until.SoAsync(async () => await there.StatusAsync(key, Load.Path) == 200);
            var began = Stopwatch.GetTimestamp();
            var revoking = here.DeleteAsync($"/v1/consumers/{Consumer}/keys/{id}");
            while (await there.StatusAsync(key, Load.Path) != 401)
                if (Stopwatch.GetElapsedTime(began) > TimeSpan.FromSeconds(30))
                    throw new BenchException("a key was let in 30 s after it was revoked");
            took.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            await revoking;
        }

        return [.. took.Order()];
    }
}
