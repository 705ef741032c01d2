using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Tollgate.Config;
using Tollgate.Config.Kong;
using Tollgate.Storage;

namespace Tollgate.Web.Kong;

/// <summary>Kong's <c>ca_certificates</c>: authorities that services may trust in place of the machine's.</summary>
internal sealed class CaCertificatesApi(Database database, ConfigStore config, KongNews news)
{
    private const int MostCharacters = 32_768;

    public async Task<KongAnswer> AddAsync(KongRequest request, KongFields fields)
    {
        var pem = fields.Lines("cert", MostCharacters);
        var tags = fields.Tags();
        fields.None("ids, digests and instants are given by the server", "id", "cert_digest", "created_at", "updated_at");
        var digest = pem is null ? null : DigestOf(pem, fields);
        if (fields.Refusal is { } refusal) return refusal;
        var document = KongJson.Write(new KongCaCertificate(pem!) { Tags = tags });
        var row = await database.WriteAsync(db => config.AddAsync(db, ConfigKind.CaCertificate, digest, ManagedBy.Kong, document));
        if (row is null) return KongAnswer.Taken(new JsonObject { ["cert_digest"] = digest });
        await news.ConfigAsync();
        return KongAnswer.Created(Write(row));
    }

    public async Task<KongAnswer> ListAsync(KongRequest request, KongPage page) =>
        page.Of(await config.OfKindAsync(ConfigKind.CaCertificate), Write);

    public async Task<KongAnswer> GetAsync(KongRequest request) =>
        await config.FindAsync(ConfigKind.CaCertificate, request["a"]) is { } row ? KongAnswer.Ok(Write(row)) : KongAnswer.NotFound();

    public async Task<KongAnswer> DeleteAsync(KongRequest request)
    {
        var answer = await database.WriteAsync(async db =>
        {
            if (await ConfigStore.FindAsync(db, ConfigKind.CaCertificate, request["a"]) is not { } row) return KongAnswer.NoContent;
            if ((await ConfigStore.AllAsync(db)).Any(r => r.Kind == ConfigKind.Service
                && KongJson.Read<KongService>(r).CaCertificates?.Contains(row.Id) == true))
                return KongAnswer.InUse("ca_certificates", "services");
            await ConfigStore.DeleteAsync(db, row);
            return KongAnswer.NoContent;
        });
        if (answer.Wrote) await news.ConfigAsync();
        return answer;
    }

    /// <summary>Of one certificate, which must be an authority's.</summary>
    private static string? DigestOf(string pem, KongFields fields)
    {
        if (CaText.FaultOf(pem) is { } fault)
        {
            fields.Note("cert", "invalid certificate: " + fault);
            return null;
        }

        var read = new X509Certificate2Collection();
        read.ImportFromPem(pem);
        if (read.Count > 1) fields.Note("cert", "please submit only one certificate at a time");
        else if (read[0].Extensions.OfType<X509BasicConstraintsExtension>().All(e => !e.CertificateAuthority))
            fields.Note("cert", "certificate does not appear to be a CA because it is missing the \"CA\" basic constraint");
        var digest = Convert.ToHexStringLower(SHA256.HashData(read[0].RawData));
        foreach (var certificate in read) certificate.Dispose();
        return digest;
    }

    private static JsonObject Write(ConfigRow row)
    {
        var certificate = KongJson.Read<KongCaCertificate>(row);
        var entity = KongEntity.Of(row, named: false);
        entity["cert"] = certificate.Cert;
        entity["cert_digest"] = row.Name;
        entity["tags"] = KongEntity.List(certificate.Tags);
        return entity.Dated(row);
    }
}
