using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>A page of invoices that are not issued yet.</summary>
/// <param name="Documents">Drafted for the answer, and kept nowhere.</param>
/// <param name="Problems">Why others cannot be drafted.</param>
/// <param name="Next">Key of the last subscription that was looked at; null when there are no more.</param>
public sealed record OpenInvoices(IReadOnlyList<InvoiceDocument> Documents, IReadOnlyList<Problem> Problems, long? Next);

/// <summary>Invoices that are not issued yet: what gathers while its period runs, and drafts of periods that are over.</summary>
public sealed partial class BillingRun
{
    private const int MostNamed = 20;

    /// <summary>Of each subscription of a page what gathers, or its drafts. A page is of so many subscriptions: those of which
    /// nothing is open bring no document.</summary>
    /// <param name="customer">Key; null for all.</param>
    /// <param name="gathering">Else drafts.</param>
    /// <param name="page">After which key of a subscription, and how many of them.</param>
    /// <param name="now">Business time, microseconds UTC.</param>
    public async Task<OpenInvoices> OpenAsync(long? customer, bool gathering, (long After, int Limit) page, long now)
    {
        await _catchUp();
        return await _database.ReadAsync(async shared =>
        {
            await using var db = new RepeatingConnection(shared);
            var (documents, problems) = (new List<InvoiceDocument>(), new List<Problem>());
            var versions = new Dictionary<(string, int), PlanVersion>();
            var rows = await InvoiceStore.OpenAsync(db, customer, page.After, page.Limit + 1);
            foreach (var billed in rows.Take(page.Limit))
            {
                var terms = await _reader.TermsAsync(db, billed.Subscription, versions);
                var bills = Drafted(terms, billed).TakeWhile(b => Micros.Of(b.Period.Start) <= now)
                    .TakeWhile(b => gathering || b.BillAt <= now).Take(_maxBills + 1);
                foreach (var bill in bills.Where(b => b.BillAt > now == gathering))
                {
                    var draft = await _reader.DraftAsync(db, terms, bill, now);
                    if (!draft.Ok) problems.AddRange(draft.Problems);
                    else if (draft.Value.Draft.Lines.Count > 0 || (gathering && bill.Settles is not null))
                        documents.Add(draft.Value.Document);
                    if (gathering) break;
                }
            }

            return new OpenInvoices(documents, problems, rows.Count > page.Limit ? rows[page.Limit - 1].Subscription.Key : null);
        });
    }

    /// <summary>The invoice that is to be issued under this id, drafted; null when there is none.</summary>
    /// <param name="id">As drafts have it.</param>
    /// <param name="now">Business time, microseconds UTC.</param>
    public async Task<Result<InvoiceDocument?>> FindOpenAsync(string id, long now)
    {
        if (InvoiceIds.InstantOf(id) is null) return Result<InvoiceDocument?>.Of(null);
        // within a change of something else nothing is drained: it is drafted of what there is
        if (OneWrite.Current is not { IsOpen: true }) await _catchUp();
        return await _database.ReadAsync(async db =>
            await NextOfAsync(db, id, now) is { Read: var next } ? DocumentOf(next)
            : await BehindAsync(db, id) is var (terms, bill)
                ? DocumentOf(await _reader.DraftAsync(db, terms, bill, now), bill.BillAt <= now)
            : Result<InvoiceDocument?>.Of(null));
    }

    private static Result<InvoiceDocument?> DocumentOf(Result<ReadDraft> read, bool isOver = false) =>
        !read.Ok ? Result<InvoiceDocument?>.Refused(read.Problems)
        : Result<InvoiceDocument?>.Of(isOver && read.Value.Draft.Lines.Count == 0 ? null : read.Value.Document);

    /// <summary>Issues a draft whose period is over, without waiting for late usage.</summary>
    /// <param name="id">As drafts have it.</param>
    /// <param name="now">Business time, microseconds UTC.</param>
    /// <param name="force">Also without the journals of other nodes; what they hold is late usage then.</param>
    /// <param name="expected">Whether it may be issued as it stands; null for whatever it is.</param>
    /// <returns>The journals that it was issued without; or <c>not_found</c>, <c>period_not_over</c>,
    /// <c>journals_behind</c>, <c>not_as_expected</c>, or why it cannot be billed.</returns>
    public async Task<Result<IReadOnlyList<JournalBehind>>> FinalizeAsync(
        string id, long now, bool force = false, Func<InvoiceDocument, bool>? expected = null)
    {
        await _catchUp();
        if (await _database.ReadAsync(db => NextOfAsync(db, id, now)) is not var (billed, next, read))
            return await _database.ReadAsync(db => NotNextAsync(db, id, now));
        if (billed.Sofar.Next > now)
            return new Problem("period_not_over", $"Its period ends at {Micros.ToText(billed.Sofar.Next ?? 0)}.");
        var behind = (await Others()).Where(j => j.CompleteTo < billed.Sofar.Next).ToArray();
        if (behind.Length > 0 && !force)
            return new Problem("journals_behind", "Usage may still stand in " +
                string.Join("; ", behind.Take(MostNamed).Select(j => j.ToString())) + ". Start those nodes, or mount their folders " +
                "and run 'tollgate journal drain'; with force: true it is issued without, and what they hold is late usage.");
        if (!read.Ok) return read.Problems[0];
        if (expected?.Invoke(read.Value.Document) == false)
            return new Problem("not_as_expected", "It is not what If-Match says any more: read it again, and decide again.");
        try
        {
            if (await _database.WriteAsync(db => InvoiceStore.TryIssueAsync(db, billed, new Proposal(read.Value, next), now)))
                return behind;
        }
        catch (CreditGoneException)
        {
            // of the draft nothing is written
        }

        return new Problem("changed_meanwhile", "The subscription or its credit changed meanwhile: try again.");
    }

    /// <summary>Why an id cannot be issued that is not the next.</summary>
    private async Task<Problem> NotNextAsync(DbConnection db, string id, long now)
    {
        if (await BehindAsync(db, id) is not var (terms, bill)) return new Problem("not_found", id);
        var first = (await InvoiceStore.OfSubscriptionAsync(db, terms.Subscription.Id))!.Sofar.Next ?? 0;
        return bill.BillAt > now
            ? new Problem("period_not_over", $"Its period ends at {Micros.ToText(bill.BillAt)}.")
            : new Problem("not_next", $"Invoices of {terms.Subscription.Id} are issued in their order: first " +
                $"{InvoiceIds.Of(terms.Subscription.Id, first)}, of {Micros.ToText(first)}. Without any line the next run passes it.");
    }

    /// <summary>The bill that an id is of, behind others of its subscription that are not issued yet; null for none.</summary>
    private async Task<(SubscriptionTerms Terms, Bill Bill)?> BehindAsync(DbConnection db, string id)
    {
        if (InvoiceIds.InstantOf(id) is not { } from) return null;
        foreach (var (subscription, at) in await InvoiceStore.BehindAsync(db, from))
        {
            if (InvoiceIds.Of(subscription, at) != id
                || await InvoiceStore.OfSubscriptionAsync(db, subscription) is not { } billed) continue;
            var terms = await _reader.TermsAsync(db, billed.Subscription, []);
            var bill = Drafted(terms, billed).TakeWhile(b => b.BillAt <= at).Take(_maxBills + 1).FirstOrDefault(b => b.BillAt == at);
            return bill is null ? null : (terms, bill);
        }

        return null;
    }

    /// <summary>The bill that is issued next under an id, and the one behind it; null when nothing is to be issued under it.
    /// </summary>
    private async Task<(BilledSubscription Billed, Bill? Next, Result<ReadDraft> Read)?> NextOfAsync(
        DbConnection db, string id, long now)
    {
        if (InvoiceIds.InstantOf(id) is not { } from) return null;
        var candidates = await InvoiceStore.NextAsync(db, from);
        if (candidates.FirstOrDefault(b => InvoiceIds.Of(b.Subscription.Id, b.Sofar.Next ?? 0) == id) is not { } billed) return null;
        var terms = await _reader.TermsAsync(db, billed.Subscription, []);
        var bills = ToCome(terms, billed).Take(2).ToArray();
        if (bills.Length == 0 || bills[0].BillAt != billed.Sofar.Next) return null;
        var read = await _reader.DraftAsync(db, terms, bills[0], now);
        // nothing will come of a period that ended without any line
        return read.Ok && read.Value.Draft.Lines.Count == 0 && bills[0].BillAt <= now
            ? null : (billed, bills.Length > 1 ? bills[1] : null, read);
    }
}
