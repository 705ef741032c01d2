using System.Text;

namespace Tollgate.Storage;

/// <summary>Files that configuration names: whoever may change it may name any, also one that has no end.</summary>
public static class SmallFile
{
    /// <summary>The text of a file.</summary>
    /// <param name="path">Of the machine.</param>
    /// <param name="most">Bytes.</param>
    /// <exception cref="IOException">It cannot be read, or is larger, or is no regular file with something in it.</exception>
    public static string Read(string path, int most)
    {
        // a pipe would hold whoever opens it, and a device may have no end: neither has a length
        if (LengthOf(path) == 0) throw new IOException($"The file '{path}' is empty, or is no regular file.");
        using var file = File.OpenRead(path);
        var bytes = new byte[most + 1];
        var read = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return read <= most ? Encoding.UTF8.GetString(bytes, 0, read)
            : throw new IOException($"The file '{path}' is larger than {most >> 10} KiB.");
    }

    /// <summary>Null where there is no such file: opening it says why.</summary>
    private static long? LengthOf(string path)
    {
        var file = new FileInfo(path);
        if (file.LinkTarget is not null) file = file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        return file.Exists ? file.Length : null;
    }
}
