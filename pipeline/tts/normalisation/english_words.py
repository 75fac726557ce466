"""Words with which English reads numbers, measures, addresses, formulas and abbreviations."""

from typing import Final

from pipeline.tts.normalisation.measures import Currency, MeasureWords

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November",
    "December",
)  # fmt: skip

_DOLLARS: Final = {
    "": ("$", "$"), "US ": ("US$", "USD"), "Canadian ": ("CA$", "C$", "CAD"),
    "Australian ": ("A$", "AU$", "AUD"),
    "New Zealand ": ("NZ$", "NZD"), "Hong Kong ": ("HK$", "HKD"), "Singapore ": ("S$", "SGD"),
}  # fmt: skip
_CURRENCIES: Final = {
    **{
        sign: Currency(f"one {name}dollar", f"{name}dollars", "one cent", "cents")
        for name, signs in _DOLLARS.items()
        for sign in signs
    },
    **dict.fromkeys(("€", "EUR"), Currency("one euro", "euros", "one cent", "cents")),
    **dict.fromkeys(("£", "GBP"), Currency("one pound", "pounds", "one penny", "pence")),
    **dict.fromkeys(("¥", "JPY"), Currency("one yen", "yen")),
    **dict.fromkeys(("CN¥", "CNY", "RMB", "yuan"), Currency("one yuan", "yuan")),
    **dict.fromkeys(("₹", "INR", "Rs."), Currency("one rupee", "rupees", "one paisa", "paise")),
    **dict.fromkeys(("₩", "KRW"), Currency("one won", "won")),
    **dict.fromkeys(("₽", "RUB"), Currency("one ruble", "rubles", "one kopeck", "kopecks")),
    **dict.fromkeys(("₺", "TRY"), Currency("one lira", "lira", "one kurus", "kurus")),
    **dict.fromkeys(("₪", "ILS"), Currency("one shekel", "shekels", "one agora", "agorot")),
    **dict.fromkeys(("฿", "THB"), Currency("one baht", "baht", "one satang", "satang")),
    **dict.fromkeys(
        ("R$", "BRL"), Currency("one Brazilian real", "Brazilian reals", "one centavo", "centavos")
    ),
    **dict.fromkeys(("zł", "PLN"), Currency("one zloty", "zlotys", "one grosz", "groszy")),
    **dict.fromkeys(("Kč", "CZK"), Currency("one koruna", "korunas", "one haler", "halers")),
    **dict.fromkeys(("₫", "VND"), Currency("one dong", "dong")),
    **dict.fromkeys(("₴", "UAH"), Currency("one hryvnia", "hryvnias", "one kopeck", "kopecks")),
    **dict.fromkeys(("₱", "PHP"), Currency("one peso", "pesos", "one centavo", "centavos")),
    **dict.fromkeys(("₦", "NGN"), Currency("one naira", "naira", "one kobo", "kobo")),
    "CHF": Currency("one Swiss franc", "Swiss francs", "one centime", "centimes"),
    "SEK": Currency("one Swedish krona", "Swedish kronor", "one ore", "ore"),
    "NOK": Currency("one Norwegian krone", "Norwegian kroner", "one ore", "ore"),
    "DKK": Currency("one Danish krone", "Danish kroner", "one ore", "ore"),
    "HUF": Currency("one forint", "forints"),
    **dict.fromkeys(("MX$", "MXN"), Currency("one Mexican peso", "Mexican pesos", "one centavo", "centavos")),
    "ZAR": Currency("one rand", "rand", "one cent", "cents"),
    "¢": Currency("one cent", "cents"),
}
_METRES: Final = {"km": "kilo", "m": "", "cm": "centi", "mm": "milli", "dm": "deci"}
_REGULAR: Final = {
    **{sign: f"{prefix}meter" for sign, prefix in _METRES.items()},
    **{f"{sign}²": f"square {prefix}meter" for sign, prefix in _METRES.items()},
    **{f"{sign}³": f"cubic {prefix}meter" for sign, prefix in _METRES.items()},
    "km2": "square kilometer", "m2": "square meter", "m3": "cubic meter", "cm2": "square centimeter",
    "cm3": "cubic centimeter", "nm": "nanometer", "µm": "micrometer", "μm": "micrometer", "kg": "kilogram",
    "g": "gram", "mg": "milligram", "µg": "microgram", "μg": "microgram", "lb": "pound", "lbs": "pound",
    "oz": "ounce",
    "kgs": "kilogram", "KG": "kilogram", "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter",
    "cl": "centiliter", "dl": "deciliter", "ha": "hectare", "mi": "mile", "yd": "yard", "gal": "gallon",
    "qt": "quart",
    "tsp": "teaspoon", "tbsp": "tablespoon", "acre": "acre", "kWh": "kilowatt hour", "MWh": "megawatt hour",
    "kW": "kilowatt", "MW": "megawatt", "GW": "gigawatt", "W": "watt", "V": "volt", "kV": "kilovolt",
    "mV": "millivolt",
    "mA": "milliamp", "mAh": "milliamp hour", "Ah": "amp hour", "Ω": "ohm", "kΩ": "kiloohm", "J": "joule",
    "kJ": "kilojoule", "kcal": "kilocalorie", "cal": "calorie", "Pa": "pascal", "hPa": "hectopascal",
    "kPa": "kilopascal",
    "mbar": "millibar", "N": "newton", "Nm": "newton meter", "dB": "decibel", "KB": "kilobyte",
    "kB": "kilobyte",
    "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte", "PB": "petabyte", "GiB": "gibibyte",
    "MiB": "mebibyte",
    "kbps": "kilobit per second", "Mbps": "megabit per second", "mbps": "megabit per second",
    "Gbps": "gigabit per second", "Mbit/s": "megabit per second", "kbit/s": "kilobit per second",
    "MB/s": "megabyte per second", "ms": "millisecond", "µs": "microsecond", "μs": "microsecond",
    "ns": "nanosecond",
    "s": "second", "sec": "second", "secs": "second", "min": "minute", "mins": "minute", "h": "hour",
    "hr": "hour",
    "hrs": "hour", "wk": "week", "wks": "week", "mo": "month", "mos": "month", "yr": "year", "yrs": "year",
    "px": "pixel", "MP": "megapixel", "mol": "mole", "km/h": "kilometer per hour",
    "kph": "kilometer per hour",
    "kmph": "kilometer per hour",
    "mph": "mile per hour", "m/s": "meter per second", "m/s²": "meter per second squared",
    "sq ft": "square foot",
    "rpm": "revolution per minute", "fps": "frame per second", "ct": "carat", "pp": "percentage point",
}  # fmt: skip
_IRREGULAR: Final = {
    "ft": ("one foot", "feet"), "sq ft": ("one square foot", "square feet"), "in.": ("one inch", "inches"),
    "″": ("one inch", "inches"), "′": ("one foot", "feet"), "Hz": ("one hertz", "hertz"),
    "kHz": ("one kilohertz", "kilohertz"), "MHz": ("one megahertz", "megahertz"),
    "GHz": ("one gigahertz", "gigahertz"),
    "°C": ("one degree Celsius", "degrees Celsius"), "°F": ("one degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("one degree", "degrees"), "℃": ("one degree Celsius", "degrees Celsius"),
    "%": ("one percent", "percent"), "‰": ("one per mille", "per mille"),
    "ppm": ("one part per million", "parts per million"),
    "psi": ("one pound per square inch", "pounds per square inch"), "hp": ("one horsepower", "horsepower"),
    "bar": ("one bar", "bar"),
}  # fmt: skip


def _units() -> dict[str, tuple[str, str]]:
    """The plural is of the unit, not of what it is divided by: "kilometers per hour"."""
    regular = {}
    for sign, name in _REGULAR.items():
        first, per, rest = name.partition(" per ")
        regular[sign] = (f"one {name}", f"{first}s{per}{rest}")
    return regular | _IRREGULAR


MEASURES: Final = MeasureWords(
    currencies=_CURRENCIES,
    scales={
        "hundred": "hundred", "thousand": "thousand", "million": "million", "billion": "billion",
        "trillion": "trillion", "mn": "million", "bn": "billion",
    },
    money_scales={"k": "thousand", "K": "thousand", "m": "million", "M": "million", "b": "billion",
    "B": "billion",
                  "T": "trillion", "tn": "trillion"},
    units=_units(),
    operators={"+": "plus", "−": "minus", "×": "times", "x": "times", "*": "times", "·": "times",
    "⋅": "times",
               "∙": "times", "÷": "divided by", "/": "divided by", "±": "plus or minus", "=": "equals",
               "?": "what"},
    to="to",
    against="to",
    per="per",
    minus="minus",
    number="number",
    about="about",
    joined_cents="and",
    names_cents=True,
    point="point",
)  # fmt: skip

DURATIONS: Final = {each: (f"one {each[:-1]}", each) for each in ("days", "hours", "minutes", "seconds")}
ADDRESSES: Final = {
    ".": "dot", "@": "at", "/": "slash", "-": "dash", "_": "underscore", "\\": "backslash", "~": "tilde",
    ":": "colon", "+": "plus", "version": "version", "hashtag": "hashtag",
}  # fmt: skip
CHARGES: Final = {"+": "plus", "⁺": "plus", "-": "minus", "⁻": "minus", "²": "two", "³": "three", "⁴": "four",
                  "root": "the square root of"}  # fmt: skip
POWERS: Final = {"2": "squared", "3": "cubed", "to": "to the power of", "-": "minus", "ten": "times ten"}

SYMBOLS: Final = {
    "&": "and", "+": "plus", "=": "equals", "×": "times", "÷": "divided by", "±": "plus or minus",
    "≈": "about", "≤": "at most", "≥": "at least", "<": "less than", ">": "greater than", "@": "at",
    "≠": "is not",
    "%": "percent", "§": "section", "€": "euros", "$": "dollars", "£": "pounds", "°": "degrees", "−": "minus",
    "∞": "infinity", "√": "the square root of", "∑": "the sum of", "∫": "the integral of", "∆": "delta",
    "∂": "partial",
    "∈": "in", "→": "to", "∝": "is proportional to", "©": "copyright", "™": "trademark", "∕": "divided by",
}  # fmt: skip

SPELT: Final = ("AWS", "WHO", "SAS", "IDE")
"""Acronyms that a voice would say as words; it spells what nobody can say, and says NASA."""
EXPANSIONS: Final = {
    "Dr.": "Doctor", "Mr.": "Mister", "Mrs.": "Missus", "Ms.": "Miz", "Prof.": "Professor",
    "Rev.": "Reverend", "Gen.": "General", "Maj.": "Major",
    "Col.": "Colonel", "Capt.": "Captain", "Lt.": "Lieutenant",
    "Sgt.": "Sergeant", "Gov.": "Governor", "Sen.": "Senator", "Rep.": "Representative",
    "Hon.": "Honorable", "Jr.": "Junior", "Sr.": "Senior", "Mt.": "Mount", "Ft.": "Fort", "Ave.": "Avenue",
    "Blvd.": "Boulevard", "Rd.": "Road", "Inc.": "Incorporated", "Ltd.": "Limited", "Corp.": "Corporation",
    "Co.": "Company", "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus",
    "v.": "versus", "approx.": "approximately", "est.": "estimated", "dept.": "department",
    "Dept.": "Department", "cf.": "compare", "viz.": "namely", "incl.": "including", "min.": "minutes",
    "max.": "maximum", "hrs.": "hours", "ca.": "circa", "al.": "al", "esp.": "especially", "w/": "with",
    "w/o": "without", "Ph.D.": "PhD", "M.D.": "MD", "a.k.a.": "also known as",
}  # fmt: skip
NUMBERED: Final = {
    "No.": "number", "no.": "number", "Nos.": "numbers", "Fig.": "figure", "fig.": "figure",
    "Figs.": "figures", "Vol.": "volume", "vol.": "volume", "Ch.": "chapter", "ch.": "chapter",
    "Chap.": "chapter",
    "Sec.": "section", "p.": "page", "pp.": "pages", "Eq.": "equation", "Art.": "article", "№": "number",
    "ext.": "extension", "Ext.": "extension",
}  # fmt: skip
_DAYS: Final = {
    "Monday": "mon|mo", "Tuesday": "tue|tues|tu", "Wednesday": "wed|we", "Thursday": "thu|thur|thurs|th",
    "Friday": "fri|fr", "Saturday": "sat|sa", "Sunday": "sun|su",
}  # fmt: skip
DAYS: Final = {"form": "{0} to {1}"} | {key: day for day, keys in _DAYS.items() for key in keys.split("|")}
