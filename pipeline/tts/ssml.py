"""A subset of SSML 1.1 (W3C, 2010): `break`, `say-as`, `phoneme`, `prosody rate`, `p` and `s` inside `speak`.

The shown text is what is left without the marks, which are kept beside it by their places.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeVar
from xml.parsers import expat

from pipeline.tts.pronunciations import check_ipa
from schemas.errors import MarkupInvalid
from schemas.speech_style import MARKS, SpeechMark

T = TypeVar("T")
_ROOT: Final = re.compile(r"\s*<speak[\s>]")
_TIME: Final = re.compile(r"\+?([0-9]{1,5}(?:\.[0-9]{1,3})?)(ms|s)")
_RATE: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)(%?)")
_LONGEST_MS: Final = 10_000
_STRENGTHS: Final = {"none": 0, "x-weak": 100, "weak": 200, "medium": 400, "strong": 700, "x-strong": 1_200}
_RATES: Final = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
_SLOWEST, _FASTEST = 0.25, 4.0
SAY_AS: Final = ("characters", "spell-out", "verbatim", "digits", "telephone", "cardinal", "ordinal")
_ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    "speak": ("version", "xmlns", "xml:lang"),
    "p": (),
    "s": (),
    "break": ("time", "strength"),
    "say-as": ("interpret-as",),
    "phoneme": ("alphabet", "ph"),
    "prosody": ("rate",),
}
_NAMES: Final = ", ".join(f"<{name}>" for name in _ATTRIBUTES)
_IPA_CHARS: Final = 100
_DEEPEST: Final = 16


def is_ssml(text: str) -> bool:
    """Whether a text says by its first element that it is SSML."""
    return _ROOT.match(text) is not None


def parse(text: str, *, field: str = "text") -> tuple[str, tuple[SpeechMark, ...]]:
    """The shown text and its marks, in the order of their ends.

    Raises MarkupInvalid, whose message names the element.
    """
    reader = _Reader(field)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(text.strip(), True)
    except (expat.ExpatError, ValueError, UnicodeError) as error:
        raise MarkupInvalid(f"is no well-formed SSML: {error}"[:200], field=field) from None
    shown = "".join(reader.parts)
    if not shown.strip():
        raise MarkupInvalid("has no text between its marks", field=field)
    return shown, tuple(reader.marks)


class _Reader:
    """Collects the text and the marks while expat reads."""

    def __init__(self, field: str) -> None:
        self.parts: list[str] = []
        self.marks: list[SpeechMark] = []
        self._field = field
        self._at = 0
        self._open: list[tuple[str, int, dict[str, str]]] = []

    def doctype(self, *_: object) -> None:
        raise self._invalid("has a document type, which is not taken")

    def text(self, data: str) -> None:
        self.parts.append(data)
        self._at += len(data)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name not in _ATTRIBUTES or (name == "speak") == bool(self._open):
            raise self._invalid(f"<{name[:40]}> is not taken here; there is: {_NAMES}")
        for attribute in attributes:
            if attribute not in _ATTRIBUTES[name]:
                known = ", ".join(_ATTRIBUTES[name]) or "none"
                raise self._invalid(f"<{name}> takes no {attribute[:40]!r}; there is: {known}")
        open_marks = sum(one in _VALUES for one, *_ in self._open)
        if len(self._open) >= _DEEPEST or len(self.marks) + open_marks >= MARKS:
            raise self._invalid(f"<{name}> is one too many: {MARKS} marks, {_DEEPEST} inside each other")
        if self._open and self._open[-1][0] in ("break", "say-as", "phoneme"):
            raise self._invalid(f"<{self._open[-1][0]}> takes no elements inside")
        self._open.append((name, self._at, attributes))

    def end(self, name: str) -> None:
        _, start, attributes = self._open.pop()
        if name in ("p", "s") and self._at > start:
            self.text("\n\n" if name == "p" else " ")
        read = _VALUES.get(name)
        if read is None:
            return
        if name == "break" and self._at > start:
            raise self._invalid("<break> has text inside")
        try:
            value = read(attributes)
        except ValueError as error:
            raise self._invalid(f"<{name}> {error}") from None
        if self._at > start or name == "break":
            kind = _KINDS[name]
            self.marks.append(SpeechMark(start=start, end=self._at, kind=kind, value=value))

    def _invalid(self, why: str) -> MarkupInvalid:
        return MarkupInvalid(why, field=self._field)


def _break(attributes: Mapping[str, str]) -> str:
    if "time" in attributes:
        found = _TIME.fullmatch(attributes["time"].strip())
        ms = float(found[1]) * (1_000 if found[2] == "s" else 1) if found else _LONGEST_MS + 1
        if ms > _LONGEST_MS:
            raise ValueError(f"has no time such as 500ms or 1.5s, of at most {_LONGEST_MS // 1_000} s")
        return str(round(ms))
    return str(_one_of(_STRENGTHS, attributes.get("strength", "medium"), "strength"))


def _say_as(attributes: Mapping[str, str]) -> str:
    kind = attributes.get("interpret-as", "")
    return _one_of({name: name for name in SAY_AS}, kind, "interpret-as")


def _phoneme(attributes: Mapping[str, str]) -> str:
    if attributes.get("alphabet", "ipa") != "ipa":
        raise ValueError('knows the alphabet "ipa" only')
    ipa = attributes.get("ph", "").strip()
    if not 0 < len(ipa) <= _IPA_CHARS:
        raise ValueError(f"needs ph, of at most {_IPA_CHARS} characters of IPA")
    try:
        check_ipa(ipa)
    except ValueError as error:
        raise ValueError(f"has a ph that {error}") from None
    return ipa


def _rate(attributes: Mapping[str, str]) -> str:
    rate = attributes.get("rate", "").strip()
    found = _RATE.fullmatch(rate)
    if found is None:
        return str(_one_of(_RATES, rate, "rate"))
    times = float(found[1]) / (100 if found[2] else 1)
    if not _SLOWEST <= times <= _FASTEST:
        raise ValueError("has a rate beside 25% to 400%")
    return str(times)


def _one_of(known: Mapping[str, T], name: str, attribute: str) -> T:
    if name not in known:
        raise ValueError(f"has the {attribute} {name[:40]!r}; there is: {', '.join(known)}")
    return known[name]


_VALUES: Final[Mapping[str, Callable[[Mapping[str, str]], str]]] = {
    "break": _break,
    "say-as": _say_as,
    "phoneme": _phoneme,
    "prosody": _rate,
}
_KINDS: Final[Mapping[str, Literal["break", "rate", "say-as", "phoneme"]]] = {
    "break": "break",
    "say-as": "say-as",
    "phoneme": "phoneme",
    "prosody": "rate",
}
