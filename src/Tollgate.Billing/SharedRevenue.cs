using System.Data.Common;
using Dapper;
using NodaTime;
using Tollgate.Catalog;

namespace Tollgate.Billing;

/// <summary>
/// What publishers have of invoices (money.md 15): of each line after discounts and without tax, posted to the account
/// <c>payable</c> in the transaction of the document, and taken back with it.
/// </summary>
internal static class SharedRevenue
{
    /// <summary>The lines of a draft of which somebody has a share.</summary>
    public static IReadOnlyList<SharedLine> Of(
        SubscriptionTerms terms, InvoiceDraft draft, IReadOnlyList<ShareRow> shares)
    {
        if (shares.Count == 0) return [];
        var lines = new List<SharedLine>();
        for (var i = 0; i < draft.Lines.Count; i++)
        {
            var line = draft.Lines[i];
            var plan = PlanOf(terms, line) ?? draft.PlanId;
            ShareRow[] of = [.. shares.Where(s => s.Holds(plan, draft.Bill.BillAt) && s.Covers(line.Rated.PriceName))];
            if (of.Length > 0 && draft.Sum.Lines[i].Net is { MinorUnits: not 0 } net) lines.Add(new SharedLine(i + 1, net, of));
        }

        return lines;
    }

    /// <summary>Notes what an invoice earns for publishers.</summary>
    /// <returns>All of it.</returns>
    public static async Task<Money> EarnAsync(
        DbConnection db, IReadOnlyList<SharedLine> lines, (long Key, string Id) invoice, Currency currency, long now)
    {
        var sum = Money.Zero(currency);
        if (lines.Count == 0) return sum;
        var month = MonthOf(now);
        var before = new Dictionary<long, decimal>();
        foreach (var line in lines)
        {
            foreach (var share in line.Shares)
                if (!before.ContainsKey(share.Key))
                    before[share.Key] = new Money(await TurnoverAsync(db, share.Key, currency, month), currency).Amount;
            var parts = RevenueShare.Split(line.Net, [.. line.Shares.Select(s => (s.ReadBands(), before[s.Key]))]);
            for (var s = 0; s < parts.Count; s++)
            {
                before[line.Shares[s].Key] += line.Net.Amount;
                await AddAsync(db, new Earned(line.Shares[s].Key, invoice.Key, invoice.Id, line.Line, line.Net, parts[s]), now);
                sum += parts[s];
            }
        }

        return sum;
    }

    /// <summary>A credit note takes back its part of what its invoice has earned; all notes together never more.</summary>
    /// <param name="credited">Of the total of the invoice, with this note.</param>
    /// <returns>All of it.</returns>
    public static Task<Money> TakeBackAsync(DbConnection db, InvoiceRow invoice, long credited, string note, long now) =>
        TakeBackAsync(db, invoice, note, now, earned => decimal.Round(
            (decimal)earned * credited / invoice.Total, MidpointRounding.AwayFromZero));

    /// <summary>A void takes back everything; its postings are reversed with those of the invoice.</summary>
    public static Task VoidAsync(DbConnection db, InvoiceRow invoice, long now) =>
        TakeBackAsync(db, invoice, invoice.Id, now, earned => earned);

    private static async Task<Money> TakeBackAsync(
        DbConnection db, InvoiceRow invoice, string document, long now, Func<long, decimal> part)
    {
        var currency = Currency.Of(invoice.Currency);
        var sum = Money.Zero(currency);
        var earned = await db.QueryAsync<(long Share, long Base, long Amount, long BaseBack, long AmountBack)>(
            "select share_key, cast(sum(case when line > 0 then base else 0 end) as bigint), " +
            "cast(sum(case when line > 0 then amount else 0 end) as bigint), " +
            "cast(sum(case when line = 0 then base else 0 end) as bigint), " +
            "cast(sum(case when line = 0 then amount else 0 end) as bigint) " +
            "from share_entries where invoice_key = @Key group by share_key order by share_key", new { invoice.Key });
        foreach (var (share, net, amount, netBack, amountBack) in earned)
        {
            var back = new Money((long)part(amount) + amountBack, currency);
            var of = new Money((long)part(net) + netBack, currency);
            if (back.MinorUnits == 0 && of.MinorUnits == 0) continue;
            await AddAsync(db, new Earned(share, invoice.Key, document, 0, -of, -back), now);
            sum += back;
        }

        return sum;
    }

    /// <summary>A line is of the plan that was in force when it began; what is given back of a fee, of the one before.</summary>
    private static string? PlanOf(SubscriptionTerms terms, DraftLine line)
    {
        var at = Micros.Of(line.Period.Start);
        return terms.InForceAt(line.IsCredit ? at - 1 : at)?.Terms.PlanId;
    }

    /// <summary>What counted in the bands of a share since the calendar month began, UTC.</summary>
    private static Task<long> TurnoverAsync(DbConnection db, long share, Currency currency, long month) =>
        db.ExecuteScalarAsync<long>("select cast(coalesce(sum(base), 0) as bigint) from share_entries " +
            "where share_key = @share and currency = @Code and posted_at >= @month", new { share, currency.Code, month });

    private static long MonthOf(long now)
    {
        var calendar = BillingCalendar.Aligned(Micros.ToInstant(now), DateTimeZone.Utc, Catalog.Interval.Month);
        return calendar.At(now).Start;
    }

    private static Task AddAsync(DbConnection db, Earned earned, long now) => db.ExecuteAsync(
        "insert into share_entries (share_key, invoice_key, document, line, currency, base, amount, posted_at) " +
        "values (@Share, @Invoice, @Document, @Line, @Code, @Net, @Amount, @now)",
        new
        {
            earned.Share,
            earned.Invoice,
            earned.Document,
            earned.Line,
            earned.Net.Currency.Code,
            Net = earned.Net.MinorUnits,
            Amount = earned.Amount.MinorUnits,
            now,
        });

    private sealed record Earned(long Share, long Invoice, string Document, int Line, Money Net, Money Amount);
}

/// <summary>A line of an invoice of which publishers have a share.</summary>
/// <param name="Line">From 1.</param>
public sealed record SharedLine(int Line, Money Net, IReadOnlyList<ShareRow> Shares);
