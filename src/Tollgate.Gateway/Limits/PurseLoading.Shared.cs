using System.Data.Common;
using Dapper;
using Tollgate.Storage;

namespace Tollgate.Gateway;

/// <content>
/// A purse that nodes share is filled from one base for all of them: what the store knew at one moment, with the position of each
/// journal at that moment. It lies in the customer's cell; whoever finds it missing, or of terms that are no longer those of the
/// store, makes it.
/// </content>
internal sealed partial class PurseLoading
{
    /// <summary>What is read is a copy of the store: it knows what balances there are, and not how far journals are.</summary>
    public bool IsOfCopy { get; init; }

    private async Task JoinAsync(CustomerEntry customer, EntitlementEntry[] entries, PurseTerms terms)
    {
        var shared = customer.Shared ??= new SharedPurse(customer, purses!);
        if (customer.Purse is null)
        {
            shared.Parted(isAdrift: false);
            shared.From = ulong.MaxValue;
            customer.Purse = Purse.Counting(shared);
        }
        else if (customer.Purse.Terms.Equals(terms) && shared.IsJoined && !shared.WantsBase)
        {
            customer.Purse.Entries = entries;
            return;
        }

        // what has ended since is counted; what ended before is in the store when it is drained up to here
        if (shared.From == ulong.MaxValue && !IsOfCopy) shared.From = await DrainedAsync();
        for (var tries = 0; tries < MostTries; tries++)
        {
            if (IsOfCopy || await purses!.Counters.ReadAsync(shared.Key) is not { } cell)
            {
                await JoinNobodyAsync(customer, shared, entries);
                return;
            }

            // read after the cell, so it is not older than the terms of whoever made that
            terms = await TermsAsync(customer.Key);
            var there = cell.Generation.Length == 0 ? null : PurseBase.Read(cell.Base);
            if (there is not null && !shared.WantsBase && there.Terms == terms.Mark
                && there.PositionOf(purses.Journal) >= shared.From && there.Rows.All(r => Array.Exists(entries, e => e.Key == r.E)))
            {
                if (await TryJoinAsync(customer, shared, entries, terms, (there, cell))) return;
                continue;
            }

            await catchUp();
            (terms, var made, var closed) = await database.ReadAsync(db => MakeAsync(db, customer, entries, (there, cell)));
            if (made is null || made.PositionOf(purses.Journal) < shared.From) continue;
            await PriceAsync(customer, entries, terms);
            // what a node held whose journal is closed, and the process before this one, is in the store by now
            string[] gone = [.. cell.Shares.Keys.Where(k => closed.Contains(k) || (k == purses.Journal && !shared.HasTold))];
            var write = new CellWrite(shared.Key, cell.Generation, cell.Version)
            {
                NewGeneration = $"{Guid.NewGuid():n}",
                Base = made.Write(),
                Dropped = gone,
            };
            if (await purses.Counters.WriteAsync(write) is not { Written: true } written) continue;
            var shares = cell.Shares.Where(s => !gone.Contains(s.Key)).ToDictionary(s => s.Key, s => s.Value);
            if (await TryJoinAsync(customer, shared, entries, terms, (made, written with { Shares = shares }))) return;
        }

        shared.Parted(isAdrift: true);
    }

    private async Task<ulong> DrainedAsync()
    {
        var next = purses!.Next;
        for (var tries = 0; tries == 0 || (purses.Stored + 1 < next && tries < MostTries); tries++) await catchUp();
        return purses.Stored + 1;
    }

    /// <summary>A base as of now.</summary>
    /// <returns>No base when there are terms that this node does not know yet: the change is on its way.</returns>
    private async Task<(PurseTerms Terms, PurseBase? Base, HashSet<string> Closed)> MakeAsync(
        DbConnection db, CustomerEntry customer, EntitlementEntry[] entries, (PurseBase? Base, CellAnswer Cell) before)
    {
        var terms = await TermsAsync(db, customer.Key);
        var keys = await db.QueryAsync<long>("select key from entitlements where customer_key = @Key", new { customer.Key });
        if (keys.AsList().Exists(k => !Array.Exists(entries, e => e.Key == k))) return (terms, null, []);
        var journals = (await db.QueryAsync<(long Id, long Position, long SeenAt, long Closed)>(
            "select id, position, seen_at, closed from journals")).AsList();
        // where the store was away for a node, it could give no sign of life there; but at Redis it listens
        var alive = journals.Where(j => j.Closed == 0).OrderByDescending(j => j.SeenAt)
            .Where((j, at) => at < purses!.Leases.Nodes || j.SeenAt >= purses.AliveSince).Select(j => $"{j.Id}");
        // of a cell that was there, whoever has said nothing holds nothing
        var awaited = (before.Base is null ? alive : before.Base.Awaited.Intersect(alive))
            .Where(j => !before.Cell.Shares.ContainsKey(j)).ToArray();
        var past = await PastAsync(db, entries, terms);
        var closed = journals.Where(j => j.Closed != 0).Select(j => $"{j.Id}").ToHashSet();
        return (terms, new PurseBase(terms.Mark, journals.ToDictionary(j => $"{j.Id}", j => j.Position), awaited,
            [.. past.Select(p => new BaseRow(
                p.Entry.Key, (int)p.Past.Period, p.Past.Operation ?? "", (int)p.Past.Meter, p.Past.At, p.Past.Quantity))]), closed);
    }

    private Task<bool> TryJoinAsync(
        CustomerEntry customer, SharedPurse shared, EntitlementEntry[] entries, PurseTerms terms, (PurseBase Base, CellAnswer Cell) on)
    {
        var purse = PurseOf(customer, entries, terms);
        Restore(purse, terms, on.Base.Rows.Select(r => (
            Array.Find(entries, e => e.Key == r.E)!, new Past(r.P, r.O.Length == 0 ? null : r.O, r.M, r.T, r.Q))));
        var exact = true;
        var others = purses!.SharesOfOthers(on.Cell.Shares);
        if (!purse.TryJoin(customer.Purse!, on.Base.PositionOf(purses.Journal), others, told => (exact, customer.Purse) = (told, purse)))
            return Task.FromResult(false);
        shared.Joined(on.Base, on.Cell, exact);
        return Task.FromResult(true);
    }

    /// <summary>Redis is away: what the store knows of the others is all.</summary>
    private async Task JoinNobodyAsync(CustomerEntry customer, SharedPurse shared, EntitlementEntry[] entries)
    {
        if (!IsOfCopy) await catchUp();
        var (terms, position, past) = await database.ReadAsync(async db =>
        {
            var found = await TermsAsync(db, customer.Key);
            var at = await db.ExecuteScalarAsync<long?>("select position from journals where id = @JournalId", new { purses!.JournalId });
            return (found, at, IsOfCopy ? [] : await PastAsync(db, entries, found));
        });
        await PriceAsync(customer, entries, terms);
        var purse = PurseOf(customer, entries, terms);
        Restore(purse, terms, past);
        shared.Parted(isAdrift: IsOfCopy);
        purse.TryJoin(customer.Purse!, (ulong)(position ?? 0), [], _ => customer.Purse = purse);
    }

    private static Purse PurseOf(CustomerEntry customer, EntitlementEntry[] entries, PurseTerms terms)
    {
        var purse = customer.Purse!.With(terms);
        purse.Entries = entries;
        return purse;
    }
}
