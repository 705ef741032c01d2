using System.Collections.Frozen;

namespace Tollgate.Catalog;

/// <summary>A currency of ISO 4217 and how many digits its minor unit has (USD 2, JPY 0, KWD 3, CLF 4).</summary>
public sealed record Currency
{
    private static readonly FrozenDictionary<string, Currency> s_all = Table();

    private Currency(string code, int digits)
    {
        Code = code;
        MinorUnitDigits = digits;
        MinorUnitsPerMajor = digits switch { 0 => 1, 2 => 100, 3 => 1_000, _ => 10_000 };
    }

    /// <summary>Three capital letters, as in ISO 4217.</summary>
    public string Code { get; }

    /// <summary>Digits after the decimal point in an amount: 0, 2, 3 or 4.</summary>
    public int MinorUnitDigits { get; }

    /// <summary>100 for most, 1 for the yen, 1000 for the dinar.</summary>
    public long MinorUnitsPerMajor { get; }

    public static Currency Usd => s_all["USD"];

    /// <summary>The currency with this code, in capital letters, or null when ISO 4217 has none.</summary>
    public static Currency? Find(string? code) => code is not null && s_all.TryGetValue(code, out var found) ? found : null;

    /// <summary>The currency with this code. Only for codes that were checked when they came in.</summary>
    public static Currency Of(string code) =>
        Find(code) ?? throw new ArgumentException($"'{code}' is not an ISO 4217 currency code.", nameof(code));

    public override string ToString() => Code;

    private static FrozenDictionary<string, Currency> Table()
    {
        const string two =
            "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF " +
            "CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF " +
            "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR " +
            "MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD " +
            "SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG " +
            "YER ZAR ZMW ZWG BOV CHE CHW COU MXV USN";
        const string zero = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
        const string three = "BHD IQD JOD KWD LYD OMR TND";
        const string four = "CLF UYW";
        return Rows(two, 2).Concat(Rows(zero, 0)).Concat(Rows(three, 3)).Concat(Rows(four, 4))
            .ToFrozenDictionary(c => c.Code, StringComparer.Ordinal);
    }

    private static IEnumerable<Currency> Rows(string codes, int digits) =>
        codes.Split(' ').Select(code => new Currency(code, digits));
}
