using CsCheck;
using NodaTime;
using Tollgate.Catalog;
using Tollgate.Gateway;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>
/// Random plans and random histories against a model that keeps every call and counts anew each time: the same decisions,
/// the same numbers in headers, nothing taken by a refusal, and a true Retry-After; over changes of clocks, ends of months and
/// clocks that are set back.
/// </summary>
public sealed class GateModelTests
{
    private static readonly string[] s_limits =
    [
        "3/second", "7/minute", "5/hour by key", "9/day by customer", "20/month", "4/minute by operation", "4/minute by ip",
        "3/second sliding", "6/minute sliding by key", "8/hour sliding by customer", "5/day sliding by operation",
        "3/second bucket burst 2", "7/minute bucket burst 4 by customer", "11/hour bucket burst 3 by key",
        "2 concurrent", "3 concurrent by customer", "1 concurrent by key",
    ];

    private static readonly string[] s_zones = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"];

    private static readonly string[] s_periods =
        ["day", "week", "month", "year", "calendar day", "calendar week", "calendar month", "calendar quarter"];

    private static readonly string[] s_days =
        ["2026-03-29", "2026-10-25", "2026-04-05", "2028-02-28", "2028-02-29", "2026-01-31", "2026-12-31", "2027-02-28"];

    [Fact]
    public void The_gate_decides_as_a_model_that_counts_all_calls_anew() =>
        Gen.Int[0, int.MaxValue].Sample(seed => new History(new Random(seed)).Run(60), iter: 400);

    /// <summary>A call that was let in.</summary>
    private sealed record Let(long At, Caller Caller, long Reserved)
    {
        public long? Settled { get; set; }

        public bool UnderWay { get; set; } = true;
    }

    private sealed class History
    {
        private readonly Random _random;
        private readonly Counted _counted;
        private readonly BillingCalendar[] _calendars;
        private readonly List<Let> _let = [];
        private readonly List<(Decision Decision, Let Let)> _open = [];
        private string[] _limits;
        private Quota[] _quotas;
        private long _now;
        private long _latest;
        private bool _over;

        public History(Random random)
        {
            _random = random;
            _limits = [.. Enumerable.Range(0, random.Next(5)).Select(_ => Of(s_limits)).Distinct()
                .DistinctBy(l => (Limit.TryParse(l)!.Window, Limit.TryParse(l)!.Per, Limit.TryParse(l)!.By))];
            _quotas = [.. Enumerable.Range(0, random.Next(3)).Select(i => new Quota($"q{i}", "calls", random.Next(1, 25))
            {
                Per = QuotaPeriod.Find(Of(s_periods))!.Value,
                Operations = random.Next(2) == 0 ? null : ["1"],
                Overage = random.Next(5) == 0 ? Overage.Bill : Overage.Block,
            })];
            // of two that count alike only one can be told from the other by what it allows
            _quotas = [.. _quotas.DistinctBy(q => (q.Per, q.Operations is null))];
            var (anchor, zone) = (new LocalDate(2025, 12, random.Next(1, 32)), Of(s_zones));
            var start = Counted.At("2025-12-31T00:00:00Z");
            _counted = new Counted(anchor, zone, start, string.Join(", ", _limits), _quotas);
            var of = new Entitlement
            {
                Key = 1, SubscriptionId = "sub_1", CustomerKey = 1, PlanId = "plan_1", PlanVersion = 1, Priority = 0,
                StartAt = start, EndAt = null, Anchor = anchor, Timezone = zone,
            };
            _calendars = [.. _quotas.Select(q => q.Per.CalendarFor(of))];
            _latest = start;
            _now = Counted.At(Of(s_days) + "T00:00:00Z") + random.NextInt64(86_400_000_000);
        }

        public void Run(int steps)
        {
            for (var i = 0; i < steps && !_over; i++)
            {
                _now += Gap();
                if (_open.Count > 0 && _random.Next(3) == 0) End();
                else if (_random.Next(25) == 0) Change();
                else Call();
            }
        }

        private void Call()
        {
            var caller = new Caller(_random.Next(1, 3), _random.Next(1, 4), _random.Next(1, 3), (ulong)_random.Next(1, 4));
            var units = caller.Operation == 1 ? 1 : 3;
            _latest = Math.Max(_latest, _now);
            var expected = Left(caller, _latest);
            var passes = expected.All(e => e is null || e >= 1) && QuotasPass(caller, units);
            var decision = _counted.Call(_now, caller, units);
            Assert.Equal(passes, decision.Violated < 0);
            if (passes)
            {
                _let.Add(new Let(_latest, caller, units));
                _open.Add((decision, _let[^1]));
            }
            else if (_random.Next(6) == 0)
            {
                Waits(decision, caller, units);
                return;
            }

            // what headers say is what is left after the call, and before it where it was refused
            var left = Left(caller, _latest);
            var terms = _counted.Terms;
            for (var i = 0; i < terms.Limits.Length; i++)
                Assert.Equal($"{terms.Limits[i]}: {left[Array.IndexOf(_limits, terms.Limits[i].Text)]} left",
                    $"{terms.Limits[i]}: {decision.Limits[i].Remaining} left");
            for (var q = 0; q < _quotas.Length; q++)
            {
                var rest = Math.Max(0, (long)_quotas[q].Allowance - Used(q, _latest));
                Assert.Equal($"{_quotas[q]}: {(_quotas[q].Covers($"{caller.Operation}") ? rest : -1)} left",
                    $"{_quotas[q]}: {decision.Limits[terms.Limits.Length + q].Remaining} left");
            }
        }

        /// <summary>Who waits as long as is said passes, and a second less is too little. Windows that were looked at do not go
        /// back, so a history ends here.</summary>
        private void Waits(Decision refused, Caller caller, long units)
        {
            var at = refused.Limits[refused.Violated].ResetAt;
            // nobody knows when a call under way ends
            if (at == 0) return;
            _over = true;
            var wait = RateHeaders.SecondsUntil(at, _latest) * Micros.PerSecond;
            // what calls under way took of a quota is not back by then; a quota smaller than a call is for no call
            if (_quotas.Any(q => q.Overage == Overage.Block && q.Covers($"{caller.Operation}") && q.Allowance < units)) return;
            var then = Left(caller, _latest + wait);
            if (Enumerable.Range(0, _limits.Length).Any(i => IsConcurrent(_limits[i]) && then[i] <= 0)) return;
            if (wait > Micros.PerSecond)
                Assert.True(_counted.Call(_latest + wait - Micros.PerSecond, caller, units, take: false).Violated >= 0,
                    "Retry-After is too late.");
            Assert.True(_counted.Call(_latest + wait, caller, units, take: false).Violated < 0, "Retry-After is too early.");
        }

        private static bool IsConcurrent(string limit) => Limit.TryParse(limit)!.Window == WindowKind.Concurrent;

        private void End()
        {
            var index = _random.Next(_open.Count);
            var (decision, let) = _open[index];
            _open.RemoveAt(index);
            let.Settled = _random.Next(4) switch { 0 => 0, 1 => let.Reserved + 2, _ => let.Reserved };
            let.UnderWay = false;
            _counted.Settle(decision, let.Settled.Value, let.Caller.Operation);
            _counted.Release(decision);
        }

        /// <summary>Other numbers; what was used stays.</summary>
        private void Change()
        {
            for (var i = 0; i < _limits.Length; i++)
            {
                var limit = Limit.TryParse(_limits[i])!;
                // how full a bucket is depends on the rate of then
                if (limit.Window != WindowKind.Bucket) _limits[i] = (limit with { Count = _random.Next(1, 12) }).ToString();
            }

            _quotas = [.. _quotas.Select(q => q with { Allowance = _random.Next(0, 30) })];
            _latest = Math.Max(_latest, _now);
            _counted.Change(_now, string.Join(", ", _limits), _quotas);
        }

        /// <summary>What each limit has left for a caller.</summary>
        private long?[] Left(Caller caller, long now) => [.. _limits.Select(text =>
        {
            var limit = Limit.TryParse(text)!;
            var same = _let.Where(l => Subject(limit.By, l.Caller) == Subject(limit.By, caller)).ToArray();
            return limit.Window switch
            {
                WindowKind.Concurrent => (long?)Math.Max(0, limit.Count - same.Count(l => l.UnderWay)),
                WindowKind.Fixed => Math.Max(0, limit.Count - same.Count(l =>
                    LimitWindow.At(limit.Per, l.At) == LimitWindow.At(limit.Per, now))),
                WindowKind.Sliding => Math.Max(0,
                    limit.Count - same.Count(l => l.At > now - LimitWindow.LengthOf(limit.Per))),
                _ => Room(limit, same, now),
            };
        })];

        private static long Room(Limit limit, Let[] calls, long now)
        {
            var length = LimitWindow.LengthOf(limit.Per);
            var (level, at) = ((Int128)0, 0L);
            foreach (var call in calls)
                (level, at) = (Int128.Max(0, level - (Int128)(call.At - at) * limit.Count) + length, call.At);
            level = Int128.Max(0, level - (Int128)(now - at) * limit.Count);
            return (long)(((Int128)limit.Burst * length - level) / length);
        }

        private bool QuotasPass(Caller caller, long units) => !Enumerable.Range(0, _quotas.Length).Any(q =>
            _quotas[q].Overage == Overage.Block && _quotas[q].Covers($"{caller.Operation}")
            && Used(q, _latest) + units > _quotas[q].Allowance);

        private long Used(int q, long now)
        {
            var calendar = _calendars[q];
            var index = calendar.IndexAt(Micros.ToInstant(now));
            return _let.Where(l => _quotas[q].Covers($"{l.Caller.Operation}")
                && calendar.IndexAt(Micros.ToInstant(l.At)) == index).Sum(l => l.Settled ?? l.Reserved);
        }

        private static ulong Subject(LimitScope by, Caller caller) => by switch
        {
            LimitScope.Consumer => (ulong)caller.Consumer,
            LimitScope.Key => (ulong)caller.Credential,
            LimitScope.Operation => (ulong)caller.Operation,
            LimitScope.Ip => caller.Address,
            _ => 0,
        };

        private long Gap() => _random.Next(12) switch
        {
            0 => -_random.NextInt64(5_000_000),
            1 => 3_600_000_000 - _now % 3_600_000_000,
            2 => 1_000_000 - _now % 1_000_000 - 1,
            3 => _random.NextInt64(86_400_000_000),
            4 => _random.NextInt64(3_600_000_000),
            5 or 6 => _random.NextInt64(20_000_000),
            7 => 60_000_000,
            8 => 1_000_000,
            _ => _random.NextInt64(400_000),
        };

        private T Of<T>(T[] all) => all[_random.Next(all.Length)];
    }
}
