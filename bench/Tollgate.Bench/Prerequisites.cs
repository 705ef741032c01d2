namespace Tollgate.Bench;

/// <summary>The programs that the chosen targets need, and the Debian packages that bring them.</summary>
internal static class Prerequisites
{
    public const string LuaModule = "/usr/lib/nginx/modules/ngx_http_lua_module.so";
    private const string RestyCore = "/usr/share/lua/5.1/resty/core.lua";

    /// <summary>One sentence for each thing that is not there.</summary>
    public static List<string> Missing(IReadOnlyCollection<Target> targets)
    {
        var missing = new List<string>();
        if (!OperatingSystem.IsLinux())
            missing.Add("the bench reads /proc: it runs on Linux only");
        if (!IsOnPath("wrk"))
            missing.Add("wrk, the load generator, is not installed: apt-get install wrk");
        if (!IsOnPath("nginx"))
            missing.Add("nginx, the upstream, is not installed: apt-get install nginx");
        if (targets.Contains(Target.Lua) && !File.Exists(LuaModule))
            missing.Add("nginx has no Lua module: apt-get install libnginx-mod-http-lua");
        if (targets.Contains(Target.Lua) && !File.Exists(RestyCore))
            missing.Add("nginx's Lua module has no core library: apt-get install lua-resty-core");
        return missing;
    }

    private static bool IsOnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
        .Split(':', StringSplitOptions.RemoveEmptyEntries)
        .Any(folder => File.Exists(Path.Combine(folder, program)));
}
