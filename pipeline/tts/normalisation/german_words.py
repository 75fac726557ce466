"""Words with which German reads numbers, measures, addresses, formulas and abbreviations."""

from typing import Final

from pipeline.tts.normalisation.measures import Currency, MeasureWords

MONTHS: Final = (
    "Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
    "November", "Dezember",
)  # fmt: skip

_CENT: Final = ("ein Cent", "Cent")
_DOLLARS: Final = {
    "": ("$", "Dollar"), "US-": ("US$", "USD", "US-Dollar"), "kanadische ": ("CA$", "C$", "CAD"),
    "australische ": ("A$", "AU$", "AUD"),
    "Neuseeland-": ("NZ$", "NZD"), "Hongkong-": ("HK$", "HKD"), "Singapur-": ("S$", "SGD"),
}  # fmt: skip
_CURRENCIES: Final = {
    **{
        sign: Currency(f"ein {name.replace('sche ', 'scher ')}Dollar", f"{name}Dollar", *_CENT)
        for name, signs in _DOLLARS.items()
        for sign in signs
    },
    **dict.fromkeys(("€", "EUR", "Euro"), Currency("ein Euro", "Euro", *_CENT)),
    **dict.fromkeys(("£", "GBP"), Currency("ein Pfund", "Pfund", "ein Penny", "Pence")),
    **dict.fromkeys(("CHF", "Fr.", "SFr."), Currency("ein Franken", "Franken", "ein Rappen", "Rappen")),
    **dict.fromkeys(("¥", "JPY"), Currency("ein Yen", "Yen")),
    **dict.fromkeys(("CNY", "RMB"), Currency("ein Yuan", "Yuan")),
    **dict.fromkeys(("₹", "INR"), Currency("eine Rupie", "Rupien", "ein Paisa", "Paise")),
    **dict.fromkeys(("₩", "KRW"), Currency("ein Won", "Won")),
    **dict.fromkeys(("₽", "RUB"), Currency("ein Rubel", "Rubel", "eine Kopeke", "Kopeken")),
    **dict.fromkeys(("₺", "TRY"), Currency("eine Lira", "Lira", "ein Kuruş", "Kuruş")),
    **dict.fromkeys(("₪", "ILS"), Currency("ein Schekel", "Schekel", "eine Agora", "Agorot")),
    **dict.fromkeys(("zł", "PLN"), Currency("ein Zloty", "Zloty", "ein Grosz", "Groszy")),
    **dict.fromkeys(("Kč", "CZK"), Currency("eine Krone", "Kronen", "ein Heller", "Heller")),
    **dict.fromkeys(("R$", "BRL"), Currency("ein Real", "Real", "ein Centavo", "Centavos")),
    **dict.fromkeys(("₴", "UAH"), Currency("eine Hrywnja", "Hrywnja", "eine Kopeke", "Kopeken")),
    **dict.fromkeys(("฿", "THB"), Currency("ein Baht", "Baht", "ein Satang", "Satang")),
    "SEK": Currency("eine schwedische Krone", "schwedische Kronen", "ein Öre", "Öre"),
    "NOK": Currency("eine norwegische Krone", "norwegische Kronen", "ein Öre", "Öre"),
    "DKK": Currency("eine dänische Krone", "dänische Kronen", "ein Öre", "Öre"),
    "HUF": Currency("ein Forint", "Forint"),
    **dict.fromkeys(
        ("MX$", "MXN"), Currency("ein mexikanischer Peso", "mexikanische Pesos", "ein Centavo", "Centavos")
    ),
    "ct": Currency("ein Cent", "Cent"),
    "Ct.": Currency("ein Cent", "Cent"),
    "DM": Currency("eine D-Mark", "D-Mark", "ein Pfennig", "Pfennig"),
}
_METRES: Final = {"km": "Kilo", "m": "", "cm": "Zenti", "mm": "Milli", "dm": "Dezi"}
_MASCULINE: Final = {
    **{sign: f"{prefix}meter".capitalize() for sign, prefix in _METRES.items()},
    **{f"{sign}²": f"Quadrat{prefix.lower()}meter" for sign, prefix in _METRES.items()},
    **{f"{sign}³": f"Kubik{prefix.lower()}meter" for sign, prefix in _METRES.items()},
    "km2": "Quadratkilometer", "m2": "Quadratmeter", "qm": "Quadratmeter", "m3": "Kubikmeter",
    "nm": "Nanometer",
    "µm": "Mikrometer", "μm": "Mikrometer", "m/s": "Meter pro Sekunde",
    "m/s²": "Meter pro Sekunde zum Quadrat",
    "kg": "Kilogramm", "g": "Gramm", "mg": "Milligramm", "µg": "Mikrogramm", "μg": "Mikrogramm",
    "Pfd.": "Pfund",
    "l": "Liter", "L": "Liter", "ml": "Milliliter", "mL": "Milliliter", "cl": "Zentiliter", "dl": "Deziliter",
    "hl": "Hektoliter", "ha": "Hektar", "Ztr.": "Zentner", "°C": "Grad Celsius", "°F": "Grad Fahrenheit",
    "°": "Grad",
    "%": "Prozent", "‰": "Promille", "ppm": "Teilchen pro Million", "kW": "Kilowatt", "MW": "Megawatt",
    "GW": "Gigawatt",
    "W": "Watt", "V": "Volt", "kV": "Kilovolt", "mV": "Millivolt", "mA": "Milliampere", "A": "Ampere",
    "Ω": "Ohm",
    "kΩ": "Kiloohm", "J": "Joule", "kJ": "Kilojoule", "Pa": "Pascal", "hPa": "Hektopascal",
    "kPa": "Kilopascal",
    "mbar": "Millibar", "bar": "Bar", "N": "Newton", "Nm": "Newtonmeter", "dB": "Dezibel", "Hz": "Hertz",
    "kHz": "Kilohertz", "MHz": "Megahertz", "GHz": "Gigahertz", "kB": "Kilobyte", "KB": "Kilobyte",
    "MB": "Megabyte",
    "GB": "Gigabyte", "TB": "Terabyte", "PB": "Petabyte", "MB/s": "Megabyte pro Sekunde", "px": "Pixel",
    "Mbit/s": "Megabit pro Sekunde", "kbit/s": "Kilobit pro Sekunde", "Gbit/s": "Gigabit pro Sekunde",
    "MP": "Megapixel",
    "Uhr": "Uhr", "PS": "PS", "Zoll": "Zoll", "″": "Zoll", "Fuß": "Fuß", "mol": "Mol", "Prozent": "Prozent",
}  # fmt: skip
_IRREGULAR: Final = {
    "km/h": ("ein Stundenkilometer", "Kilometer pro Stunde"), "t": ("eine Tonne", "Tonnen"),
    "kWh": ("eine Kilowattstunde", "Kilowattstunden"), "MWh": ("eine Megawattstunde", "Megawattstunden"),
    "Wh": ("eine Wattstunde", "Wattstunden"), "mAh": ("eine Milliamperestunde", "Milliamperestunden"),
    "kcal": ("eine Kilokalorie", "Kilokalorien"), "cal": ("eine Kalorie", "Kalorien"),
    "ms": ("eine Millisekunde", "Millisekunden"), "µs": ("eine Mikrosekunde", "Mikrosekunden"),
    "s": ("eine Sekunde", "Sekunden"), "sek": ("eine Sekunde", "Sekunden"),
    "Sek.": ("eine Sekunde", "Sekunden"),
    "min": ("eine Minute", "Minuten"), "Min.": ("eine Minute", "Minuten"), "h": ("eine Stunde", "Stunden"),
    "Stunde": ("eine Stunde", "Stunden"), "Stunden": ("eine Stunde", "Stunden"),
    "Liter": ("ein Liter", "Liter"),
    "Std.": ("eine Stunde", "Stunden"), "Std": ("eine Stunde", "Stunden"), "Tg.": ("ein Tag", "Tage"),
    "Wo.": ("eine Woche", "Wochen"), "Mon.": ("ein Monat", "Monate"), "J.": ("ein Jahr", "Jahre"),
    "EL": ("ein Esslöffel", "Esslöffel"), "TL": ("ein Teelöffel", "Teelöffel"),
    "Pkg.": ("eine Packung", "Packungen"),
    "Stk.": ("ein Stück", "Stück"), "mi": ("eine Meile", "Meilen"),
    "mph": ("eine Meile pro Stunde", "Meilen pro Stunde"),
    "U/min": ("eine Umdrehung pro Minute", "Umdrehungen pro Minute"), "Mio.": ("eine Million", "Millionen"),
    "Mrd.": ("eine Milliarde", "Milliarden"), "Bio.": ("eine Billion", "Billionen"),
    "Tsd.": ("eintausend", "tausend"),
}  # fmt: skip

MEASURES: Final = MeasureWords(
    currencies=_CURRENCIES,
    scales={
        "Mio.": "Millionen", "Mrd.": "Milliarden", "Bio.": "Billionen", "Tsd.": "tausend",
        "Millionen": "Millionen",
        "Milliarden": "Milliarden", "Billionen": "Billionen", "Mio": "Millionen", "Mrd": "Milliarden",
        "Tausend": "tausend",
        "Million": "Million", "Milliarde": "Milliarde",
    },
    money_scales={"k": "tausend"},
    units={sign: (f"ein {name}", name) for sign, name in _MASCULINE.items()} | _IRREGULAR,
    operators={"+": "plus", "−": "minus", "×": "mal", "x": "mal", "*": "mal", "·": "mal", "⋅": "mal",
    "∙": "mal",
               "÷": "geteilt durch", "/": "geteilt durch", "±": "plus minus", "=": "gleich", "?": "was"},
    to="bis",
    against="zu",
    per="pro",
    minus="minus",
    number="Nummer",
    about="etwa",
    joined_cents="",
    names_cents=False,
    point="Komma",
)  # fmt: skip

DURATIONS: Final = {
    "days": ("ein Tag", "Tage"), "hours": ("eine Stunde", "Stunden"), "minutes": ("eine Minute", "Minuten"),
    "seconds": ("eine Sekunde", "Sekunden"),
}  # fmt: skip
ADDRESSES: Final = {
    ".": "Punkt", "@": "ät", "/": "Schrägstrich", "-": "Bindestrich", "_": "Unterstrich", "\\": "Backslash",
    "~": "Tilde", ":": "Doppelpunkt", "+": "plus", "version": "Version", "hashtag": "Hashtag",
}  # fmt: skip
CHARGES: Final = {"+": "plus", "⁺": "plus", "-": "minus", "⁻": "minus", "²": "zwei", "³": "drei", "⁴": "vier",
                  "root": "Wurzel aus"}  # fmt: skip
POWERS: Final = {"2": "zum Quadrat", "3": "hoch drei", "to": "hoch", "-": "minus", "ten": "mal zehn"}

SYMBOLS: Final = {
    "&": "und", "+": "plus", "=": "gleich", "×": "mal", "÷": "geteilt durch", "±": "plus minus", "≈": "etwa",
    "≤": "höchstens", "≥": "mindestens", "<": "kleiner als", ">": "größer als", "@": "ät", "≠": "ungleich",
    "%": "Prozent", "§": "Paragraf", "€": "Euro", "$": "Dollar", "£": "Pfund", "°": "Grad", "−": "minus",
    "∞": "unendlich", "√": "Wurzel aus", "∑": "Summe", "∫": "Integral", "∆": "Delta", "∈": "in", "→": "nach",
    "©": "Copyright",
}  # fmt: skip

SPELT: Final = (
    "AG", "AGB", "AKW", "AOK", "ARD", "CEO", "EDV", "EKG", "EU", "EZB", "FAQ", "FAZ", "IC", "ICE", "IT", "KI",
    "OP", "ÖBB", "ÖPNV", "SBB", "UKW", "USA", "US", "UN", "URL", "UTC", "AI", "API", "IBAN", "UV", "IHK",
)  # fmt: skip
"""Acronyms that a voice would say as words; it spells what nobody can say, and says NATO."""
EXPANSIONS: Final = {
    "z. B.": "zum Beispiel", "d. h.": "das heißt", "u. a.": "unter anderem", "i. d. R.": "in der Regel",
    "z. T.": "zum Teil", "u. U.": "unter Umständen", "s. o.": "siehe oben", "s. u.": "siehe unten",
    "o. ä.": "oder ähnlich", "o. Ä.": "oder Ähnliches", "u. ä.": "und ähnlich", "u. Ä.": "und Ähnliches",
    "v. a.": "vor allem", "u. v. m.": "und viele mehr", "v. Chr.": "vor Christus",
    "n. Chr.": "nach Christus", "z. Zt.": "zurzeit", "i. A.": "im Auftrag", "bzw.": "beziehungsweise",
    "usw.": "und so weiter", "usf.": "und so fort", "etc.": "et cetera", "ca.": "circa",
    "ggf.": "gegebenenfalls", "evtl.": "eventuell", "inkl.": "inklusive", "exkl.": "exklusive",
    "einschl.": "einschließlich", "zzgl.": "zuzüglich", "abzgl.": "abzüglich", "insb.": "insbesondere",
    "bes.": "besonders", "bspw.": "beispielsweise", "vgl.": "vergleiche", "sog.": "sogenannte",
    "Dr.": "Doktor", "Prof.": "Professor", "Hr.": "Herr", "Hrn.": "Herrn", "Fr.": "Frau", "St.": "Sankt",
    "Nr.": "Nummer", "Str.": "Straße", "Tel.": "Telefon", "geb.": "geboren", "gest.": "gestorben",
    "Mio.": "Millionen", "Mrd.": "Milliarden", "Std.": "Stunden", "Min.": "Minuten", "Sek.": "Sekunden",
    "Jh.": "Jahrhundert", "Jhd.": "Jahrhundert", "max.": "maximal", "mind.": "mindestens",
    "Dipl.": "Diplom", "Ing.": "Ingenieur", "Hl.": "Heilige", "lt.": "laut", "gem.": "gemäß",
    "vs.": "versus", "e. V.": "e V", "MwSt.": "Mehrwertsteuer", "MwSt": "Mehrwertsteuer",
    "USt.": "Umsatzsteuer",
}  # fmt: skip
NUMBERED: Final = {
    "S.": "Seite", "Abb.": "Abbildung", "Tab.": "Tabelle", "Bd.": "Band", "Kap.": "Kapitel", "Abs.": "Absatz",
    "Art.": "Artikel", "Ziff.": "Ziffer", "Aufl.": "Auflage", "min.": "mindestens",
}  # fmt: skip
DAYS: Final = {
    "form": "{0} bis {1}", "mo": "Montag", "di": "Dienstag", "mi": "Mittwoch", "do": "Donnerstag",
    "fr": "Freitag", "sa": "Samstag", "so": "Sonntag",
}  # fmt: skip
