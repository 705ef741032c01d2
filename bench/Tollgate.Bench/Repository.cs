namespace Tollgate.Bench;

/// <summary>The checked-out repository that this program was built from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    public static string Path(string relative) => System.IO.Path.Combine(Root, relative);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            if (File.Exists(System.IO.Path.Combine(folder.FullName, "Tollgate.slnx")))
                return folder.FullName;
        throw new BenchException("The bench runs from a checked-out repository: no Tollgate.slnx above this program.");
    }
}
