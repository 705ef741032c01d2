using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Tollgate.Config;

namespace Tollgate.Web.Kong;

/// <summary>One request to the Kong-shaped API.</summary>
internal sealed class KongRequest(HttpContext context)
{
    /// <summary>The longest body, in bytes.</summary>
    public const int MaxBody = 1_000_000;

    /// <summary>A name or id in the path.</summary>
    public string this[string name] => (string)context.Request.RouteValues[name]!;

    public bool Has(string name) => context.Request.RouteValues.ContainsKey(name);

    /// <summary>The fields of the body; a request without a body has none.</summary>
    /// <returns>One of the two.</returns>
    public async Task<(KongFields? Fields, KongAnswer? Refusal)> FieldsAsync()
    {
        var request = context.Request;
        if (await BodyAsync(request) is not { } body)
            return (null, KongAnswer.Said(StatusCodes.Status413PayloadTooLarge, $"a body has at most {MaxBody} bytes"));
        var type = request.ContentType?.Split(';')[0].Trim();
        if (body.Length == 0) return (new KongFields([], isForm: false), null);
        try
        {
            if ("application/json".Equals(type, StringComparison.OrdinalIgnoreCase))
                return (new KongFields(ReadJson(body), isForm: false), null);
            if ("application/x-www-form-urlencoded".Equals(type, StringComparison.OrdinalIgnoreCase))
                return (new KongFields(KongForm.Read(body), isForm: true), null);
        }
        catch (FormatException e)
        {
            return (null, KongAnswer.Said(StatusCodes.Status400BadRequest, e.Message));
        }

        return (null, KongAnswer.Said(StatusCodes.Status415UnsupportedMediaType,
            "send application/json or application/x-www-form-urlencoded"));
    }

    /// <summary>The declarative file of <c>POST /config</c>: the body itself, or its field <c>config</c>, of a form or of JSON, as a
    /// text or as a file.</summary>
    /// <returns>One of the two.</returns>
    public async Task<(string? Text, KongAnswer? Refusal)> DeclarativeAsync()
    {
        var request = context.Request;
        if (await BodyAsync(request) is not { } body)
            return (null, KongAnswer.Said(StatusCodes.Status413PayloadTooLarge, $"a body has at most {MaxBody} bytes"));
        if (!request.HasFormContentType) return (Encoding.UTF8.GetString(body), null);
        request.Body = new MemoryStream(body);
        try
        {
            var form = await request.ReadFormAsync(request.HttpContext.RequestAborted);
            if (form.Files["config"] is not { } file) return (form["config"].ToString(), null);
            using var reader = new StreamReader(file.OpenReadStream(), Encoding.UTF8);
            return (await reader.ReadToEndAsync(), null);
        }
        catch (Exception e) when (e is InvalidDataException or IOException or BadHttpRequestException)
        {
            return (null, KongAnswer.Said(StatusCodes.Status400BadRequest, "cannot read the form: send it with a field config"));
        }
    }

    /// <summary>Which part of a list is asked for.</summary>
    /// <returns>One of the two.</returns>
    public (KongPage? Page, KongAnswer? Refusal) Page()
    {
        var query = context.Request.Query;
        var size = 100;
        if (query.TryGetValue("size", out var text)
            && (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out size)
                || size is < 1 or > 1000))
            return (null, KongAnswer.Refused(StatusCodes.Status400BadRequest, "invalid size", 9,
                "size must be an integer between 1 and 1000"));
        if (query.ContainsKey("tags"))
            return (null, KongAnswer.Said(StatusCodes.Status400BadRequest, "lists cannot be filtered by tags"));
        var offset = query["offset"].ToString();
        if (KongPage.TryRead(context.Request.Path, size, offset) is { } page) return (page, null);
        return (null, KongAnswer.Refused(StatusCodes.Status400BadRequest, "invalid offset", 7,
            $"'{KongText.Shown(offset)}' is not a valid offset: take the one of the list before"));
    }

    private static async Task<byte[]?> BodyAsync(HttpRequest request)
    {
        if (request.ContentLength > MaxBody) return null;
        using var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await request.Body.ReadAsync(buffer, request.HttpContext.RequestAborted)) > 0)
        {
            if (body.Length + read > MaxBody) return null;
            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }

    private static JsonObject ReadJson(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body,
                new JsonDocumentOptions { MaxDepth = KongForm.MaxDepth, AllowDuplicateProperties = false });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new FormatException("Cannot parse JSON body: it is not an object");
            var left = KongForm.MaxFields;
            return (JsonObject)Copy(document.RootElement, ref left)!;
        }
        catch (JsonException e)
        {
            var place = e.LineNumber is { } line ? $" at line {line + 1}, column {e.BytePositionInLine + 1}" : "";
            throw new FormatException($"Cannot parse JSON body{place}: it has to be JSON without doubled names, " +
                $"nested at most {KongForm.MaxDepth} deep", e);
        }
        catch (InvalidOperationException e) // half of a surrogate pair, in a text or a name
        {
            throw new FormatException("Cannot parse JSON body: a text is not Unicode", e);
        }
    }

    /// <summary>Every text is decoded here, so that no later reader meets one that cannot be.</summary>
    private static JsonNode? Copy(JsonElement element, ref int left)
    {
        if (--left < 0) throw new FormatException($"a request has at most {KongForm.MaxFields} fields");
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                var record = new JsonObject();
                foreach (var field in element.EnumerateObject()) record.Add(field.Name, Copy(field.Value, ref left));
                return record;
            case JsonValueKind.Array:
                var list = new JsonArray();
                foreach (var item in element.EnumerateArray()) list.Add(Copy(item, ref left));
                return list;
            case JsonValueKind.String:
                return JsonValue.Create(element.GetString());
            default:
                return element.ValueKind == JsonValueKind.Null ? null : JsonValue.Create(element.Clone());
        }
    }
}

/// <summary>A part of a list: <paramref name="Size"/> objects after one that is named by its age.</summary>
/// <param name="At">When the last object of the part before was created, or its key; −1 at the beginning.</param>
/// <param name="Id">Its id, where several are of one instant.</param>
internal sealed record KongPage(string Path, int Size, long At, string Id)
{
    public static KongPage? TryRead(string path, int size, string offset)
    {
        if (offset.Length == 0) return new KongPage(path, size, -1, "");
        var dot = offset.IndexOf('.');
        var id = dot < 0 ? "" : offset[(dot + 1)..];
        var number = dot < 0 ? offset : offset[..dot];
        return long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var at)
            && (dot < 0 || Guid.TryParseExact(id, "N", out _)) ? new KongPage(path, size, at, id) : null;
    }

    /// <summary>This part of objects in the order of their creation.</summary>
    public KongAnswer Of(IEnumerable<ConfigRow> rows, Func<ConfigRow, JsonObject> write)
    {
        var all = rows.ToArray();
        // ids say nothing of the order of what was made at one instant; only when the last of a part is gone they must
        var last = Id.Length == 0 ? -1 : Array.FindIndex(all, r => r.Id == Id);
        var rest = last >= 0 ? all.Skip(last + 1)
            : all.Where(r => r.CreatedAt > At || r.CreatedAt == At && string.CompareOrdinal(r.Id, Id) > 0);
        return Of(rest.Take(Size + 1).ToArray(), write, r => $"{r.CreatedAt}.{r.Id}");
    }

    /// <summary>Objects that were read after <see cref="At"/>, one more than fit when there are more.</summary>
    public KongAnswer Of<T>(IReadOnlyList<T> rows, Func<T, JsonObject> write, Func<T, string> offsetOf)
    {
        var more = rows.Count > Size;
        var data = rows.Take(Size).ToArray();
        var body = new JsonObject { ["data"] = new JsonArray([.. data.Select(write)]), ["next"] = null };
        if (!more) return KongAnswer.Ok(body);
        var offset = offsetOf(data[^1]);
        body["next"] = $"{Path}?offset={offset}&size={Size}";
        body["offset"] = offset;
        return KongAnswer.Ok(body);
    }
}
