using System.Data.Common;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Tollgate.Config;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>An object as it would be stored, or why it is not.</summary>
/// <param name="Name">Null for none.</param>
internal sealed record KongDraft(string? Name, string Document)
{
    public KongAnswer? Refusal { get; init; }

    /// <summary>What else is written with it, in the same transaction.</summary>
    public Func<ConfigRow, Task>? Then { get; init; }

    public static KongDraft Refused(KongAnswer refusal) => new(null, "") { Refusal = refusal };
}

/// <summary>Reads the fields of an object and checks them against all that is there.</summary>
/// <param name="row">What is there of it; null: it would be new.</param>
internal delegate Task<KongDraft> KongDrafting(DbConnection db, KongFields fields, ConfigRow? row);

/// <summary>
/// The three ways to write an object of one kind: POST makes it, PUT makes or replaces it under a name or an id that the path says,
/// PATCH changes what is sent. Each reads and writes in one transaction; what is refused has written nothing, and what says only
/// what is so already changes nothing.
/// </summary>
internal sealed class KongObjects(
    Database database, ConfigStore config, KongNews news, string kind, Func<ConfigRow, JsonObject> write)
{
    public Task<KongAnswer> AddAsync(KongFields fields, KongDrafting draft) => ToldAsync(async db =>
        await draft(db, fields, null) is var drafted && drafted.Refusal is { } refusal ? refusal : await AddAsync(db, drafted, null));

    /// <param name="at">What the path says: a UUID is an id, anything else a name.</param>
    /// <param name="fields">All of it: what is left out has its default.</param>
    /// <param name="draft">Reads them.</param>
    /// <param name="named">The field with the name; null: such things have none.</param>
    /// <param name="find">Finds it, where it is not found by a name or an id alone.</param>
    public Task<KongAnswer> PutAsync(string at, KongFields fields, KongDrafting draft, string? named = "name",
        Func<DbConnection, Task<ConfigRow?>>? find = null) => ToldAsync(async db =>
    {
        var row = find is null ? await ConfigStore.FindAsync(db, kind, at) : await find(db);
        var isId = Guid.TryParseExact(at, "D", out var id);
        var byName = named is not null && (row is null ? !isId : row.Name == at && row.Name != row.Id);
        if (byName) fields.NamedBy(named!, at);
        else if (row is null && !isId) fields.Note("id", "expected a valid UUID in the path: these have no names");
        var given = isId ? id.ToString() : fields.GivenId();
        fields.Stored = row is null ? new JsonObject { ["id"] = given } : write(row);
        var drafted = await draft(db, fields, row);
        if (drafted.Refusal is { } refusal) return refusal;
        if (row is not null) return await ReplaceAsync(db, row, drafted);
        Guid? wanted = given is null ? null : Guid.Parse(given);
        if (wanted is { } taken && await ConfigStore.HasIdAsync(db, taken)) return KongAnswer.Taken(new JsonObject { ["id"] = given });
        var added = await AddAsync(db, drafted, wanted);
        return added.Wrote ? added with { Status = StatusCodes.Status200OK } : added;
    });

    /// <param name="find">Finds it.</param>
    /// <param name="sent">What is to be changed; null for its default.</param>
    /// <param name="draft">Reads what comes out.</param>
    /// <param name="adjust">Takes out of what is stored what goes with a field that is sent.</param>
    /// <param name="whole">Records that are replaced and not merged.</param>
    public Task<KongAnswer> ChangeAsync(Func<DbConnection, Task<ConfigRow?>> find, KongFields sent, KongDrafting draft,
        Action<JsonObject>? adjust = null, params string[] whole) => ToldAsync(async db =>
    {
        if (await find(db) is not { } row) return KongAnswer.NotFound();
        var stored = write(row);
        adjust?.Invoke(stored);
        var fields = sent.Over(stored, whole);
        fields.Stored = write(row);
        var drafted = await draft(db, fields, row);
        return drafted.Refusal ?? await ReplaceAsync(db, row, drafted);
    });

    private async Task<KongAnswer> AddAsync(DbConnection db, KongDraft drafted, Guid? id)
    {
        var row = await config.AddAsync(db, kind, drafted.Name, ManagedBy.Kong, drafted.Document, id);
        if (row is null) return KongAnswer.Taken(new JsonObject { ["name"] = drafted.Name });
        if (drafted.Then is not null) await drafted.Then(row);
        return KongAnswer.Created(write(row));
    }

    private async Task<KongAnswer> ReplaceAsync(DbConnection db, ConfigRow row, KongDraft drafted)
    {
        var name = drafted.Name ?? row.Id;
        if (row.Name == name && row.Document == drafted.Document) return KongAnswer.Ok(write(row));
        if (row.Name != name) await ConfigStore.RenameAsync(db, row, name);
        await config.UpdateAsync(db, row, drafted.Document);
        if (drafted.Then is not null) await drafted.Then(row);
        return KongAnswer.Ok(write((await ConfigStore.FindAsync(db, kind, row.Id))!));
    }

    /// <summary>Also when nothing was changed: an earlier try may have ended before the gate was told.</summary>
    private async Task<KongAnswer> ToldAsync(Func<DbConnection, Task<KongAnswer>> work)
    {
        var answer = await database.WriteAsync(work);
        if (answer.Status < StatusCodes.Status300MultipleChoices) await news.ConfigAsync();
        return answer;
    }
}
