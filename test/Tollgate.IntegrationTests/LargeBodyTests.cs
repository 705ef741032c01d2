using System.Globalization;

namespace Tollgate.IntegrationTests;

/// <summary>Bodies are streamed both ways and never held.</summary>
public sealed class LargeBodyTests
{
    private const int Piece = 64 * 1024, Pieces = 3_200; // 200 MB

    [Fact]
    public async Task Two_hundred_megabytes_each_way_take_a_few_megabytes_of_memory()
    {
        using var folder = new TempFolder();
        await using var upstream = await Upstream.StartAsync();
        upstream.Answer = async context =>
        {
            var buffer = new byte[Piece];
            long read = 0;
            while (await context.Request.Body.ReadAsync(buffer) is var got and > 0) read += got;
            context.Response.Headers["X-Read"] = read.ToString(CultureInfo.InvariantCulture);
            for (var i = 0; i < Pieces; i++) await context.Response.Body.WriteAsync(buffer);
        };
        using var server = await ServerProcess.StartAsync(folder.Of("data"));
        using var client = new HttpClient();
        await AdminAsync(client, server, "/services", ("name", "s"), ("url", upstream.Address));
        await AdminAsync(client, server, "/services/s/routes", ("paths", "/v1"));
        await AdminAsync(client, server, "/services/s/plugins", ("name", "request-size-limiting"), ("config.allowed_payload_size", "200"));
        using (var warm = await client.PostAsync(new Uri(server.Proxy, "/v1/warm"), new ByteArrayContent(new byte[Piece])))
            await warm.Content.CopyToAsync(Stream.Null);
        var before = server.Peak;

        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Proxy, "/v1/large"));
        request.Headers.TransferEncodingChunked = true;
        request.Content = new Pushed();
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal($"{(long)Piece * Pieces}", answer.Headers.GetValues("X-Read").Single());
        long got = 0;
        await using (var body = await answer.Content.ReadAsStreamAsync())
        {
            var buffer = new byte[Piece];
            while (await body.ReadAsync(buffer) is var read and > 0) got += read;
        }

        Assert.Equal((long)Piece * Pieces, got);
        var grown = server.Peak - before;
        Assert.True(grown < 64 << 10, $"The peak grew by {grown} KB from {before} KB.");
    }

    private static async Task AdminAsync(
        HttpClient client, ServerProcess server, string path, params (string Name, string Value)[] fields)
    {
        using var form = new FormUrlEncodedContent(fields.Select(f => KeyValuePair.Create(f.Name, f.Value)));
        using var answer = await client.PostAsync(new Uri(server.Admin, path), form);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private sealed class Pushed : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context)
        {
            var piece = new byte[Piece];
            for (var i = 0; i < Pieces; i++) await stream.WriteAsync(piece);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
