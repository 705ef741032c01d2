using Tollgate.Catalog;

namespace Tollgate.Billing;

/// <summary>What a run finds and does, on its way.</summary>
public sealed partial class BillingRun
{
    /// <param name="Empty">Up to where it owes nothing.</param>
    private sealed record Billed(int Issued, Advance? Empty = null, Problem? Problem = null);

    private sealed record Advance(BilledSubscription Expected, Bill? Next)
    {
        /// <summary>Usage that is too late for any invoice, found on the way.</summary>
        public IReadOnlyList<ToldUsage> Late { get; init; } = [];
    }

    /// <summary>A subscription as a run finds it: owing nothing, one invoice, several, or a problem.</summary>
    private sealed record Looked(BilledSubscription Billed)
    {
        public Advance? Empty { get; init; }

        public Proposal? Proposal { get; init; }

        public bool IsSeveral { get; init; }

        public Problem? Problem { get; init; }
    }

    private sealed class Tally
    {
        private readonly List<Problem> _parked = [];
        private int _count;

        public int Issued { get; set; }

        public BillingReport Report => new(Issued, _count, _parked);

        public void Park(Problem problem)
        {
            _count++;
            if (_parked.Count < BillingReport.MaxParked) _parked.Add(problem);
        }
    }
}
