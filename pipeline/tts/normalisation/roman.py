"""Finds Roman numerals after names and in headings, and says which number each is."""

import re
from typing import Final

ROMAN: Final = r"(?=[IVXLC])(?:C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
"""1 to 399, in capitals; also matches nothing, which `value` refuses."""
_VALUES: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}


_GOES_ON: Final = r"(?=$|[,.;:!?)]|\s(?:of|the|von|der|in)\s)"


def value(numeral: str) -> int:
    """The number of a numeral that `ROMAN` matches."""
    total = largest = 0
    for letter in reversed(numeral):
        each = _VALUES[letter]
        total += each if each >= largest else -each
        largest = max(largest, each)
    return total


COUNTED: Final = re.compile(
    r"(?<!\w)(?P<head>War|Chapter|Chap\.|Part|Book|Volume|Act|Scene|Section|Phase|Type|Class|Level|Appendix|Title|"
    r"Article|Figure|Table|Episode|Season|Round|Stage|Grade|Group|"
    r"Division|Bowl|Vatican|Apollo|Mark|Tier|Kapitel|Teil|Band|Buch|Akt|Szene|Abschnitt|Phase|Typ|Klasse|Stufe|Anhang|"
    r"Artikel|Abbildung|Tabelle|Weltkrieg|Gruppe)"
    rf"\s(?P<numeral>{ROMAN})(?![\w'’]|\.\w)"
)
"""A word that is numbered, and its number."""
_RULERS: Final = (
    "King|Queen|Pope|Emperor|Empress|Tsar|Czar|Prince|Duke|Saint|St\\.|Kaiser|Kaiserin|König|Königin|Papst|"
    "Zar|Zarin|Henry|Louis|George|Edward|Richard|William|James|Charles|Philip|Elizabeth|Mary|Catherine|Napoleon|Peter|"
    "Paul|John Paul|John|Pius|Benedict|Gregory|Leo|Clement|Innocent|Urban|Alexander|Nicholas|Ivan|"
    "Frederick|Wilhelm|Friedrich|Heinrich|Ludwig|Karl|Otto|Franz|Joseph|Josef|Leopold|Maximilian|Rudolf|Katharina|"
    "Elisabeth|Johannes|Benedikt|Gregor|Nikolaus|Ramses|Ramesses|Thutmose|Darius|Xerxes|Ptolemy|Cleopatra|"
    "Constantine|Robert|David|Alfonso|Ferdinand|Gustav|Christian|Harald|Haakon|Olaf|Margrethe|Margaret|Victor|Umberto|Baldwin|Philipp|Georg|Eduard|Sixtus|Julius|"
    "Meiji|Selim|Murad|Mehmed|Mahmud|Akbar|Johann|Albrecht|Ernst|August|Konrad|Konstantin"
)
REIGNING: Final = re.compile(
    rf"(?<!\w)(?P<head>{_RULERS})(?P<more>\s[^\W\d_a-z][a-zäöüß]{{2,20}})?\s"
    rf"(?P<numeral>(?!I\b){ROMAN}|I\.?{_GOES_ON})(?P<stop>\.?)(?![\w'’])"
)
"""A ruler's name, and its number; a lone "I" only where a sentence with "I" cannot go on."""
CENTURY: Final = re.compile(
    rf"(?P<numeral>{ROMAN})\.?(?=\s(?:century|centuries|Jahrhundert|Weltkrieg|Quartal|Liga))"
)
HEADING: Final = re.compile(rf"(?<![^\n])(?P<numeral>{ROMAN})(?P<mark>[.)])(?=\s+[^\W\d_a-z])")
"""At the start of a line, with a mark, before a capital."""
AFTER_NAME: Final = re.compile(
    r"(?<=[a-zäöüß]\s)(?P<numeral>III?|VI{1,3}|IX|X{1,3}(?:IX|IV|V?I{1,3})|XV|XIV|LI?V?I{0,3})(?P<mark>)(?![\w'’.-]\w|\w)"
)
"""After a word, where no other word looks like it."""
