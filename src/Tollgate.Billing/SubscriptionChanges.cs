using System.Data.Common;
using Dapper;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Storage;
using Interval = Tollgate.Catalog.Interval;

namespace Tollgate.Billing;

/// <summary>When a change takes effect.</summary>
public enum ChangeWhen : byte { Now, PeriodEnd }

/// <summary>What a subscription is to become; null leaves it as it is.</summary>
public sealed record WantedChange
{
    /// <summary>Name or id; its newest version.</summary>
    public string? Plan { get; init; }

    /// <summary>1 or more.</summary>
    public int? Quantity { get; init; }

    /// <summary>All of them, none for an empty list.</summary>
    public IReadOnlyList<AddOnTerms>? AddOns { get; init; }

    public Interval? Interval { get; init; }

    /// <summary>IANA id; begins with the next period.</summary>
    public string? Timezone { get; init; }

    /// <summary>The local date from which periods are counted, of a subscription that is not billed with the calendar; begins
    /// with the next period.</summary>
    public LocalDate? Anchor { get; init; }

    /// <summary>Whether periods are counted otherwise, which only begins with the next one (money.md 8).</summary>
    public bool MovesPeriods => Timezone is not null || Anchor is not null;

    /// <summary>Null: what costs as much or more now, what costs less at the end of the period that is paid.</summary>
    public ChangeWhen? When { get; init; }
}

/// <summary>A change, and what it costs.</summary>
/// <param name="EffectiveAt">Microseconds UTC; access and money change at this instant.</param>
/// <param name="Invoice">The draft of the bill of that instant, as JSON; null when nothing is charged.</param>
public sealed record ChangeOutcome(SubscriptionRow Subscription, long EffectiveAt, string? Invoice);

/// <summary>
/// The life of a subscription: plan, quantity, add-ons, pause, end. Each change writes the entitlements that the gate
/// reads and the terms that are billed, in one transaction. A preview is the change itself, rolled back: it cannot say
/// anything else.
/// </summary>
public sealed class SubscriptionChanges(Database database, TimeProvider clock, BillingRun billing)
{
    /// <summary>A plan, a quantity or add-ons, now or at the end of the period.</summary>
    public Task<Result<ChangeOutcome>> ChangeAsync(string id, WantedChange wanted, bool preview) =>
        ApplyAsync(id, preview, async (db, life) =>
        {
            if (life.Refused() is { } refused) return refused;
            if (life.InForce is not { } from) return Life.NotRunning;
            if (from.Own.Phase == Phase.Paused)
                return new Problem("paused", "The subscription is paused: resume it first.");
            var to = await WantedAsync(db, life, from, wanted);
            if (!to.Ok) return Result<long>.Refused(to.Problems);
            if (wanted.Anchor is not null && life.Row.IsAligned)
                return new Problem("bad_value", "is of a subscription that is not billed with the calendar", "anchor");
            if (await SubscriptionStore.RefusePeriodAsync(db, to.Value.Terms.PlanId, to.Value.Terms.PlanVersion,
                wanted.Interval ?? to.Value.Terms.Interval) is { } differs) return differs;
            var paid = await billing.PaidPeriodEndAsync(db, life.Row, life.Now);
            var cheaper = await billing.YearlyAsync(db, life.Row, to.Value.Terms, to.Value.Own)
                < await billing.YearlyAsync(db, life.Row, from.Terms, from.Own);
            var at = wanted.MovesPeriods ? BeginOf(to.Value.Terms, wanted, paid)
                : (wanted.When ?? (cheaper ? ChangeWhen.PeriodEnd : ChangeWhen.Now)) == ChangeWhen.Now
                    ? Math.Max(life.Now, life.Row.StartAt)
                    : paid;
            if (life.Row.EndAt <= at)
                return new Problem("ends_before", "The subscription ends before that: reactivate it first.", "when");
            await RestateAsync(db, life, at, to.Value with { Terms = Counted(to.Value.Terms, life.Row, wanted, at) });
            return at;
        });

    /// <summary>What this customer agreed on, prices included, from now on: usage before keeps the prices that it had.
    /// </summary>
    public Task<Result<ChangeOutcome>> OverrideAsync(string id, Overrides overrides, bool preview = false) =>
        ApplyAsync(id, preview, async (db, life) =>
        {
            if (life.Refused() is { } refused) return refused;
            var at = Math.Max(life.Now, life.Row.StartAt);
            await StretchStore.RestateAsync(db, id, at, t => t with { Overrides = overrides });
            await SubscriptionStore.TouchAsync(db, life.Row.Key, at);
            return at;
        });

    /// <summary>Ends it now, at the end of the period that is paid, or at an instant. What was paid for the time after
    /// is given back.</summary>
    public Task<Result<ChangeOutcome>> CancelAsync(string id, ChangeWhen when, long? endAt, bool preview) =>
        ApplyAsync(id, preview, async (db, life) =>
        {
            if (life.Row.EndAt <= life.Now) return life.AlreadyEnded;
            if (endAt < life.Now) return new Problem("bad_value", "must not lie in the past", "at");
            // who leaves in a trial has paid for nothing, and is not to
            var trialEnd = life.InForce is { Own.Phase: Phase.Trial } trial ? trial.Own.TrialEnd ?? trial.Terms.EndAt : null;
            var at = endAt ?? (when == ChangeWhen.Now
                ? Math.Max(life.Now, life.Row.StartAt)
                : trialEnd is { } end ? end
                : await billing.PaidPeriodEndAsync(db, life.Row, life.Now));
            await SubscriptionStore.EndAsync(db, life.Row, at);
            return Math.Max(at, life.Row.StartAt);
        });

    /// <summary>No access and no charges from now on, until it is resumed.</summary>
    /// <param name="resumeAt">Microseconds, after now; null for whenever somebody says so.</param>
    public Task<Result<ChangeOutcome>> PauseAsync(string id, long? resumeAt, bool preview) =>
        ApplyAsync(id, preview, async (db, life) =>
        {
            if (life.Refused() is { } refused) return refused;
            if (life.InForce is not { } from) return Life.NotRunning;
            if (from.Own.Phase == Phase.Paused) return new Problem("paused", "The subscription is paused already.");
            if (from.Own.Phase == Phase.Trial)
                return new Problem("in_trial", "A trial cannot be paused: cancel it, or wait for its end.");
            if (resumeAt <= life.Now) return new Problem("bad_value", "must be after now", "resume_at");
            if (resumeAt is { } resume && life.Row.EndAt <= resume)
                return new Problem("bad_value", "must be before the end of the subscription", "resume_at");
            await StretchStore.CutAsync(db, id, life.Now);
            await StretchStore.AddAsync(db,
                from.Terms with { StartAt = life.Now, EndAt = resumeAt ?? life.Row.EndAt, Hold = Hold.Paused },
                from.Own with { Phase = Phase.Paused });
            if (resumeAt is { } again)
                await StretchStore.LayAsync(db, from.Terms with { StartAt = again, EndAt = life.Row.EndAt }, from.Own);
            await SubscriptionStore.TouchAsync(db, life.Row.Key, life.Now);
            return life.Now;
        });

    /// <summary>Ends a pause now: the rest of the period is charged.</summary>
    public Task<Result<ChangeOutcome>> ResumeAsync(string id, bool preview) =>
        ApplyAsync(id, preview, async (db, life) =>
        {
            if (life.Refused() is { } refused) return refused;
            if (life.InForce is not { Own.Phase: Phase.Paused } from)
                return new Problem("not_paused", "The subscription is not paused.");
            await GoOnAsync(db, life, from, life.Row.EndAt);
            return life.Now;
        });

    /// <summary>Takes back an end that is to come, or lets a subscription that ended run again from now on.</summary>
    public Task<Result<ChangeOutcome>> ReactivateAsync(string id, bool preview) =>
        ApplyAsync(id, preview, async (db, life) =>
        {
            if (life.Row.EndAt is null) return new Problem("not_ended", "The subscription has no end.");
            if (life.Stretches.Count == 0 || life.Row.StartAt > life.Now) return Life.NotRunning;
            var last = life.InForce ?? life.Stretches[^1];
            if (await RunningAsync(db, life, last.Terms.PlanId) is { } other) return other;
            await db.ExecuteAsync(
                "update subscriptions set end_at = null, " +
                "next_bill_at = case when next_bill_at <= @now then next_bill_at else @now end where key = @Key",
                new { now = life.Now, life.Row.Key });
            await GoOnAsync(db, life, last, null);
            return life.Now;
        });

    private static async Task GoOnAsync(DbConnection db, Life life, Agreed from, long? endAt)
    {
        await StretchStore.CutAsync(db, life.Row.Id, life.Now);
        var paused = from.Own.Phase == Phase.Paused;
        await StretchStore.LayAsync(db,
            from.Terms with { StartAt = life.Now, EndAt = endAt, Hold = paused ? Hold.None : from.Terms.Hold }, from.Own);
        await SubscriptionStore.TouchAsync(db, life.Row.Key, life.Now);
    }

    /// <summary>The terms with the calendar in which periods are counted from an instant on.</summary>
    private static Entitlement Counted(Entitlement terms, SubscriptionRow row, WantedChange wanted, long at)
    {
        var every = wanted.Interval ?? terms.Interval;
        if (every == terms.Interval && (wanted.Timezone ?? terms.Timezone) == terms.Timezone
            && (wanted.Anchor ?? terms.Anchor) == terms.Anchor) return terms;
        var (zone, start) = (DateTimeZoneProviders.Tzdb[wanted.Timezone ?? terms.Timezone], Micros.ToInstant(at));
        return terms with
        {
            Interval = every,
            Timezone = zone.Id,
            Anchor = wanted.Anchor ?? (row.IsAligned ? BillingCalendar.Aligned(start, zone, every).Anchor
                : every != terms.Interval ? BillingCalendar.Anniversary(start, zone, every).Anchor
                : terms.Anchor),
        };
    }

    /// <summary>When periods begin to be counted otherwise: with the next one, on the same date where the subscription moves to. A
    /// day that begins there some hours later is not counted twice: by days, these hours are none.</summary>
    private static long BeginOf(Entitlement terms, WantedChange wanted, long next)
    {
        var begins = Micros.ToInstant(next);
        var day = begins.InZone(terms.Calendar.Zone).Date;
        return Micros.Of(Instant.Max(
            begins, DateTimeZoneProviders.Tzdb[wanted.Timezone ?? terms.Timezone].AtStartOfDay(day).ToInstant()));
    }

    /// <summary>From an instant on the new terms hold; what was agreed for later is replaced, but for the end of a trial.
    /// </summary>
    private static async Task RestateAsync(DbConnection db, Life life, long at, Agreed to)
    {
        var row = life.Row;
        var terms = to.Terms with { StartAt = at, EndAt = row.EndAt };
        var trial = life.Stretches.LastOrDefault(s => s.Own.Phase == Phase.Trial);
        var trialEnd = trial?.Own.TrialEnd ?? trial?.Terms.EndAt;
        // the phases of another plan begin with it, or with the end of the trial
        var samePlan = life.InForce?.Terms.PlanId == terms.PlanId;
        await StretchStore.CutAsync(db, row.Id, at);
        await StretchStore.LayAsync(db, terms, to.Own with
        {
            TrialEnd = trialEnd,
            PhasesFrom = samePlan ? to.Own.PhasesFrom : trialEnd > at ? trialEnd : at,
        });
        await db.ExecuteAsync(
            "update subscriptions set plan_id = @PlanId, interval = @interval, anchor = @anchor where key = @Key",
            new
            {
                terms.PlanId,
                interval = terms.Interval.ToText(),
                anchor = NodaTime.Text.LocalDatePattern.Iso.Format(terms.Anchor),
                row.Key,
            });
        await SubscriptionStore.TouchAsync(db, row.Key, at);
    }

    private static async Task<Result<Agreed>> WantedAsync(DbConnection db, Life life, Agreed from, WantedChange wanted)
    {
        var (terms, own) = (from.Terms, from.Own);
        if (wanted.Plan is { } plan)
        {
            var customer = await CustomerStore.FindAsync(db, life.Row.CustomerKey);
            var offer = await SubscriptionStore.OfferAsync(db, plan, customer!.Currency);
            if (!offer.Ok) return Result<Agreed>.Refused(offer.Problems);
            if (await RunningAsync(db, life, offer.Value.PlanId) is { } other) return other;
            terms = terms with { PlanId = offer.Value.PlanId, PlanVersion = offer.Value.Version };
        }

        own = own with
        {
            Quantity = wanted.Quantity ?? own.Quantity,
            AddOns = wanted.AddOns ?? own.AddOns,
        };
        var isSame = (terms.PlanId, terms.PlanVersion, own.Quantity) ==
            (from.Terms.PlanId, from.Terms.PlanVersion, from.Own.Quantity)
            && own.AddOns.SequenceEqual(from.Own.AddOns)
            && (wanted.Interval is null || wanted.Interval == terms.Interval)
            && (wanted.Timezone is null || wanted.Timezone == terms.Timezone)
            && (wanted.Anchor is null || wanted.Anchor == terms.Anchor)
            // what was agreed for later is taken back by asking for what is
            && !life.Stretches.Any(s => s.Terms.StartAt > life.Now && s.Own.Phase == Phase.Active
                && (s.Terms.PlanId, s.Terms.Timezone, s.Terms.Anchor) != (terms.PlanId, terms.Timezone, terms.Anchor));
        return isSame
            ? new Problem("nothing_changes", "The subscription has these terms already.")
            : new Agreed(terms, own);
    }

    private static async Task<Problem?> RunningAsync(DbConnection db, Life life, string planId)
    {
        var other = await SubscriptionStore.FindOtherAsync(db, life.Row, planId, life.Now);
        return other is null ? null : new Problem(SubscriptionStore.AlreadySubscribed,
            $"The customer is on this plan already ({other.Id}).", "plan");
    }

    private async Task<Result<ChangeOutcome>> ApplyAsync(
        string id, bool preview, Func<DbConnection, Life, Task<Result<long>>> change)
    {
        // what was called until now is settled by what the change leaves behind, so it must be there
        Result<ChangeOutcome>? answer = null;
        try
        {
            await database.WriteAsync(async db =>
            {
                answer = await ApplyAsync(db, id, change);
                if (preview || !answer.Ok) throw new RolledBackException();
            });
        }
        catch (RolledBackException)
        {
            // nothing is written: a preview, or a change that was refused half way
        }

        if (answer!.Ok && !preview)
            await OneWrite.AfterwardsAsync(("billing", id), () => billing.BillAsync(id, Micros.Now(clock)));
        return answer;
    }

    private async Task<Result<ChangeOutcome>> ApplyAsync(
        DbConnection db, string id, Func<DbConnection, Life, Task<Result<long>>> change)
    {
        if (await SubscriptionStore.FindAsync(db, id) is not { } row)
            return new Problem("not_found", $"There is no subscription '{id}'.");
        var stretches = (await SubscriptionStore.StretchesAsync(db, id))
            .Select(s => new Agreed(s.Terms, s.Own)).ToArray();
        var now = Micros.Now(clock);
        var held = await MigrationChecks.IsHeldAsync(db, row.CustomerKey);
        var before = held ? await FaultsAsync() : [];
        var at = await change(db, new Life(row, stretches, now));
        if (!at.Ok) return Result<ChangeOutcome>.Refused(at.Problems);
        // what was so before keeps nobody from leaving
        if (held && (await FaultsAsync()).Except(before).ToArray() is { Length: > 0 } wrong)
            return Result<ChangeOutcome>.Refused(wrong);
        // a resumed or restated subscription of somebody who is overdue is held as well
        await Settling.HoldAsync(db, row.CustomerKey, now);
        var after = (await SubscriptionStore.FindAsync(db, id))!;
        var invoice = await billing.DraftAtAsync(db, id, at.Value, now);
        return invoice.Ok
            ? new ChangeOutcome(after, at.Value, invoice.Value)
            : Result<ChangeOutcome>.Refused(invoice.Problems);

        Task<IReadOnlyList<Problem>> FaultsAsync() =>
            MigrationChecks.BalanceFaultsAsync(db, row.CustomerKey, now, billing.ReadVersion);
    }

    private sealed record Agreed(Entitlement Terms, StretchTerms Own);

    /// <summary>A subscription as a change finds it.</summary>
    private sealed record Life(SubscriptionRow Row, IReadOnlyList<Agreed> Stretches, long Now)
    {
        /// <summary>The terms that hold now, or with which it will begin.</summary>
        public Agreed? InForce => Stretches.LastOrDefault(s => s.Terms.StartAt <= Now && !(s.Terms.EndAt <= Now))
            ?? Stretches.FirstOrDefault(s => s.Terms.StartAt > Now);

        public Problem AlreadyEnded =>
            new("already_ended", $"The subscription ended at {Micros.ToText(Row.EndAt ?? Now)}.");

        public static Problem NotRunning => new("not_running", "The subscription does not run now.");

        public Problem? Refused() => Row.EndAt <= Now ? AlreadyEnded : null;
    }

    private sealed class RolledBackException : Exception;
}
