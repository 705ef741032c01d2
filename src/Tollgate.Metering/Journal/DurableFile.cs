using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tollgate.Metering;

/// <summary>
/// What .NET does not say about files: blocks that really exist, and folder entries that survive a power cut.
/// </summary>
internal static partial class DurableFile
{
    private const int NotSupported = 95;
    private const int NoSpace = 28;
    private const int Invalid = 22;
    private const int DontNeed = 4;

    /// <summary>
    /// Gives the file its length and a block on disk for every byte. Writing through a map to a block that the disk
    /// then cannot give kills the process (SIGBUS), so a sparse file will not do.
    /// </summary>
    /// <exception cref="IOException">The disk is full, or does not answer.</exception>
    internal static void Allocate(SafeFileHandle file, long bytes)
    {
        if (!OperatingSystem.IsLinux())
        {
            FillWithZeros(file, bytes);
            return;
        }
        int error = PosixFallocate((int)file.DangerousGetHandle(), 0, bytes);
        GC.KeepAlive(file);
        switch (error)
        {
            case 0:
                return;
            case NotSupported or Invalid:
                FillWithZeros(file, bytes);
                return;
            case NoSpace:
                throw new IOException($"no space left for {bytes} bytes");
            default:
                throw new IOException($"cannot allocate {bytes} bytes: {Marshal.GetPInvokeErrorMessage(error)}");
        }
    }

    /// <summary>Makes the folder's entries durable: a new or renamed file is else gone after a power cut.</summary>
    internal static void SyncFolder(string folder)
    {
        // Windows keeps its directory entries in a log of its own.
        if (OperatingSystem.IsWindows())
            return;
        int descriptor = OpenFile(folder, 0);
        if (descriptor < 0)
            throw new IOException($"cannot open folder {folder}: {Marshal.GetLastPInvokeErrorMessage()}");
        int failed = Fsync(descriptor);
        int error = Marshal.GetLastPInvokeError();
        _ = CloseFile(descriptor);
        // Some network and user-space file systems know no fsync of a folder.
        if (failed != 0 && error != Invalid)
            throw new IOException($"cannot sync folder {folder}: {Marshal.GetPInvokeErrorMessage(error)}");
    }

    /// <summary>Lets go of mapped pages of a file. They stay in the file and, while there is memory, in the cache of the system;
    /// only this process no longer holds them. Whoever reads them again gets them back.</summary>
    internal static unsafe void LetGo(byte* start, long bytes)
    {
        // advice: where the system does not know it, the pages stay
        if (OperatingSystem.IsLinux()) _ = Advise((nint)start, (nuint)bytes, DontNeed);
    }

    private static void FillWithZeros(SafeFileHandle file, long bytes)
    {
        byte[] zeros = new byte[256 * 1024];
        for (long at = 0; at < bytes; at += zeros.Length)
            RandomAccess.Write(file, zeros.AsSpan(0, (int)Math.Min(zeros.Length, bytes - at)), at);
    }

    [LibraryImport("libc", EntryPoint = "posix_fallocate")]
    private static partial int PosixFallocate(int file, long offset, long bytes);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int OpenFile(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int file);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint start, nuint bytes, int advice);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int CloseFile(int file);
}
