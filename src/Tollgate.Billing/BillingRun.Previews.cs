using System.Data.Common;
using Tollgate.Catalog;
using Tollgate.Storage;

namespace Tollgate.Billing;

/// <summary>What a run would do, and what a change of terms asks about prices.</summary>
public sealed partial class BillingRun
{
    /// <summary>
    /// The invoices of a customer whose period starts in the time given: those issued as they are stored, with what has
    /// become of them, and drafts of the others, the running period included: its fees as they fall due at its end, its usage so far.
    /// </summary>
    public async Task<Result<IReadOnlyList<ShownInvoice>>> PreviewAsync(CustomerRow customer, Period period, long now)
    {
        await _catchUp();
        return await _database.ReadAsync<Result<IReadOnlyList<ShownInvoice>>>(async shared =>
        {
            await using var db = new RepeatingConnection(shared);
            var (from, to) = (Micros.Of(period.Start), Micros.Of(period.End));
            var found = (await InvoiceStore.OfPeriodAsync(db, customer.Key, from, to))
                .Select(i => (i.BillAt, i.SubscriptionKey, Invoice: new ShownInvoice(i.Document, i))).ToList();
            var until = Math.Min(to - 1, now);
            foreach (var billed in await InvoiceStore.OfCustomerAsync(db, customer.Key))
            {
                var terms = await _reader.TermsAsync(db, billed.Subscription, []);
                var bills = Drafted(terms, billed)
                    .TakeWhile(b => Micros.Of(b.Period.Start) <= until).Where(b => b.Period.Start >= period.Start);
                foreach (var bill in bills)
                {
                    var draft = await _reader.DraftAsync(db, terms, bill, now);
                    if (!draft.Ok) return Result<IReadOnlyList<ShownInvoice>>.Refused(draft.Problems);
                    // nothing will come of an opening without fees, nor of a period that ended without any lines
                    if (draft.Value.Draft.Lines.Count == 0 && (bill.Settles is null || bill.DueAt(_window) <= now))
                        continue;
                    found.Add((bill.BillAt, billed.Subscription.Key, new ShownInvoice(draft.Value.Document.ToJson(), null)));
                }
            }

            return found.OrderBy(f => f.BillAt).ThenBy(f => f.SubscriptionKey).Select(f => f.Invoice).ToArray();
        });
    }

    /// <summary>The bills to come as they would be drafted now: usage that came late is told by the first that looks for it, and
    /// what an earlier one of them settles is not late for the next.</summary>
    private IEnumerable<Bill> Drafted(SubscriptionTerms terms, BilledSubscription billed)
    {
        var looked = false;
        foreach (var bill in ToCome(terms, billed))
        {
            yield return looked ? bill with { LateBefore = null } : bill;
            looked |= bill.LateBefore is not null;
        }
    }

    /// <summary>The bill of an instant as it would be issued, as JSON; null when nothing is billed then.</summary>
    public async Task<Result<string?>> DraftAtAsync(DbConnection db, string subscriptionId, long at, long now)
    {
        var billed = await InvoiceStore.OfSubscriptionAsync(db, subscriptionId)
            ?? throw new InvalidOperationException($"There is no subscription {subscriptionId}.");
        var terms = await _reader.TermsAsync(db, billed.Subscription, []);
        var bill = ToCome(terms, billed with { Sofar = billed.Sofar with { Next = at } })
            .TakeWhile(b => b.BillAt <= at).LastOrDefault();
        if (bill is null) return Result<string?>.Of(null);
        var draft = await _reader.DraftAsync(db, terms, bill, now);
        if (!draft.Ok) return Result<string?>.Refused(draft.Problems);
        return Result<string?>.Of(draft.Value.Draft.Lines.Count == 0 ? null : draft.Value.Document.ToJson());
    }

    /// <summary>The end of the longest period that is paid in advance now, else of the billing period.</summary>
    internal async Task<long> PaidPeriodEndAsync(DbConnection db, SubscriptionRow subscription, long now)
    {
        var terms = await _reader.TermsAsync(db, subscription, []);
        var at = Micros.ToInstant(Math.Max(now, subscription.StartAt));
        var era = Era.Of(terms).FirstOrDefault(e => e.Whole.Contains(at));
        if (era is null) return Micros.Of(at);
        var fees = terms.InForceAt(Micros.Of(at))?.Fees.Where(f => f.In == BillingTiming.Advance) ?? [];
        return Micros.Of(fees.Select(f => f.Every).Prepend(era.Calendar.Interval)
            .Select(every => era.FullAt(every, at).End).Max());
    }

    /// <summary>What the fees of these terms come to in a year: tells an upgrade from a downgrade.</summary>
    internal async Task<decimal> YearlyAsync(
        DbConnection db, SubscriptionRow subscription, Entitlement entitlement, StretchTerms own)
    {
        var customer = await CustomerStore.FindAsync(db, subscription.CustomerKey);
        var stretch = await _reader.StretchAsync(
            db, entitlement, own with { Phase = Phase.Active }, Currency.Of(customer!.Currency), []);
        return stretch.Fees.Sum(f => f.UnitAmount * f.Quantity * f.Every switch
        {
            Interval.Day => 365,
            Interval.Week => 52,
            Interval.Month => 12,
            Interval.Quarter => 4,
            _ => 1,
        });
    }

    /// <summary>Writes the balances of customers whose credit began or expired.</summary>
    /// <returns>Customers whose balance changed since the last time, to be announced; <see cref="ToldAsync"/> then notes
    /// that they are.</returns>
    public async Task<IReadOnlyList<long>> CreditAsync(long now)
    {
        const int most = 10_000;
        var changed = await _database.ReadAsync(db => CreditAtGate.ChangedAsync(db, now, most));
        foreach (var customer in changed.Where(c => c.IsDue).Select(c => c.Customer))
            await _database.WriteAsync(db => CreditAtGate.WriteAsync(
                db, customer, now, (state, until) => OpenUsageAsync(db, state, until)));
        return [.. changed.Select(c => c.Customer)];
    }

    public Task ToldAsync(long customer) => _database.WriteAsync(db => CreditAtGate.ToldAsync(db, customer));

    /// <summary>What usage between the beginning of a balance and an instant costs that no invoice has told; gross.
    /// </summary>
    private async Task<decimal> OpenUsageAsync(DbConnection db, CreditState state, long until)
    {
        var sum = 0m;
        foreach (var billed in await InvoiceStore.OfCustomerAsync(db, state.CustomerKey))
        {
            var terms = await _reader.TermsAsync(db, billed.Subscription, []);
            foreach (var bill in ToCome(terms, billed)
                .TakeWhile(b => Micros.Of(b.Period.Start) < until).Where(b => b.Settles is not null).Take(_maxBills))
                sum += await DraftReader.UsedAsync(db, terms, bill, (state.Since, until));
        }

        return Exact.Multiply(sum, 1 + CreditAtGate.Added(await CustomerTerms.OfAsync(db, state.CustomerKey)) / 100);
    }

    /// <summary>Holds the subscriptions of customers who have been overdue for too long, and lets the others go on.
    /// </summary>
    /// <returns>Customers whose entitlements changed, to be announced.</returns>
    public async Task<IReadOnlyList<long>> HoldAsync(long now)
    {
        const int most = 10_000;
        var customers = await _database.ReadAsync(db => Settling.ToHoldAsync(db, now, most));
        foreach (var some in customers.Chunk(IssuedTogether))
            await _database.WriteAsync(async db =>
            {
                foreach (var customer in some) await Settling.HoldAsync(db, customer, now);
            });
        return customers;
    }
}
