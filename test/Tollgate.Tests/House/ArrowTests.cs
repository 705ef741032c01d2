using System.Xml.Linq;
using Tollgate.Tests.Support;

namespace Tollgate.Tests.House;

/// <summary>The arrows between the rooms, as ARCHITECTURE.md draws them. A new one fails here first.</summary>
public sealed class ArrowTests
{
    private static readonly Dictionary<string, string[]> s_allowed = new()
    {
        ["Tollgate.Catalog"] = [],
        ["Tollgate.Storage"] = [],
        ["Tollgate.Config"] = ["Tollgate.Catalog", "Tollgate.Storage"],
        ["Tollgate.Metering"] = ["Tollgate.Catalog", "Tollgate.Storage"],
        ["Tollgate.Gateway"] = ["Tollgate.Config", "Tollgate.Metering", "Tollgate.Catalog", "Tollgate.Storage"],
        ["Tollgate.Billing"] = ["Tollgate.Config", "Tollgate.Metering", "Tollgate.Catalog", "Tollgate.Storage"],
        ["Tollgate.Web"] =
        [
            "Tollgate.Billing", "Tollgate.Gateway", "Tollgate.Config", "Tollgate.Metering", "Tollgate.Catalog",
            "Tollgate.Storage",
        ],
        ["Tollgate"] =
        [
            "Tollgate.Web", "Tollgate.Billing", "Tollgate.Gateway", "Tollgate.Config", "Tollgate.Metering",
            "Tollgate.Catalog", "Tollgate.Storage",
        ],
        ["Tollgate.Server"] =
        [
            "Tollgate", "Tollgate.Web", "Tollgate.Billing", "Tollgate.Gateway", "Tollgate.Config", "Tollgate.Metering",
            "Tollgate.Catalog", "Tollgate.Storage",
        ],
    };

    [Fact]
    public void Every_room_references_only_what_it_may()
    {
        var rooms = Directory.GetFiles(Path.Combine(Repository.Root, "src"), "*.csproj", SearchOption.AllDirectories);
        Assert.Equal(s_allowed.Keys.Order(), rooms.Select(r => Path.GetFileNameWithoutExtension(r)!).Order());
        var wrong = from room in rooms
                    let name = Path.GetFileNameWithoutExtension(room)
                    from reference in XDocument.Load(room).Descendants("ProjectReference")
                    let target = Path.GetFileNameWithoutExtension(reference.Attribute("Include")!.Value)
                    where !s_allowed[name].Contains(target)
                    select $"{name} → {target}";
        Assert.Empty(wrong);
    }

    /// <summary>What a room may see through others is not what it may use: the compiled references tell.</summary>
    [Fact]
    public void No_compiled_room_uses_another_that_it_may_not()
    {
        var rooms = s_allowed.Keys.ToDictionary(n => n, System.Reflection.Assembly.Load);
        var wrong = from room in rooms
                    from reference in room.Value.GetReferencedAssemblies()
                    where rooms.ContainsKey(reference.Name!) && !s_allowed[room.Key].Contains(reference.Name!)
                    select $"{room.Key} → {reference.Name}";
        Assert.Empty(wrong);
    }
}
