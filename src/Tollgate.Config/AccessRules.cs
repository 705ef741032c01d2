namespace Tollgate.Config;

/// <summary>Which consumers an API admits beside what their plans include (Kong's <c>acl</c>).</summary>
/// <param name="Allows">True: those in one of the groups. False: those in none of them.</param>
/// <param name="Groups">Names.</param>
/// <param name="Plans">Whether plans that a consumer runs on are groups too.</param>
public sealed record AccessRules(bool Allows, IReadOnlyList<string> Groups, bool Plans);
