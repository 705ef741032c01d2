using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Dapper;
using Tollgate.Tests.Gateway.Proxy;
using Tollgate.Tests.Gateway.Tokens;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Web.Kong;

/// <summary>Kong's <c>jwt</c>: consumers sign their own tokens, with keys that the gate knows them by.</summary>
public sealed class KongJwtTests : IDisposable
{
    private const string Secret = "a secret of fred's, of more than thirty-two bytes";

    private readonly Issuer _issuer = new();
    private readonly ECDsa _p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);

    public void Dispose()
    {
        _issuer.Dispose();
        _p384.Dispose();
    }

    [Fact]
    public async Task A_token_that_a_consumer_signed_says_who_calls_and_no_upstream_sees_it()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream,
            ("config.cookie_names", "session"), ("config.header_names", "authorization,X-Token"));
        var hs = Hs256("fred-hs");
        (string Path, (string Name, string Value)[] Headers, string Credential)[] cases =
        [
            ("/v1/a", [("Authorization", "Bearer " + Rs("RS256", "fred-rs"))], "fred-rs"),
            ("/v1/a", [("Authorization", "bearer " + hs)], "fred-hs"),
            ("/v1/a", [("X-Token", "Bearer " + hs)], "fred-hs"),
            ("/v1/a", [("Authorization", "Bearer " + Es384("fred-es"))], "fred-es"),
            ("/v1/a", [("Authorization", "Bearer " + Rs("PS512", "fred-ps"))], "fred-ps"),
            ("/v1/a?x=1&jwt=" + hs + "&y=2", [], "fred-hs"),
            ("/v1/a", [("Cookie", $"theme=dark; session={hs}; lang=en")], "fred-hs"),
            ("/v1/a?jwt=" + hs, [("Authorization", "Bearer " + hs), ("Cookie", "session=" + hs)], "fred-hs"),
        ];
        foreach (var (path, headers, credential) in cases)
        {
            upstream.Seen.Clear();
            Assert.Equal(200, await server.StatusAsync(path, null, headers: headers));
            var seen = Assert.Single(upstream.Seen);
            Assert.Equal(("fred", credential), (seen.Headers["X-Consumer-Username"], seen.Headers["X-Credential-Identifier"]));
            Assert.DoesNotContain(hs, seen.Target + string.Join('\n', seen.Headers.Values));
            Assert.False(seen.Headers.ContainsKey("Authorization") || seen.Headers.ContainsKey("X-Token"));
            Assert.Equal(path.Contains("x=1") ? "/a?x=1&y=2" : "/a", seen.Target);
            Assert.Equal(path.Contains('?') || headers.All(h => h.Name != "Cookie") ? null : "theme=dark; lang=en",
                seen.Headers.GetValueOrDefault("Cookie"));
        }

        Assert.Equal(401, await server.StatusAsync("/v1/a", null));
        Assert.Equal(401, await server.StatusAsync(
            "/v1/a?jwt=" + Hs256("fred-hs", ("n", 2)), null, headers: [("Authorization", "Bearer " + hs)]));
        Assert.Equal(8, await server.UsageAsync("&consumer=fred"));
    }

    [Fact]
    public async Task Nothing_but_a_whole_token_by_its_credentials_own_key_and_algorithm_lets_anybody_in()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        using var stranger = new Issuer();
        await server.FormAsync("/consumers", 201, ("username", "eve"));
        await server.FormAsync(
            "/consumers/eve/jwt", 201, ("key", "eve-rs"), ("algorithm", "RS256"), ("rsa_public_key", stranger.PublicPem));
        var pem = Encoding.UTF8.GetBytes(_issuer.PublicPem);
        var good = Hs256("fred-hs");
        var parts = good.Split('.');
        var claims = """{"iss":"fred-hs"}""";
        string Raw(string header, string payload) => Sealed($"{Issuer.Part(header)}.{Issuer.Part(payload)}");
        (string What, string Token)[] hostile =
        [
            ("none", $"{Issuer.Part("""{"alg":"none"}""")}.{parts[1]}."),
            ("none with a signature", $"{Issuer.Part("""{"alg":"none"}""")}.{parts[1]}.{parts[2]}"),
            ("another spelling of none", Raw("""{"alg":"NonE"}""", claims)),
            ("no algorithm", Raw("""{"typ":"JWT"}""", claims)),
            ("HMAC under the public key", Issuer.Hs256(new() { ["iss"] = "fred-rs" }, pem)),
            ("HMAC under the public key, named RS256", Issuer.Hs256(new() { ["iss"] = "fred-rs" }, pem, new { alg = "RS256" })),
            ("RSA, where there is a secret", Rs("RS256", "fred-hs")),
            ("the right key, another algorithm", Rs("RS512", "fred-rs")),
            ("PSS for PKCS 1", Rs("PS256", "fred-rs")),
            ("HS512 for HS256", Issuer.Signed(new { alg = "HS512" }, new { iss = "fred-hs" },
                d => HMACSHA512.HashData(Encoding.UTF8.GetBytes(Secret), d))),
            ("another consumer's key", stranger.Rs256(new() { ["iss"] = "fred-rs" })),
            ("fred's key for another consumer", _issuer.Rs256(new() { ["iss"] = "eve-rs" }, new { alg = "RS256" })),
            ("brings its own key", stranger.Rs256(new() { ["iss"] = "fred-rs" },
                new { alg = "RS256", jwk = new { kty = "RSA" }, jku = upstream.Address })),
            ("nobody's", Hs256("nobody")), ("no name", Raw("""{"alg":"HS256"}""", """{"sub":"fred-hs"}""")),
            ("a name that is a list", Raw("""{"alg":"HS256"}""", """{"iss":["fred-hs"]}""")),
            ("a name that is null, with one in the header", Raw("""{"alg":"HS256","iss":"fred-hs"}""", """{"iss":null}""")),
            ("a name in other letters", Hs256("Fred-HS")), ("a name with a blank", Hs256("fred-hs ")),
            ("a claim twice", Raw("""{"alg":"HS256"}""", """{"iss":"eve-rs","iss":"fred-hs"}""")),
            ("a claim twice, escaped", Raw("""{"alg":"HS256"}""", """{"iss":"fred-hs","\u0069ss":"fred-hs"}""")),
            ("an algorithm twice", Raw("""{"alg":"none","alg":"HS256"}""", claims)),
            ("must be understood", Raw("""{"alg":"HS256","crit":["b64"],"b64":false}""", claims)),
            ("another type", Raw("""{"alg":"HS256","typ":"logout+jwt"}""", claims)),
            ("ended", Hs256("fred-hs", ("exp", 0))), ("ends beyond all years", Hs256("fred-hs", ("exp", long.MaxValue))),
            ("an end that is text", Hs256("fred-hs", ("exp", "2999-01-01"))), ("an end below zero", Hs256("fred-hs", ("exp", -1))),
            ("not yet", Hs256("fred-hs", ("nbf", TestServer.Start.AddHours(1).ToUnixTimeSeconds()))),
            ("a beginning that is a list", Hs256("fred-hs", ("nbf", new[] { 1 }))),
            ("a payload that is a list", Raw("""{"alg":"HS256"}""", """["iss","fred-hs"]""")),
            ("a payload that is no JSON", Raw("""{"alg":"HS256"}""", "iss=fred-hs")),
            ("a payload that is no text", Sealed($"{Issuer.Part("""{"alg":"HS256"}""")}.{Base64Url.EncodeToString([0x7B, 0xFF, 0x7D])}")),
            ("deep", Raw("""{"alg":"HS256"}""", $$"""{"iss":"fred-hs","a":{{new string('[', 40)}}{{new string(']', 40)}}}""")),
            ("cut off", good[..^4]), ("longer", good + "AAAA"),
            ("another payload", $"{parts[0]}.{Issuer.Part("""{"iss":"fred-hs","a":1}""")}.{parts[2]}"),
            ("no signature", $"{parts[0]}.{parts[1]}."), ("two parts", $"{parts[0]}.{parts[1]}"),
            ("five parts", good + ".a.b"), ("empty parts", ".."),
            ("oversize", Hs256("fred-hs", ("a", new string('x', 8_192)))), ("padded", $"{parts[0]}.{parts[1]}.{parts[2]}="),
            ("nothing like it", "Zm9v"),
        ];
        foreach (var (what, token) in hostile)
        {
            var status = await server.StatusAsync("/v1/a", null, headers: [("Authorization", "Bearer " + token)]);
            Assert.True(status == 401, $"{what}: {status}");
            status = await server.StatusAsync("/v1/a?jwt=" + token, null);
            Assert.True(status is 401 or 414, $"{what}, in the query: {status}");
        }

        Assert.Empty(upstream.Seen);
        await server.ConsumerAsync("kay", "kay-key");
        Assert.Equal(401, await server.StatusAsync("/v1/a", "kay-key"));
        Assert.Equal(401, await server.StatusAsync("/v1/a", null, headers: [("Authorization", "Basic " + good)]));
        Assert.Equal(200, await server.StatusAsync("/v1/a", null, headers: [("Authorization", "Bearer " + good)]));
        using var told = await server.SendAsync(server.Request("/v1/a", null));
        Assert.Contains("Bearer realm=", told.Headers.WwwAuthenticate.ToString());
        Assert.Equal(1, await server.UsageAsync());
    }

    [Fact]
    public async Task A_token_holds_by_business_time_and_says_what_is_demanded()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream, ("config.claims_to_verify", "exp,nbf"), ("config.maximum_expiration", "3600"));
        var now = TestServer.Start.ToUnixTimeSeconds();
        (object? Exp, object? Nbf, int Status)[] cases =
        [
            (now + 60, now, 200), (now + 3_600, now - 10, 200), (now + 3_601, now, 401), (null, now, 401), (now + 60, null, 401),
            (now, now, 401), (now + 60, now + 1, 401), (now + 0.5m, now - 0.5m, 200),
        ];
        foreach (var (exp, nbf, status) in cases)
        {
            var got = await CallAsync(server, Hs256("fred-hs", ("exp", exp), ("nbf", nbf)));
            Assert.True(got == status, $"{exp} {nbf}: {got}");
        }

        // one that is remembered ends all the same
        var short_ = Hs256("fred-hs", ("exp", now + 60), ("nbf", now));
        Assert.Equal(200, await CallAsync(server, short_));
        await server.AdvanceAsync("PT59S");
        Assert.Equal(200, await CallAsync(server, short_));
        await server.AdvanceAsync("PT1S");
        using var ended = await server.SendAsync(server.Request("/v1/a", null, headers: [("Authorization", "Bearer " + short_)]));
        Assert.Equal(HttpStatusCode.Unauthorized, ended.StatusCode);
        Assert.Contains("key_expired", await ended.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_credential_that_is_gone_signs_nothing_and_its_name_is_free_for_another()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var token = Hs256("fred-hs");
        Assert.Equal(200, await CallAsync(server, token));
        await server.FormAsync("/consumers", 201, ("username", "eve"));
        await server.FormAsync("/consumers/eve/jwt", 409, ("key", "fred-hs"), ("secret", Secret));
        Assert.Equal(404, (int)(await server.Admin.GetAsync("/consumers/eve/jwt/fred-hs")).StatusCode);
        Assert.Equal(204, (int)(await server.Admin.DeleteAsync("/consumers/eve/jwt/fred-hs")).StatusCode);
        Assert.Equal(200, await CallAsync(server, token));
        Assert.Equal(204, (int)(await server.Admin.DeleteAsync("/consumers/fred/jwt/fred-hs")).StatusCode);
        Assert.Equal(401, await CallAsync(server, token));
        await server.FormAsync("/consumers/eve/jwt", 201, ("key", "fred-hs"), ("secret", "another secret, of more than thirty-two bytes"));
        Assert.Equal(401, await CallAsync(server, token));
        (await server.Admin.DeleteAsync("/consumers/eve/jwt/fred-hs")).Dispose();
        await server.FormAsync("/consumers/eve/jwt", 201, ("key", "fred-hs"), ("secret", Secret));
        Assert.Equal(200, await CallAsync(server, token));
        Assert.Equal("eve", upstream.Seen.Last().Headers["X-Consumer-Username"]);
        (await server.Admin.DeleteAsync("/consumers/eve")).Dispose();
        Assert.Equal(401, await CallAsync(server, token));
        await server.FormAsync("/consumers/fred/jwt", 201, ("key", "fred-hs"), ("secret", Secret));
        Assert.Equal(200, await CallAsync(server, token));
    }

    [Fact]
    public async Task A_secret_is_in_one_answer_and_sealed_in_the_store_and_opens_at_the_next_start()
    {
        using var folder = new TempFolder();
        await using var upstream = await TestUpstream.StartAsync();
        await using (var server = await StartAsync(upstream, folder))
        {
            var made = await server.FormAsync("/consumers/fred/jwt", 201, ("key", "made"));
            var secret = (string)made["secret"]!;
            Assert.Equal(43, secret.Length);
            Assert.Equal("HS256", (string)made["algorithm"]!);
            string[] places = ["/consumers/fred/jwt", "/consumers/fred/jwt/made", $"/consumers/fred/jwt/{made["id"]}", "/v1/audit_log"];
            foreach (var path in places)
            {
                var shown = (await server.GetAsync(path)).ToString();
                Assert.DoesNotContain(secret, shown);
                Assert.DoesNotContain(Secret, shown);
            }

            var rows = await server.Node.Database.ReadAsync(async db => (await db.QueryAsync<(string Id, byte[]? Sealed)>(
                "select id, secret from token_credentials")).AsList(), TestContext.Current.CancellationToken);
            Assert.Equal(2, rows.Count(r => r.Sealed is not null));
            Assert.All(rows.Where(r => r.Sealed is not null), r =>
                Assert.Equal(-1, r.Sealed.AsSpan().IndexOf(Encoding.UTF8.GetBytes(Secret).AsSpan(0, 8))));
            // a secret that is moved to another credential opens nothing
            await server.Node.Database.WriteAsync(db => db.ExecuteAsync(
                "update token_credentials set secret = (select secret from token_credentials where name = 'fred-hs') where name = 'made'"),
                TestContext.Current.CancellationToken);
        }

        await using var again = await TestServer.StartAsync(folder: folder);
        Assert.Equal(200, await CallAsync(again, Hs256("fred-hs")));
        Assert.Equal(200, await CallAsync(again, Rs("RS256", "fred-rs")));
        Assert.Equal(401, await CallAsync(again, Hs256("made")));
    }

    [Fact]
    public async Task Without_a_token_a_call_is_the_anonymous_consumers_and_a_preflight_may_pass()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream, ("config.anonymous", "guest"), ("config.secret_is_base64", "true"),
            ("config.key_claim_name", "kid"));
        await server.FormAsync("/consumers", 201, ("username", "guest"));
        Assert.Equal(200, await server.StatusAsync("/v1/a", null));
        Assert.Equal("guest", upstream.Seen.Last().Headers["X-Consumer-Username"]);
        Assert.Equal(401, await CallAsync(server, Hs256("fred-hs")));
        var raw = RandomNumberGenerator.GetBytes(40);
        await server.FormAsync("/consumers/fred/jwt", 201, ("key", "in-header"), ("secret", Convert.ToBase64String(raw)));
        Assert.Equal(200, await CallAsync(server, Issuer.Hs256([], raw, new { alg = "HS256", typ = "JWT", kid = "in-header" })));
        Assert.Equal("fred", upstream.Seen.Last().Headers["X-Consumer-Username"]);

        await server.FormAsync("/services/s/routes", 201, ("name", "pre"), ("paths", "/pre"));
        await server.FormAsync("/routes/pre/plugins", 201, ("name", "jwt"), ("config.run_on_preflight", "false"));
        Assert.Equal(200, await server.StatusAsync("/pre", null, HttpMethod.Options));
        Assert.Equal(401, await server.StatusAsync("/pre", null));
        Assert.Equal(401, await server.StatusAsync("/pre", null, HttpMethod.Post, headers: [("X-HTTP-Method-Override", "OPTIONS")]));
        // behind a gate every call says whose it is
        await server.FormAsync("/consumer_groups", 201, ("name", "g"));
        await server.FormAsync("/services/s/plugins", 201, ("name", "endpoint_gating"), ("config.endpoint_map.g[]", "/pre"));
        Assert.Equal(401, await server.StatusAsync("/pre", null, HttpMethod.Options));
        var explained = await server.PostAsync("/v1/explain", new { key = "a.b.c", method = "GET", path = "/pre" });
        Assert.Equal("key_unknown", explained.GetProperty("verdict").GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("algorithm=EdDSA", "algorithm", "expected one of: HS256")]
    [InlineData("algorithm=none", "algorithm", "expected one of: HS256")]
    [InlineData("secret=short", "secret", "length must be at least 32 bytes")]
    [InlineData("rsa_public_key=x", "rsa_public_key", "not supported: HS256 has a secret and no public key")]
    [InlineData("algorithm=RS256", "rsa_public_key", "required field missing")]
    [InlineData("algorithm=RS256&rsa_public_key=x", "rsa_public_key", "expected a public key in PEM")]
    [InlineData("algorithm=RS256&secret=x&rsa_public_key=PEM", "secret", "not supported: RS256 has a public key")]
    [InlineData("algorithm=ES256&rsa_public_key=PEM", "rsa_public_key", "cannot be read as a public key for ES256")]
    [InlineData("algorithm=ES256&rsa_public_key=P384", "rsa_public_key", "ES256 needs a key on the curve P-256")]
    [InlineData("algorithm=RS256&rsa_public_key=PRIVATE", "rsa_public_key", "expected a public key; this is a private one")]
    [InlineData("algorithm=RS256&rsa_public_key=SMALL", "rsa_public_key", "a key has at least 2048 bits")]
    [InlineData("tags=a", "tags", "not supported")]
    public async Task A_fault_of_a_credential_is_named(string form, string field, string fault)
    {
        await using var kong = await KongHost.StartAsync();
        (await kong.PostAsync("/consumers", "username=c")).Expect(201);
        using var small = RSA.Create(1_024);
        var pem = form.Split("rsa_public_key=").Last() switch
        {
            "PEM" => _issuer.PublicPem,
            "P384" => _p384.ExportSubjectPublicKeyInfoPem(),
            "PRIVATE" => small.ExportPkcs8PrivateKeyPem(),
            "SMALL" => small.ExportSubjectPublicKeyInfoPem(),
            var other => other,
        };
        var reply = await kong.PostAsync("/consumers/c/jwt", form.Contains("key=")
            ? form[..(form.IndexOf("key=", StringComparison.Ordinal) + 4)] + Uri.EscapeDataString(pem) : form);
        Assert.StartsWith(fault, reply.Expect(400).Fault(field));
        Assert.Empty((await kong.GetAsync("/consumers/c/jwt")).Body["data"]!.AsArray());
    }

    [Theory]
    [InlineData("config.claims_to_verify=aud", "config.claims_to_verify", "[\"expected one of: exp, nbf\"]")]
    [InlineData("config.maximum_expiration=60", "config.claims_to_verify", "must contain 'exp'")]
    [InlineData("config.maximum_expiration=31536001", "config.maximum_expiration", "value should be between 0 and 31536000")]
    [InlineData("config.header_names=Cookie", "config.header_names", "[\"'Cookie' cannot carry a key")]
    [InlineData("config.uri_param_names=a%26b", "config.uri_param_names", "[\"expected the name of a parameter")]
    [InlineData("config.cookie_names=a%3Bb", "config.cookie_names", "[\"expected the name of a cookie")]
    [InlineData("config.realm=x", "config.realm", "not supported")]
    public async Task A_fault_of_the_plugin_is_named(string form, string field, string fault)
    {
        await using var kong = await KongHost.StartAsync();
        var reply = (await kong.PostAsync("/plugins", "name=jwt", form)).Expect(400);
        Assert.StartsWith(fault, reply.Fault(field)?.Replace("\\u0027", "'", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_call_is_never_asked_for_a_key_and_a_token()
    {
        await using var kong = await KongHost.StartAsync();
        foreach (var service in (string[])["s", "t"])
        {
            (await kong.PostAsync("/services", "name=" + service, "url=http://u")).Expect(201);
            (await kong.PostAsync($"/services/{service}/routes", "name=r-" + service, "paths=/" + service)).Expect(201);
        }

        (await kong.PostAsync("/services/s/plugins", "name=key-auth")).Expect(201);
        foreach (var path in (string[])["/plugins", "/services/s/plugins", "/routes/r-s/plugins"])
            Assert.StartsWith("not supported: together with key-auth", (await kong.PostAsync(path, "name=jwt")).Expect(400).Fault("name"));
        (await kong.PostAsync("/routes/r-t/plugins", "name=jwt")).Expect(201);
        (await kong.PostAsync("/services/t/plugins", "name=key-auth")).Expect(400);
        (await kong.PostAsync("/services/t/plugins", "name=jwt")).Expect(201);
    }

    private Task<TestServer> StartAsync(TestUpstream upstream, params (string, string)[] config) => StartAsync(upstream, null, config);

    private async Task<TestServer> StartAsync(TestUpstream upstream, TempFolder? folder, params (string, string)[] config)
    {
        var server = await TestServer.StartAsync(folder: folder);
        await server.FormAsync("/services", 201, ("name", "s"), ("url", upstream.Address));
        await server.FormAsync("/services/s/routes", 201, ("paths", "/v1"));
        await server.FormAsync("/services/s/plugins", 201, [("name", "jwt"), .. config]);
        await server.FormAsync("/consumers", 201, ("username", "fred"));
        await server.FormAsync("/consumers/fred/jwt", 201, ("key", "fred-hs"), ("secret", Secret));
        foreach (var (key, algorithm, pem) in new[]
            {
                ("fred-rs", "RS256", _issuer.PublicPem), ("fred-ps", "PS512", _issuer.PublicPem),
                ("fred-es", "ES384", _p384.ExportSubjectPublicKeyInfoPem()),
            })
            await server.FormAsync("/consumers/fred/jwt", 201, ("key", key), ("algorithm", algorithm), ("rsa_public_key", pem));
        return server;
    }

    private static Task<int> CallAsync(TestServer server, string token) =>
        server.StatusAsync("/v1/a", null, headers: [("Authorization", "Bearer " + token)]);

    private static string Hs256(string name, params (string Claim, object? Value)[] more)
    {
        var claims = new Dictionary<string, object> { ["iss"] = name };
        foreach (var (claim, value) in more)
            if (value is not null) claims[claim] = value;
        return Issuer.Hs256(claims, Encoding.UTF8.GetBytes(Secret));
    }

    private static string Sealed(string text) =>
        $"{text}.{Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(Secret), Encoding.ASCII.GetBytes(text)))}";

    private string Rs(string algorithm, string name) => Issuer.Signed(new { alg = algorithm, typ = "JWT" }, new { iss = name },
        data => _issuer.Sign(data, algorithm));

    private string Es384(string name) => Issuer.Signed(new { alg = "ES384" }, new { iss = name },
        data => _p384.SignData(data, HashAlgorithmName.SHA384));
}
