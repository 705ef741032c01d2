using Tollgate.Catalog;

namespace Tollgate.Web;

/// <summary>The currency of customers who name none: that of the file, else US dollars.</summary>
public sealed class SystemCurrency
{
    public Currency Currency { get; set; } = Currency.Usd;
}
