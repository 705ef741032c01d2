using System.CommandLine;

namespace Tollgate.Server;

/// <summary><c>tollgate invoice</c>: what a customer owes for a period, line by line.</summary>
internal static class InvoiceCommand
{
    public static Command Build()
    {
        var customer = new Option<string>("--customer")
        {
            Description = "Name or id of the customer, or of one of its consumers.",
            Required = true,
        };
        var period = new Option<string>("--period")
        {
            Description = "A month, as 2026-01; the running one when absent.",
        };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("invoice", "Show a customer's invoices and drafts of a month.")
        {
            customer, period, admin, json,
        };
        command.Subcommands.Add(Explain());
        command.SetAction((parsed, _) =>
        {
            var query = "?customer=" + Uri.EscapeDataString(parsed.GetValue(customer)!);
            if (parsed.GetValue(period) is { Length: > 0 } p) query += "&period=" + Uri.EscapeDataString(p);
            return AdminClient.PrintAsync(
                parsed.GetValue(admin)!, "/v1/invoices/preview" + query, parsed.GetValue(json));
        });
        return command;
    }

    /// <summary><c>tollgate invoice explain 2026-000001 --line 7</c>.</summary>
    private static Command Explain()
    {
        var invoice = new Argument<string>("invoice") { Description = "Number or id of an issued invoice." };
        var line = new Option<int>("--line") { Description = "Which line, from 1.", Required = true };
        var file = new Option<string>("--out") { Description = "Save all of them: calls.parquet or calls.csv." };
        var rollups = new Option<bool>("--rollups") { Description = "The sums by quarters of an hour that the line is made of." };
        var (admin, json) = (AdminClient.Address(), AdminClient.Json());
        var command = new Command("explain", "Show the calls, events and counter samples that a line of an invoice asks for.")
        {
            invoice, line, rollups, file, admin, json,
        };
        command.SetAction((parsed, _) =>
        {
            var path = $"/v1/invoices/{Uri.EscapeDataString(parsed.GetValue(invoice)!)}/lines/{parsed.GetValue(line)}/" +
                (parsed.GetValue(rollups) ? "rollups" : "calls");
            if (parsed.GetValue(file) is not { Length: > 0 } target)
                return AdminClient.PrintAsync(parsed.GetValue(admin)!, path, parsed.GetValue(json));
            var format = Path.GetExtension(target).TrimStart('.');
            return AdminClient.SaveAsync(parsed.GetValue(admin)!, $"{path}?format={Uri.EscapeDataString(format)}", target);
        });
        return command;
    }
}
