using Tollgate.Config.File;

namespace Tollgate.Tests.Config;

/// <summary>The proxy's settings in the file: what is right is kept as it was meant, what is wrong is told with its place.</summary>
public sealed class ProxySettingsTests
{
    [Theory]
    [InlineData("hosts: []", "apis.a.hosts", "1 to 64")]
    [InlineData("hosts: [\"https://x\"]", "apis.a.hosts[0]", "without scheme")]
    [InlineData("hosts: [\"a.*.com\"]", "apis.a.hosts[0]", "not a host")]
    [InlineData("hosts: [\"x.com:80\"]", "apis.a.hosts[0]", "not a host")]
    [InlineData("hosts: [x.com, X.com.]", "apis.a.hosts[1]", "twice")]
    [InlineData("strip_prefix: /v2", "apis.a.strip_prefix", "does not begin with")]
    [InlineData("strip_prefix: v1", "apis.a.strip_prefix", "must begin with '/'")]
    [InlineData("strip_prefix: /v1/", "apis.a.strip_prefix", "slash at its end")]
    [InlineData("strip_prefix: \"/{x}\"", "apis.a.strip_prefix", "without parameters")]
    [InlineData("request_headers: { set: { X-Consumer-ID: x } }", "apis.a.request_headers.set.X-Consumer-ID", "who calls")]
    [InlineData("request_headers: { set: { X_Consumer_Id: x } }", "apis.a.request_headers.set.X_Consumer_Id", "who calls")]
    [InlineData("request_headers: { remove: [Content-Length] }", "apis.a.request_headers.remove[0]", "how the body is sent")]
    [InlineData("request_headers: { add: { Host: x } }", "apis.a.request_headers.add.Host", "preserve_host")]
    [InlineData("request_headers: { set: { X-A: \"a\\r\\nB: c\" } }", "apis.a.request_headers.set.X-A", "visible")]
    [InlineData("request_headers: { set: { \"X A\": b } }", "apis.a.request_headers.set.X A", "not the name of a header")]
    [InlineData("response_headers: { remove: [X-RateLimit-Limit-Minute] }", "apis.a.response_headers.remove[0]", "limits")]
    [InlineData("response_headers: { set: { Access-Control-Allow-Origin: \"*\" } }",
        "apis.a.response_headers.set.Access-Control-Allow-Origin", "cors")]
    [InlineData("response_headers: { replace: { A: b } }", "apis.a.response_headers.replace", "no field")]
    [InlineData("cors: {}", "apis.a.cors.origins", "missing")]
    [InlineData("cors: { origins: [\"*\"], credentials: true }", "apis.a.cors", "list the origins")]
    [InlineData("cors: { origins: [\"https://x.com/\"] }", "apis.a.cors.origins[0]", "not an origin")]
    [InlineData("cors: { origins: [\"null\"] }", "apis.a.cors.origins[0]", "not an origin")]
    [InlineData("cors: { origins: [\"https://x.com\"], methods: [get] }", "apis.a.cors.methods[0]", "capitals")]
    [InlineData("cors: { origins: [\"https://x.com\"], max_age: -1 }", "apis.a.cors.max_age", "whole number")]
    [InlineData("max_body: 10 MB", "apis.a.max_body", "not a size")]
    [InlineData("max_body: -1", "apis.a.max_body", "not a size")]
    [InlineData("max_body: 2000GiB", "apis.a.max_body", "1024GiB")]
    [InlineData("timeouts: { connect: 5 }", "apis.a.timeouts.connect", "not a time")]
    [InlineData("timeouts: { idle: 0s }", "apis.a.timeouts.idle", "not a time")]
    [InlineData("timeouts: { total: 25h }", "apis.a.timeouts.total", "24h")]
    [InlineData("timeouts: { read: 5s }", "apis.a.timeouts.read", "no field")]
    [InlineData("health: {}", "apis.a.health.path", "missing")]
    [InlineData("health: { path: healthz }", "apis.a.health.path", "not a path")]
    [InlineData("health: { path: /x, interval: 1ms }", "apis.a.health.interval", "100ms")]
    [InlineData("health: { path: /x, unhealthy: 0 }", "apis.a.health.unhealthy", "1 to 100")]
    [InlineData("load_balancing: sticky", "apis.a.load_balancing", "Known are")]
    [InlineData("protocol: h2", "apis.a.protocol", "Known are")]
    [InlineData("tls: { verify: true }", "apis.a.tls", "begins with https")]
    [InlineData("tls: []", "apis.a.tls", "a map")]
    public void What_is_wrong_is_told_with_its_place(string setting, string field, string says)
    {
        var problem = Assert.Single(Read(setting).Problems);
        Assert.Equal(field, problem.Field);
        Assert.Contains(says, problem.Detail, StringComparison.Ordinal);
        Assert.NotNull(problem.Place);
    }

    [Theory]
    [InlineData("ca: hello", "ca", "0 certificates")]
    [InlineData("ca_file: \"a\\nb\"", "ca_file", "not the path of a file")]
    [InlineData("ca_file: a, verify: false", "ca_file", "mean nothing")]
    [InlineData("key_file: a", "key_file", "certificate_file")]
    [InlineData("server_name: \"*.test\"", "server_name", "not the name of a server")]
    [InlineData("server_name: a b", "server_name", "not the name of a server")]
    [InlineData("client_certificate: a", "client_certificate", "no field")]
    [InlineData("verify: maybe", "verify", "true or false")]
    public void What_is_wrong_with_TLS_is_told_with_its_place(string tls, string field, string says)
    {
        var problem = Assert.Single(ConfigFileReader.Read("version: 1\ncurrency: USD\napis:\n  a:\n    upstream: https://x.test\n" +
            $"    tls: {{ {tls} }}\n    operations: {{ data: GET /v1 }}\n", "f").Problems);
        Assert.Equal("apis.a.tls." + field, problem.Field);
        Assert.Contains(says, problem.Detail, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/x/{other}", "no parameter")]
    [InlineData("x", "must begin with '/'")]
    [InlineData("GET /x", "without a method")]
    public void A_rewrite_has_the_parameters_of_its_operation(string rewrite, string says)
    {
        var problem = Assert.Single(Read("retries: 0", $"{{ match: \"GET /v1/{{id}}\", rewrite: \"{rewrite}\" }}").Problems);
        Assert.Equal("apis.a.operations.data.rewrite", problem.Field);
        Assert.Contains(says, problem.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_right_is_kept_as_it_was_meant()
    {
        var read = Read("""
            max_body: 10MiB
                timeouts: { connect: 500ms, first_byte: 2s, idle: 1m, total: 1h }
            """);
        Assert.True(read.Ok);
        var proxy = Assert.Single(read.Value.Apis).Proxy!;
        Assert.Equal(10 << 20, proxy.MaxBody);
        Assert.Equal((500, 2_000, 60_000, 3_600_000), (proxy.Timeouts.Connect, proxy.Timeouts.FirstByte, proxy.Timeouts.Idle,
            proxy.Timeouts.Total));
        Assert.Null(Assert.Single(Read("retries: 1").Value.Apis).Proxy);
    }

    [Fact]
    public void One_path_may_stand_under_different_hosts_and_not_twice_under_one()
    {
        const string head = "version: 1\ncurrency: USD\napis:\n";
        Assert.True(ConfigFileReader.Read(head +
            "  a: { upstream: \"http://a\", hosts: [a.com], operations: { x: GET /v1 } }\n" +
            "  b: { upstream: \"http://b\", hosts: [b.com], operations: { y: GET /v1 } }\n" +
            "  c: { upstream: \"http://c\", operations: { z: GET /v1 } }\n", "f").Ok);
        var twice = ConfigFileReader.Read(head +
            "  a: { upstream: \"http://a\", hosts: [a.com, b.com], operations: { x: GET /v1 } }\n" +
            "  b: { upstream: \"http://b\", hosts: [B.com], operations: { y: GET /v1 } }\n", "f");
        Assert.Equal("duplicate_path", Assert.Single(twice.Problems).Code);
    }

    [Fact]
    public void What_an_application_serves_itself_is_not_forwarded()
    {
        var read = ConfigFileReader.Read("version: 1\ncurrency: USD\napis:\n  a: { upstream: application, retries: 0, " +
            "load_balancing: random, operations: { x: GET /v1 } }\n", "f");
        Assert.Contains("not forwarded", Assert.Single(read.Problems).Detail, StringComparison.Ordinal);
    }

    private static Tollgate.Catalog.Result<Tollgate.Config.ConfigFile> Read(string setting, string operation = "GET /v1/data") =>
        ConfigFileReader.Read($"""
            version: 1
            currency: USD
            apis:
              a:
                upstream: http://127.0.0.1:1
                {setting}
                operations:
                  data: {operation}
            """, "tollgate.yaml");
}
