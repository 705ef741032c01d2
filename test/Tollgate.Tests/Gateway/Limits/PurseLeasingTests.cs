using NodaTime;
using Prometheus;
using Tollgate.Catalog;
using Tollgate.Gateway;
using Tollgate.Metering;
using Tollgate.Storage;
using Tollgate.Tests.Metering;

namespace Tollgate.Tests.Gateway.Limits;

/// <summary>
/// Nodes that lease units of one customer's prices, in any order of calls, questions, lost answers, draining and new bases:
/// what all of them let in is what one node alone would have let in, and all that is covered is reached.
/// </summary>
public sealed class PurseLeasingTests : IDisposable
{
    private readonly JournalHome _home = new();

    public void Dispose() => _home.Dispose();

    [Fact]
    public async Task Nothing_beyond_a_balance_is_let_in_whatever_nodes_do_and_all_of_it_can_be_used()
    {
        await using var counters = await SharedCounters.OpenAsync("127.0.0.1:1,connectTimeout=10", "nobody");
        using var journal = _home.Open();
        for (var seed = 1; seed <= 40; seed++)
        {
            var model = new Model(new Random(seed), counters, journal);
            for (var step = 0; step < 250; step++) model.Step();
            model.UseUp($"seed {seed}");
        }
    }

    private static PriceComponent PriceOf(Random random, string name, string[]? operations)
    {
        Price price = random.Next(3) switch
        {
            0 => new Price.PerUnit(random.Next(1, 5)),
            1 => new Price.Graduated([new Tier(random.Next(1, 40), random.Next(1, 4), random.Next(0, 3)), new Tier(null, 1)]),
            _ => new Price.Package(random.Next(1, 6), random.Next(1, 9)),
        };
        return new PriceComponent(name, "calls", operations, price with { Included = random.Next(0, 20), BillsZeroUsage = false });
    }

    private sealed class Model
    {
        private readonly Random _random;
        private readonly PurseTerms _terms;
        private readonly PlanVersion _plan;
        private readonly Purse _alone;
        private readonly Node[] _nodes;
        private readonly Dictionary<Node, IReadOnlyList<HeldRow>> _shares = [];
        private readonly List<(Node Of, ulong Sequence, string Operation, long Units)> _settled = [];
        private readonly Dictionary<Node, ulong> _drained = [];
        private (int Generation, long Version, Dictionary<Node, ulong> Positions, List<(string Operation, long Units)> Rows) _cell;

        public Model(Random random, SharedCounters counters, UsageJournal journal)
        {
            _random = random;
            var amount = random.Next(20, 400);
            Balance Side(BalanceKind kind, decimal most) => new()
            {
                CustomerKey = 1, Kind = kind, Amount = most, Currency = Currency.Usd, Since = 0,
                TaxRate = kind == BalanceKind.Prepaid ? random.Next(2) * 19 : 0,
            };
            UnitGrant[] grants = random.Next(3) == 0 ? [new UnitGrant(1, "calls", random.Next(1, 30))] : [];
            _terms = PurseTerms.None with
            {
                Balances = [Side(BalanceKind.Prepaid, amount), Side(BalanceKind.SpendCap, random.Next(20, 400))], Units = grants,
            };
            _plan = new PlanVersion("p", 1, Currency.Usd, grants.Length > 0 || random.Next(2) == 0
                ? [PriceOf(random, "all", null)] : [PriceOf(random, "a", ["a"]), PriceOf(random, "all", null)]);
            _alone = Purse.Counting().With(_terms);
            _nodes = [.. Enumerable.Range(0, 3).Select(i => new Node(counters, journal, _terms, _plan))];
            foreach (var node in _nodes) _drained[node] = 0;
            Rebase();
        }

        public void Step()
        {
            var node = _nodes[_random.Next(3)];
            switch (_random.Next(20))
            {
                case < 9:
                    Call(node, _random.Next(2) == 0 ? "a" : "b", _random.Next(1, 4));
                    break;
                case < 14:
                    Settle(node);
                    break;
                case < 17:
                    Ask(node);
                    break;
                case 17:
                    // everything before a record is stored, and what ends later is not
                    _drained[node] = Math.Max(_drained[node], node.Sequence - (ulong)_random.Next((int)Math.Min(4, node.Sequence + 1)));
                    break;
                case 18:
                    Rebase();
                    break;
                default:
                    foreach (var other in _nodes) Ask(other, returns: true);
                    break;
            }
        }

        public void UseUp(string why)
        {
            foreach (var node in _nodes)
                while (node.UnderWay.Count > 0) Settle(node);
            foreach (var operation in new[] { "a", "b" })
            {
                for (var refused = 0; refused < 3;)
                {
                    refused = 0;
                    foreach (var node in _nodes)
                    {
                        foreach (var other in _nodes) Ask(other, returns: true);
                        if (Call(node, operation, 1)) Settle(node);
                        else refused++;
                    }
                }

                Assert.True(_alone.TryReserve(Charge(operation, 1), out var covered, reserve: false));
                Assert.True(covered is not null, $"{why}: {operation} is covered, and refused");
            }
        }

        private Charge Charge(string operation, long units) => new(1, 0, _plan, operation, units) { Era = 1, At = 1 };

        private bool Call(Node node, string operation, long units)
        {
            var charge = Charge(operation, units);
            for (var tries = 0; tries < 3; tries++)
            {
                if (!node.TryHold(charge, out var waits))
                {
                    if (!waits) return false;
                    if (tries == 0 && _random.Next(4) == 0) Ask(_nodes[_random.Next(3)]);
                    Ask(node);
                    continue;
                }

                Assert.True(_alone.TryReserve(charge, out var refused));
                Assert.True(refused is null, "More was let in than one node alone would.");
                node.UnderWay.Add((operation, units));
                return true;
            }

            return false;
        }

        private void Settle(Node node)
        {
            if (node.UnderWay.Count == 0) return;
            var at = _random.Next(node.UnderWay.Count);
            var (operation, reserved) = node.UnderWay[at];
            node.UnderWay.RemoveAt(at);
            // some cost nothing, and some less than was set aside
            var units = _random.Next(4) == 0 ? _random.Next((int)reserved + 1) : reserved;
            var charge = Charge(operation, reserved);
            Assert.True(node.Purse.TrySettle(charge, node.Purse, units, [], node.Sequence));
            Assert.True(_alone.TrySettle(charge, _alone, units, []));
            _settled.Add((node, node.Sequence++, operation, units));
        }

        /// <summary>A question, as the cell of Redis answers it.</summary>
        private void Ask(Node node, bool returns = false)
        {
            if (node.Generation != _cell.Generation) Join(node);
            var plan = node.Purse.Plan(node.Shared.Now, leases: true, returns)!;
            if (node.Version == _cell.Version)
            {
                (_cell.Version, _shares[node]) = (_cell.Version + 1, PurseShare.Read(plan.Text));
                // an answer may be lost: then nobody knows, until the next question
                if (_random.Next(15) == 0) node.Purse.Forgo();
                else (node.Version, _) = (_cell.Version, Taken());
                return;
            }

            node.Purse.Tell();
            Assert.True(node.Purse.Learn(Others(node)));
            node.Version = _cell.Version;
            Ask(node, returns);

            bool Taken()
            {
                node.Purse.Take(plan, node.Shared.Now, node.Shared.Now);
                return true;
            }
        }

        private IEnumerable<HeldRow> Others(Node node) => _shares.Where(s => s.Key != node).SelectMany(s => s.Value);

        private void Rebase()
        {
            var positions = new Dictionary<Node, ulong>(_drained);
            _cell = (_cell.Generation + 1, _cell.Version + 1, positions,
                [.. _settled.Where(s => s.Sequence < positions[s.Of]).Select(s => (s.Operation, s.Units))]);
        }

        private void Join(Node node)
        {
            var purse = node.Purse.With(_terms);
            purse.Entries = node.Entries;
            foreach (var (operation, units) in _cell.Rows)
                purse.Restore(Charge(operation, 0), new More("calls", units), settled: false);
            Assert.True(purse.TryJoin(node.Purse, _cell.Positions[node], Others(node), exact =>
            {
                Assert.True(exact);
                node.Purse = purse;
            }));
            (node.Generation, node.Version) = (_cell.Generation, _cell.Version);
        }
    }

    private sealed class Node
    {
        public Node(SharedCounters counters, UsageJournal journal, PurseTerms terms, PlanVersion plan)
        {
            var leases = new Leases(counters, TimeProvider.System, Metrics.NewCustomRegistry());
            var customer = new CustomerEntry(1, null!);
            Entries = customer.Compile(
            [
                new Entitlement
                {
                    Key = 1, SubscriptionId = "sub_1", CustomerKey = 1, PlanId = "p", PlanVersion = 1, Priority = 0, StartAt = 0,
                    EndAt = null, Anchor = new LocalDate(1970, 1, 1), Timezone = "UTC",
                },
            ]);
            Entries[0].Prices = plan;
            Shared = new SharedPurse(customer, new SharedPurses(counters, leases, journal, () => 0, TimeProvider.System));
            Purse = Purse.Counting(Shared).With(terms);
        }

        public EntitlementEntry[] Entries { get; }

        public SharedPurse Shared { get; }

        public Purse Purse { get; set; }

        public int Generation { get; set; }

        public long Version { get; set; }

        public ulong Sequence { get; set; }

        public List<(string Operation, long Units)> UnderWay { get; } = [];

        public bool TryHold(in Charge charge, out bool waits)
        {
            var decision = new Decision { Sharing = Sharing.Leased };
            Assert.True(Purse.TryHold(charge, take: true, ref decision));
            waits = decision.NeedsCredit;
            return decision.Shortage is null && !waits;
        }
    }
}
