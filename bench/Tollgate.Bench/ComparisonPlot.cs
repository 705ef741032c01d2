using System.Globalization;
using System.Text;

namespace Tollgate.Bench;

/// <summary>Draws how far two sums are from the truth, a point for each consumer.</summary>
internal static class ComparisonPlot
{
    private const int Width = 720, Height = 360, Left = 60, Top = 40, Right = 20, Bottom = 50;

    public static string Draw(IReadOnlyCollection<ComparedConsumer> all)
    {
        var most = Math.Log10(all.Max(c => c.Truth));
        var svg = new StringBuilder(
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Width} {Height}\" font-family=\"sans-serif\" font-size=\"12\">\n" +
            $"<rect width=\"{Width}\" height=\"{Height}\" fill=\"#fff\"/>\n" +
            $"<text x=\"{Left}\" y=\"18\" font-size=\"14\">Billed calls of a day against the truth, by consumer</text>\n");
        foreach (var percent in (int[])[-100, -50, 0, 50, 100])
        {
            var colour = percent == 0 ? "#333" : "#ddd";
            Add($"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(percent)}\" y2=\"{Y(percent)}\" stroke=\"{colour}\"/>");
            Add($"<text x=\"{Left - 6}\" y=\"{Y(percent) + 4}\" text-anchor=\"end\">{percent:+0;-0;0} %</text>");
        }

        for (var calls = 1; calls <= Math.Pow(10, most); calls *= 10)
            Add($"<text x=\"{X(calls)}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{calls}</text>");
        Add($"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 10}\" text-anchor=\"middle\">calls that the consumer made</text>");
        foreach (var c in all) Point(c.Truth, ComparedConsumer.Error(c.Increase, c.Truth), "#d1495b");
        foreach (var c in all) Point(c.Truth, ComparedConsumer.Error(c.Ours, c.Truth), "#00798c");
        Legend(Width - 330, "#00798c", "Tollgate");
        Legend(Width - 230, "#d1495b", "sum by (consumer)(increase(…[1h]))");
        return svg.Append("</svg>\n").ToString();

        double X(double calls) => Math.Round(Left + 10 + Math.Log10(calls) / most * (Width - Left - Right - 20), 1);

        double Y(double percent) => Math.Round(Top + (100 - Math.Clamp(percent, -100, 100)) / 200 * (Height - Top - Bottom), 1);

        void Point(long truth, double error, string colour) =>
            Add($"<circle cx=\"{X(truth)}\" cy=\"{Y(error)}\" r=\"3\" fill=\"{colour}\" fill-opacity=\"0.6\"/>");

        void Legend(int x, string colour, string name) =>
            Add($"<circle cx=\"{x}\" cy=\"14\" r=\"4\" fill=\"{colour}\"/><text x=\"{x + 8}\" y=\"18\">{name}</text>");

        void Add(FormattableString line) => svg.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    }
}
