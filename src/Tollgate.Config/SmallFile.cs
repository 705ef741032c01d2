using System.Text;

namespace Tollgate.Config;

/// <summary>Files that configuration names: whoever may change it may name any, also one that has no end.</summary>
public static class SmallFile
{
    /// <summary>The text of a file.</summary>
    /// <param name="path">Of the machine.</param>
    /// <param name="most">Bytes.</param>
    /// <exception cref="IOException">It cannot be read, or is larger.</exception>
    public static string Read(string path, int most)
    {
        using var file = System.IO.File.OpenRead(path);
        var bytes = new byte[most + 1];
        var read = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return read <= most ? Encoding.UTF8.GetString(bytes, 0, read)
            : throw new IOException($"The file '{path}' is larger than {most >> 10} KiB.");
    }
}
