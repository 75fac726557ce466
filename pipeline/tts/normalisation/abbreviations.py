"""Recognisers of abbreviations and acronyms."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from pipeline.tts.boundary_rules import Lexicon, Strength, judge
from pipeline.tts.normalisation.recognisers import Recogniser, either

_SAINT: Final = re.compile(r"(?<!\w)St\.(?!\w)")
_INITIALS: Final = re.compile(r"(?<![\w.])(?:[A-Z]\.){2,6}(?!\w)")


def abbreviation_recognisers(
    expansions: Mapping[str, str], numbered: Mapping[str, str], lexicon: Lexicon, spelt: Collection[str]
) -> tuple[Recogniser, ...]:
    """Recognisers that write out `expansions` everywhere, `numbered` before numbers, and spell `spelt`."""

    def expand(match: re.Match[str]) -> str:
        written = re.sub(r"\.\s(?=\w)", ".", match[0])
        return plain[written] + stop(match, lexicon)

    plain = {key.replace(" ", ""): spoken for key, spoken in expansions.items()}
    return (
        Recogniser(
            "upper lower sign",
            _pattern(numbered, r"\s?(?=[0-9])"),
            lambda match: f"{numbered[match[0].strip()]} ",
        ),
        Recogniser("upper lower", _pattern(expansions, r"(?!\w)"), expand),
        Recogniser("upper", _SAINT, lambda match: _saint(match, lexicon)),
        Recogniser("upper", _INITIALS, lambda match: match[0].replace(".", "") + stop(match, lexicon)),
        Recogniser(
            "upper", re.compile(rf"(?:{either(spelt)})(?=s?(?!\w))"), lambda match: " ".join(match[0])
        ),
    )


def _pattern(keys: Mapping[str, str], end: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.])(?:{either(keys).replace(chr(92) + ' ', chr(92) + 's?')}){end}")


def _following(match: re.Match[str]) -> str:
    return (match.string[match.end() : match.end() + 40].split(maxsplit=1) or [""])[0]


def stop(match: re.Match[str], lexicon: Lexicon) -> str:
    """The full stop of an abbreviation is also that of its sentence, if one ends there."""
    if not match[0].endswith("."):
        return ""
    following = _following(match)
    if not following:
        return "."
    if not following[0].isalpha():
        return ""
    before = (match.string[max(0, match.start() - 24) : match.start()].split() or [""])[-1]
    word = match[0].split()[-1]
    return "." if judge(word, before, following, True, lexicon) == Strength.SENTENCE else ""


def _saint(match: re.Match[str], lexicon: Lexicon) -> str:
    before = (match.string[max(0, match.start() - 24) : match.start()].split() or [""])[-1]
    street = before[:1].isupper() and (before[-1:].isalnum()) and before not in lexicon.starters
    return "Street" + stop(match, lexicon) if street else "Saint"


def listed_abbreviations(known: Mapping[str, str]) -> Iterator[Recogniser]:
    """Recognisers of `known`. A key that ends in "#" is before a digit, one in "~" before a capital."""

    def patterns(ending: str) -> Mapping[str, str]:
        return {key.rstrip("~#"): said for key, said in known.items() if key.rstrip("~#") + ending == key}

    for ending, follows in (("~", r"(?=\s[^\W\d_a-zа-яё])"), ("#", r"(?=\s?[0-9])"), ("", r"(?!\w)")):
        said = patterns(ending)

        def read(match: re.Match[str], said: Mapping[str, str] = said) -> str:
            over = match[0][-1] == "." and not match.string[match.end() :].strip()
            spaced = " " if match.string[match.end() : match.end() + 1].isdigit() else ""
            return said[match[0].replace("\u00a0", " ")] + ("." if over else spaced)

        if said:
            pattern = either(said).replace(re.escape(" "), "[ \u00a0]")
            yield Recogniser("upper lower", re.compile(rf"(?<![\w.])(?:{pattern}){follows}"), read)


def day_ranges(days: Mapping[str, str], *, joined: bool = False) -> Iterator[Recogniser]:
    """Recognisers of "Mon–Fri". `days` has the name of each day by its abbreviation in small letters, with
    "/" between two forms where the last day has another one than the first, and the "form" of a range.

    `joined`: letters may follow without a blank.
    """
    if not days:
        return

    def read(match: re.Match[str]) -> str | None:
        first, last = (days[match[end].lower()].split("/") for end in ("from", "until"))
        if first == last:
            return None
        over = not match.string[match.end() :].strip() or not match["dotted"]
        return days["form"].format(first[0], last[-1]) + (match["stop"] if over else "")

    day = f"(?i:{either(each for each in days if each != 'form')})"
    end = "" if joined else r"(?!\w)"
    pattern = rf"(?<![\w.])(?P<from>{day})(?P<dotted>\.?)\s?[-–—~〜～]\s?(?P<until>{day})(?P<stop>\.?){end}"
    yield Recogniser("upper lower", re.compile(pattern), read)
