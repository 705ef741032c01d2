using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Tollgate.Billing;

namespace Tollgate.Web.V1;

/// <summary>The two reads that a resource has: its list, a page at a time, and one of it.</summary>
internal static class Listing
{
    /// <param name="routes">Of the scope that may read.</param>
    /// <param name="path">Where it stands.</param>
    /// <param name="list">Rows of a page, and one more when there is a next.</param>
    /// <param name="view">A row as it is answered.</param>
    /// <param name="key">What the cursor is of.</param>
    public static void MapList<TStore, TRow>(
        this IEndpointRouteBuilder routes, string path, Func<TStore, Paging, Task<IReadOnlyList<TRow>>> list,
        Func<TRow, object> view, Func<TRow, long> key) where TStore : notnull =>
        routes.MapGet(path, async (HttpRequest request, TStore store) =>
            Paging.TryRead(request, out var page) ?? Answers.Page(await list(store, page), page.Limit, view, key));

    /// <summary>The same, of all or with <c>?customer=</c> of one.</summary>
    public static void MapListByCustomer<TStore, TRow>(
        this IEndpointRouteBuilder routes, string path, Func<TStore, long?, Paging, Task<IReadOnlyList<TRow>>> list,
        Func<TRow, object> view, Func<TRow, long> key) where TStore : notnull =>
        routes.MapGet(path, async (HttpRequest request, TStore store, CustomerStore customers) =>
        {
            var (page, customer, wrong) = await MoneyFields.PageAsync(request, customers);
            return wrong.Count > 0 ? Answers.Invalid(wrong)
                : Answers.Page(await list(store, customer, page), page.Limit, view, key);
        });

    /// <param name="routes">Of the scope that may read.</param>
    /// <param name="path">Ends with <c>{id}</c>.</param>
    /// <param name="what">In the words of a 404.</param>
    /// <param name="find">By id, or by whatever else names it.</param>
    /// <param name="view">As it is answered.</param>
    public static void MapOne<TStore, TRow>(
        this IEndpointRouteBuilder routes, string path, string what, Func<TStore, string, Task<TRow?>> find,
        Func<TRow, object> view) where TStore : notnull where TRow : class =>
        routes.MapGet(path, async (string id, TStore store) =>
            await find(store, id) is { } found ? Answers.Ok(view(found)) : Answers.NotFound(what, id));
}
