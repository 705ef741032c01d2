using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Catalog;
using Tollgate.Metering;
using Tollgate.Web.Admin;

namespace Tollgate.Web.V1;

/// <summary><c>POST /v1/sources/{name}/write</c>: where a Prometheus sends its samples by remote write.</summary>
internal static class RemoteWriteApi
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes.MapPost("/v1/sources/{name}/write", PostAsync).Needs(AdminScope.Ingest).ChangesNothing();

    private static async Task<IResult> PostAsync(string name, HttpRequest request, CounterIntake counters, EventRoom room)
    {
        if (counters.Sources.FirstOrDefault(s => s.Name == name) is not { } source) return Answers.NotFound("source", name);
        if (source.Prometheus is not null)
            return Answers.Refused(StatusCodes.Status409Conflict, [new Problem("source_is_asked",
                $"Tollgate asks a Prometheus for '{name}', and what is sent would count twice. Give it 'remote_write: true'.")]);
        if (RemoteWrite.IsVersion2(request.ContentType) is not { } version2
            || !request.Headers.ContentEncoding.ToString().Equals("snappy", StringComparison.OrdinalIgnoreCase))
            return Answers.Refused(StatusCodes.Status415UnsupportedMediaType, [new Problem("bad_value",
                "must be application/x-protobuf of remote write 1.0 or 2.0, with Content-Encoding: snappy", "Content-Type")]);
        using var body = await EventBody.ReadBytesAsync(request, room, packed: true);
        if (body.Fault is { } fault) return fault;
        SentSamples sent;
        try
        {
            if (!body.TryTake(2L * RemoteWrite.UnpackedLength(body.Bytes))) return body.Fault!;
            sent = RemoteWrite.Read(body.Bytes, version2, source.Selector);
        }
        catch (InvalidDataException e)
        {
            return Answers.Invalid(new Problem("bad_value", e.Message));
        }

        // once it is read, it is written down whether or not somebody still waits for the answer
        if (await counters.TakeSentAsync(source, sent, CancellationToken.None) is { } why) return EventsApi.Later(why);
        if (version2)
        {
            var headers = request.HttpContext.Response.Headers;
            headers["X-Prometheus-Remote-Write-Samples-Written"] = sent.All.ToString(CultureInfo.InvariantCulture);
            headers["X-Prometheus-Remote-Write-Histograms-Written"] = "0";
            headers["X-Prometheus-Remote-Write-Exemplars-Written"] = "0";
        }

        return Results.NoContent();
    }
}
