using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.Gateway.Tokens;

/// <summary>JSON Web Tokens as credentials, good ones and hostile ones.</summary>
public sealed class TokenTests : IDisposable
{
    private const string Shop = """
        version: 1
        currency: USD
        apis:
          shop:
            upstream: UPSTREAM
            jwt: { issuer: "https://id.example.com", audience: shop, KEYS }
            operations: { data: GET /data, dear: GET /dear }
          plain:
            upstream: UPSTREAM
            operations: { plain: GET /plain }
        plans:
          free: { operations: [data, plain], limits: [100/minute] }
        """;

    private readonly Issuer _issuer = new();

    public void Dispose() => _issuer.Dispose();

    [Fact]
    public async Task A_token_of_the_issuer_says_who_calls_and_the_upstream_never_sees_it()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("fred", "free");
        var rsa = _issuer.Rs256(Issuer.Claims());
        foreach (var token in (string[])[rsa, rsa, _issuer.Es256(Issuer.Claims())])
            Assert.Equal((HttpStatusCode.OK, ""), await CallAsync(server, "/data", token));
        var consumer = (await server.GetAsync("/v1/consumers/fred")).GetProperty("id").GetString()!;
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", _issuer.Rs256(Issuer.Claims(consumer)))).Status);
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", key)).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await CallAsync(server, "/dear", _issuer.Rs256(Issuer.Claims()))).Status);

        Assert.All(upstream.Seen, s => Assert.Equal("fred", s.Headers["X-Consumer-Username"]));
        Assert.DoesNotContain(upstream.Seen, s => s.Headers.ContainsKey("Authorization"));
        Assert.Equal("jwt:shop", upstream.Seen.First().Headers["X-Credential-Identifier"]);
        await server.AdvanceAsync("PT1S");
        Assert.Equal(5, await server.UsageAsync("&consumer=fred"));

        // elsewhere a bearer token is the upstream's business
        using var plain = new HttpRequestMessage(HttpMethod.Get, "/plain");
        plain.Headers.Add("apikey", key);
        plain.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _issuer.Rs256(Issuer.Claims()));
        using var passed = await server.SendAsync(plain);
        Assert.Equal(HttpStatusCode.OK, passed.StatusCode);
        Assert.True(upstream.Seen.Last().Headers.ContainsKey("Authorization"));
    }

    [Fact]
    public async Task Nothing_but_a_whole_token_of_this_issuer_for_this_audience_lets_anybody_in()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        await server.SubscribeAsync("fred", "free");
        using var stranger = new Issuer();
        var good = _issuer.Rs256(Issuer.Claims());
        var parts = good.Split('.');
        Dictionary<string, object> Claims(string name, object? value)
        {
            var claims = Issuer.Claims();
            if (value is null) claims.Remove(name);
            else claims[name] = value;
            return claims;
        }

        var pem = Encoding.ASCII.GetBytes(_issuer.PublicPem);
        var stolen = JsonDocument.Parse(stranger.Jwks).RootElement.GetProperty("keys")[0];
        (string What, string Token)[] hostile =
        [
            ("signed by somebody else", stranger.Rs256(Issuer.Claims())),
            ("none", $"{Issuer.Part("""{"alg":"none"}""")}.{parts[1]}."),
            ("none with a signature", $"{Issuer.Part("""{"alg":"none","kid":"k1"}""")}.{parts[1]}.{parts[2]}"),
            ("NONE", $"{Issuer.Part("""{"alg":"NonE","kid":"k1"}""")}.{parts[1]}.{parts[2]}"),
            ("HMAC under the public key", Issuer.Hs256(Issuer.Claims(), pem, new { alg = "HS256", kid = "k1" })),
            ("HMAC under the set of keys", Issuer.Hs256(Issuer.Claims(), Encoding.UTF8.GetBytes(_issuer.Jwks))),
            ("an algorithm that is not asked for", _issuer.Rs256(Issuer.Claims(), new { alg = "RS512", kid = "k1" })),
            ("the RSA key named for EC", _issuer.Rs256(Issuer.Claims(), new { alg = "ES256", kid = "k1" })),
            ("kid is a path", _issuer.Rs256(Issuer.Claims(), new { alg = "RS256", kid = "../../../../dev/null" })),
            ("kid is SQL", _issuer.Rs256(Issuer.Claims(), new { alg = "RS256", kid = "k1' or '1'='1" })),
            ("kid is an address", _issuer.Rs256(Issuer.Claims(), new { alg = "RS256", kid = upstream.Address + "/jwks" })),
            ("brings its own address of keys",
                stranger.Rs256(Issuer.Claims(), new { alg = "RS256", kid = "x", jku = upstream.Address + "/jwks" })),
            ("brings its own key", stranger.Rs256(Issuer.Claims(), new { alg = "RS256", jwk = stolen })),
            ("must be understood",
                _issuer.Rs256(Issuer.Claims(), new { alg = "RS256", kid = "k1", crit = new[] { "b64" }, b64 = false })),
            ("another issuer", _issuer.Rs256(Claims("iss", "https://id.example.com.evil"))),
            ("no issuer", _issuer.Rs256(Claims("iss", null))),
            ("another audience", _issuer.Rs256(Claims("aud", "other"))),
            ("no audience", _issuer.Rs256(Claims("aud", null))),
            ("no end", _issuer.Rs256(Claims("exp", null))),
            ("an end that is text", _issuer.Rs256(Claims("exp", "tomorrow"))),
            ("an end whose number is text", _issuer.Rs256(Claims("exp", $"{TestServer.Start.AddHours(1).ToUnixTimeSeconds()}"))),
            ("a beginning whose number is text", _issuer.Rs256(Claims("nbf", "1"))),
            ("an end beyond all years", _issuer.Rs256(Claims("exp", long.MaxValue))),
            ("nobody we know", _issuer.Rs256(Claims("sub", "stranger"))),
            ("no consumer", _issuer.Rs256(Claims("sub", null))),
            ("a consumer that is an object", _issuer.Rs256(Claims("sub", new { name = "fred" }))),
            ("looks like fred", _issuer.Rs256(Claims("sub", "fr\u0435d"))),
            ("fred and a control character", _issuer.Rs256(Claims("sub", "fred\u0000"))),
            ("cut off", good[..^10]),
            ("two parts", $"{parts[0]}.{parts[1]}"),
            ("four parts", good + ".x"),
            ("five parts", good + ".x.y"),
            ("only dots", ".."),
            ("no JSON", $"{Issuer.Part("[[[[")}.{parts[1]}.{parts[2]}"),
            ("deep JSON", $"{Issuer.Part(new string('[', 3_000))}.{parts[1]}.{parts[2]}"),
            ("other claims under the old signature", $"{parts[0]}.{Issuer.Part("""{"sub":"root"}""")}.{parts[2]}"),
            ("padded", good + "=="),
            ("too long", _issuer.Rs256(Claims("pad", new string('x', 7_000)))),
        ];
        var wrong = new List<string>();
        foreach (var (what, token) in hostile)
        {
            var (status, challenge) = await CallAsync(server, "/data", token);
            const string invalid = "Bearer realm=\"shop\", error=\"invalid_token\"";
            if (status != HttpStatusCode.Unauthorized || !challenge.StartsWith(invalid, StringComparison.Ordinal))
                wrong.Add($"{what}: {(int)status} {challenge}");
        }

        Assert.Empty(wrong);
        Assert.Empty(upstream.Seen);
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", good)).Status);
    }

    [Fact]
    public async Task A_token_holds_by_business_time_with_the_leeway_and_two_credentials_are_refused()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        var key = await server.SubscribeAsync("fred", "free");
        var claims = Issuer.Claims();
        claims["nbf"] = TestServer.Start.AddMinutes(10).ToUnixTimeSeconds();
        var token = _issuer.Rs256(claims);
        Assert.Equal(HttpStatusCode.Unauthorized, (await CallAsync(server, "/data", token)).Status);
        await server.AdvanceAsync("PT9M1S");
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", token)).Status);
        await server.AdvanceAsync("PT51M58S"); // 13:00:59
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", token)).Status);
        await server.AdvanceAsync("PT1S");
        var (status, challenge) = await CallAsync(server, "/data", token);
        Assert.Equal(HttpStatusCode.Unauthorized, status);
        Assert.Contains("error_description=\"The token has expired\"", challenge, StringComparison.Ordinal);
        Assert.StartsWith("Bearer realm=\"shop\"", (await CallAsync(server, "/data", null)).Challenge, StringComparison.Ordinal);
        Assert.DoesNotContain("error", (await CallAsync(server, "/data", null)).Challenge, StringComparison.Ordinal);

        using var both = new HttpRequestMessage(HttpMethod.Get, "/data");
        both.Headers.Add("apikey", key);
        both.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _issuer.Rs256(Issuer.Claims()));
        using var refused = await server.SendAsync(both);
        Assert.Contains("key_duplicate", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        var told = await server.PostAsync("/v1/explain", new
        {
            path = "/data",
            headers = new Dictionary<string, string> { ["Authorization"] = "Bearer " + token },
        });
        Assert.Equal("key_expired", told.GetProperty("verdict").GetProperty("code").GetString());
        Assert.DoesNotContain(token, told.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_from_an_address_are_fetched_beside_calls_and_rotate()
    {
        await using var upstream = await TestUpstream.StartAsync();
        using var next = new Issuer("k2");
        var keys = _issuer.Jwks;
        upstream.Answer = context => context.Response.WriteAsync(context.Request.Path == "/jwks" ? keys : "ok");
        await using var server = await TestServer.StartAsync(
            Shop.Replace("KEYS", "jwks_url: \"UPSTREAM/jwks\"", StringComparison.Ordinal), upstream);
        await server.SubscribeAsync("fred", "free");
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", _issuer.Rs256(Issuer.Claims()))).Status);
        keys = next.Jwks;
        Assert.Equal(HttpStatusCode.Unauthorized, (await CallAsync(server, "/data", next.Rs256(Issuer.Claims()))).Status);
        // ten seconds of machine time later, which a test does not wait for
        var later = new Microsoft.Extensions.Time.Testing.FakeTimeProvider();
        later.Advance(TimeSpan.FromDays(10_000));
        await server.Node.Table.Tokens.RefreshAsync(later, CancellationToken.None);
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", next.Rs256(Issuer.Claims()))).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await CallAsync(server, "/data", _issuer.Rs256(Issuer.Claims()))).Status);

        // an issuer that is away, or answers nonsense, takes nothing away
        keys = "<html>";
        later.Advance(TimeSpan.FromHours(1));
        Assert.NotEmpty(await server.Node.Table.Tokens.RefreshAsync(later, CancellationToken.None));
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", next.Rs256(Issuer.Claims()))).Status);
    }

    [Fact]
    public async Task A_token_that_names_no_key_is_checked_by_the_only_one_of_its_kind()
    {
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await StartAsync(upstream);
        await server.SubscribeAsync("fred", "free");
        using var stranger = new Issuer();
        var unnamed = new { alg = "RS256" };
        Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", _issuer.Rs256(Issuer.Claims(), unnamed))).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await CallAsync(server, "/data", stranger.Rs256(Issuer.Claims(), unnamed))).Status);
    }

    [Fact]
    public async Task A_token_under_the_shared_secret_of_the_environment_says_who_calls()
    {
        const string variable = "TOLLGATE_TEST_SHARED_SECRET";
        var secret = new string('s', 64);
        Environment.SetEnvironmentVariable(variable, secret);
        await using var upstream = await TestUpstream.StartAsync();
        await using var server = await TestServer.StartAsync(
            Shop.Replace("KEYS", $"secret_env: {variable}, algorithms: [HS256, HS384, HS512]", StringComparison.Ordinal), upstream);
        await server.SubscribeAsync("fred", "free");
        (string Algorithm, Func<byte[], byte[], byte[]> Mac)[] all =
            [("HS256", HMACSHA256.HashData), ("HS384", HMACSHA384.HashData), ("HS512", HMACSHA512.HashData)];
        foreach (var (algorithm, mac) in all)
        {
            foreach (var header in (object[])[new { alg = algorithm }, new { alg = algorithm, kid = "any" }])
            {
                string By(string key) => Issuer.Signed(header, Issuer.Claims(), data => mac(Encoding.UTF8.GetBytes(key), data));
                Assert.Equal(HttpStatusCode.OK, (await CallAsync(server, "/data", By(secret))).Status);
                Assert.Equal(HttpStatusCode.Unauthorized, (await CallAsync(server, "/data", By(secret + "s"))).Status);
            }
        }

        // a secret that is too short for an algorithm would let none of its tokens in
        Environment.SetEnvironmentVariable(variable, secret[1..]);
        var short_ = await Assert.ThrowsAnyAsync<Exception>(() => TestServer.StartAsync(
            Shop.Replace("KEYS", $"secret_env: {variable}, algorithms: [HS256, HS512]", StringComparison.Ordinal), upstream));
        Assert.Contains($"{variable} must hold a secret of at least 64 bytes", short_.Message, StringComparison.Ordinal);
    }

    private Task<TestServer> StartAsync(TestUpstream upstream) => TestServer.StartAsync(
        Shop.Replace("KEYS", $"jwks: '{_issuer.Jwks}'", StringComparison.Ordinal), upstream);

    private static async Task<(HttpStatusCode Status, string Challenge)> CallAsync(TestServer server, string path, string? token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (token is not null) request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token);
        using var answer = await server.SendAsync(request);
        return (answer.StatusCode, string.Join(", ", answer.Headers.WwwAuthenticate));
    }
}
