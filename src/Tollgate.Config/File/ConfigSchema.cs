namespace Tollgate.Config.File;

/// <summary>The JSON Schema of the file (draft 2020-12), for editors: names of fields and what they hold. What a file
/// means together is for the reader alone.</summary>
public static class ConfigSchema
{
    public static string Text { get; } = Read();

    private static string Read()
    {
        using var stream = typeof(ConfigSchema).Assembly.GetManifestResourceStream("tollgate.schema.json")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
