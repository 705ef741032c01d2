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
        command.SetAction((parsed, _) =>
        {
            var query = "?customer=" + Uri.EscapeDataString(parsed.GetValue(customer)!);
            if (parsed.GetValue(period) is { Length: > 0 } p) query += "&period=" + Uri.EscapeDataString(p);
            return AdminClient.PrintAsync(
                parsed.GetValue(admin)!, "/v1/invoices/preview" + query, parsed.GetValue(json));
        });
        return command;
    }
}
