namespace Tollgate;

/// <summary>The folder of the database, the journal, the archive, the table of the gate and the install key.</summary>
public static class DataFolder
{
    public const string Store = "tollgate.db", Journal = "journal", Archive = "archive", Gate = "gate", InstallKey = "install.key";

    /// <summary>Makes the folder when it is not there; only its owner may look into it, since usage, customers and the
    /// install key are in it. The mode of a folder that is there is its owner's decision.</summary>
    public static void Create(string path)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(path);
        else
            Directory.CreateDirectory(
                path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
