// An application that sells its own endpoints: the gate and the meter stand in its pipeline, there is no proxy.
using Quotes;
using Tollgate;
using Tollgate.Gateway.Extensions;

var builder = WebApplication.CreateBuilder(args);
builder.AddTollgate(options =>
{
    options.Data = builder.Configuration["tollgate:data"] ?? "data";
    options.ConfigFile = Path.Combine(AppContext.BaseDirectory, "tollgate.yaml");
    options.Admin = new Uri(builder.Configuration["tollgate:admin"] ?? "http://127.0.0.1:8001");
    options.PassThrough.Add("/health");
});
builder.Services.AddSingleton<IGateExtension, ClosedMarkets>();

var app = builder.Build();
app.UseTollgate();
app.MapGet("/health", () => "ok");
app.MapGet("/v1/quotes/{symbol}", (string symbol, HttpContext context) => new
{
    symbol,
    price = "101.25",
    asked_by = GatedCall.Of(context)?.Consumer,
});
app.MapGet("/v1/quotes/{symbol}/history", (string symbol) => new { symbol, lowest = "99.10", highest = "101.25" });
app.Run();
