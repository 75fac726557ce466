"""Spoken form of a piece of shown text."""

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.tts.boundary_rules import GERMAN
from pipeline.tts.normalisation import english, english_words, german, german_words
from pipeline.tts.normalisation.cldr import grammar_of, has_number_words, in_words
from pipeline.tts.normalisation.draft import Draft, Span, SpokenText
from pipeline.tts.normalisation.formulas import GREEK, GREEK_NAMES, SUPERSCRIPT, power
from pipeline.tts.normalisation.numerals import Numerals
from pipeline.tts.normalisation.recognisers import Grammar
from pipeline.tts.pronunciations import NO_ENTRIES, PronunciationDictionary
from schemas.speech_style import Mark

_MOST_DIGITS = 15


def said_as(kind: str, text: str, language: str) -> str:
    """`text` as the `say-as` of SSML wants it; what is no number stays as it is where a number is wanted."""
    if kind in ("characters", "spell-out", "verbatim"):
        return ", ".join(
            _digit(one, language) if one.isdigit() else one.upper() for one in text if one.isalnum()
        )
    digits = "".join(one for one in text if one.isdecimal())
    if not digits:
        return text
    if kind in ("digits", "telephone"):
        groups = "".join(one if one.isdecimal() else " " for one in text).split()
        return ", ".join(" ".join(_digit(one, language) for one in group) for group in groups)
    if len(digits) > _MOST_DIGITS or not has_number_words(language):
        return text
    return in_words(int(digits), language, kind) or text


def _digit(digit: str, language: str) -> str:
    known = digit.isdecimal() and has_number_words(language)
    return (in_words(int(digit), language, "cardinal") if known else "") or digit


def emoji_names(text: str, language: str) -> Iterator[tuple[int, int, str]]:
    """Edits that say each emoji by its name in CLDR, once in a row; none in a language without names."""
    if text.isascii():
        return
    import emoji  # 10 MB with its names: only for who wants them

    if language not in emoji.LANGUAGES:
        return
    emoji.config.load_language(language)
    end, before = -1, ""
    for found in emoji.emoji_list(text):
        start, name = found["match_start"], emoji.EMOJI_DATA[found["emoji"]].get(language, "")
        said = name.strip(":").replace("_", " ")
        again = said == before and not text[end:start].strip()
        end, before = found["match_end"], said
        more = text[end : end + 1].strip(" ") or text[end + 1 : end + 2]
        yield start, end, "" if again or not said else f", {said}, " if more.isalnum() else f", {said}"


_LINE: Final = re.compile(r"[^\n]+\n?|\n")
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})")
_RULE: Final = re.compile(r"[-*_=|:+ \t\r]*")
_MARKER: Final = re.compile(
    r"[ \t]*(?:>[ \t]*)*"
    r"(?:(?P<block>#{1,6}[ \t]+|[-*+•‣◦·–][ \t]+(?:\[[ xX]\][ \t]+)?)|[0-9]{1,3}(?P<item>[.)])[ \t]+)?"
)
_ENDED: Final = re.compile(r"[.!?:;,…。！？][\"'”’)*_`]*$")
_BAR: Final = re.compile(r"[ \t]*\|[ \t]*")

_IMAGE: Final = re.compile(r"!\[([^\[\]\n]{0,300})\]\([^()\n]{0,500}\)")
_LINK: Final = re.compile(
    r"\[([^\[\]\n]{1,300})\](?:\([^()\s]{0,500}(?:\([^()\s]{0,100}\)[^()\s]{0,100})?(?:\s\"[^\"\n]{0,200}\")?\)|\[[^\[\]\n]{0,60}\])"
)
_AUTOLINK: Final = re.compile(r"<((?:https?://|mailto:|[\w.+-]{1,64}@)[^<>\s]{1,500})>")
_CITATION: Final = re.compile(
    r"\s?【[^】\n]{0,80}】|(?<=\S)\[\^?[0-9][0-9,;\s–-]{0,20}\]|(?:^|\s)\[[0-9]{1,3}\]|\s?\[\^[\w-]{1,20}\]:?"
)
_NOTE: Final = re.compile(
    r"(?:(?<=[^\W\d_]{3})(?<!sin)(?<!cos)(?<!tan)(?<!log)|(?<=[^\W\d_][.!?,;:”\"]))[¹²³⁰⁴-⁹]{1,3}(?![\w⁺⁻ⁿ])"
)
"""The number of a footnote, after a word or behind its mark. Behind one or two letters it is a power."""
_COMMENT: Final = re.compile(r"<!--.{0,300}?-->", re.DOTALL)
_TAG: Final = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,15})(?:\s[^<>]{0,300})?/?>")
_SPACED_TAGS: Final = frozenset(
    ["br", "p", "div", "li", "ul", "ol", "td", "th", "tr", "hr", "h1", "h2", "h3", "h4", "h5", "h6"]
)
_ENTITY: Final = re.compile(r"&(?:[a-zA-Z]{2,10}|#[0-9]{1,6}|#[xX][0-9a-fA-F]{1,5});")
_ESCAPE: Final = re.compile(r"\\([\\`*_{}\[\]()#+\-.!~|>])")
_TIMES: Final = re.compile(r"(?<=[0-9])\s?\*\s?(?=[0-9])")
_EMPHASIS: Final = re.compile(r"\*+|~~+|`+")
_UNDERSCORES: Final = re.compile(r"_+")


def strip_blocks(draft: Draft, code_phrase: str, months: frozenset[str]) -> None:
    """Headings, lists, quotations and tables become lines of plain text, code becomes the phrase."""
    draft.replace(list(_block_edits(draft.text, code_phrase, months)))


def _block_edits(text: str, code_phrase: str, months: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    fence, fenced_from = "", 0
    for line in _LINE.finditer(text):
        body = line[0].rstrip()
        opened = _FENCE.match(body)
        if fence:
            if opened and opened[1].startswith(fence):
                yield fenced_from, line.end(), f" {code_phrase}\n"
                fence = ""
        elif opened and "`" not in body[opened.end() :]:
            fence, fenced_from = opened[1][:3], line.start()
        elif len(body) > 2 and _RULE.fullmatch(body):
            yield line.start(), line.end(), "\n"
        else:
            yield from _line_edits(line.start(), body, months)
    if fence:
        yield fenced_from, len(text), f" {code_phrase}\n"


def _line_edits(at: int, body: str, months: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    marker = _MARKER.match(body)
    if marker is None or marker.end() == len(body):
        return
    row = body[marker.end()] == "|"
    if marker["item"] and body[marker.end() :].split(maxsplit=1)[0].rstrip(".,") not in months:
        yield at + marker.start("item"), at + marker.end(), ", "
    elif marker["item"]:
        return
    else:
        yield at, at + marker.end(), ""
    start = marker.end()
    if row:
        for bar in _BAR.finditer(body, start):
            if bar.end() < len(body):
                yield at + bar.start(), at + bar.end(), ", " if bar.start() > start else ""
                start = bar.end()
        if body.endswith("|") and start < len(body):
            yield at + len(body) - 1, at + len(body), "."
    elif (marker["block"] or marker["item"]) and not _ENDED.search(body[-8:]):
        yield at + len(body) - 1, at + len(body), body[-1] + "."


def strip_links(draft: Draft) -> None:
    """Links and images are read by their labels; tags, comments and citation marks are not read."""
    draft.unwrap(_IMAGE)
    draft.unwrap(_LINK)
    draft.unwrap(_AUTOLINK)
    draft.rewrite(_CITATION, lambda _: "")
    draft.rewrite(_NOTE, lambda _: "")
    draft.rewrite(_COMMENT, lambda _: "")
    draft.rewrite(_TAG, lambda tag: " " if tag[1].lower() in _SPACED_TAGS else "")
    draft.rewrite(_ENTITY, lambda entity: html.unescape(entity[0]))


def strip_emphasis(draft: Draft) -> None:
    """Stars, underscores and backticks go, whether or not their partner is in this text."""
    draft.unwrap(_ESCAPE)
    draft.rewrite(_TIMES, lambda _: " × ")
    draft.rewrite(_EMPHASIS, lambda _: "")
    draft.rewrite(_UNDERSCORES, _underscores)


def _underscores(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    return " " if text[start - 1 : start].isalnum() and text[end : end + 1].isalnum() else ""


_GRAMMARS: Final[Mapping[str, Grammar]] = {"en": english.GRAMMAR, "de": german.GRAMMAR}
_WORDS: Final = {"en": english_words, "de": german_words}
_NUMERALS: Final = {"en": Numerals("en"), "de": Numerals("de")}
_CODE: Final[Mapping[str, str]] = {"en": "Code example.", "de": "Codebeispiel."}

_OTHER_DIGIT: Final = re.compile(r"(?![0-9])\d|[٪％￥]|(?<=\d)[٫٬：](?=\d)")
"""Digits of other scripts, as of Arabic and Hindi, wide ones, and the marks between them."""
_PLAIN: Final = {"٪": "%", "％": "%", "٫": ".", "٬": ",", "：": ":", "￥": "¥"}
_UNUSUAL: Final = re.compile(r"[^\w\s!-~]")
_KEPT_PICTURES: Final = "°№"
_SIGN_OF_UNIT: Final = re.compile("[℃℉\u3380-\u33df]")
"""One character that stands for several: "㎏"."""
_RAISED: Final = str.maketrans("23", "²³")
_VULGAR: Final = re.compile("([0-9]?)([¼½¾⅐-⅞])")
_DASH: Final = re.compile(r"\s?[—―]\s?|\s[–-]{1,3}\s")
_ORNAMENT: Final = re.compile(r"([=<>&~])\1+|([+%@$€£§°#])\2{2,}|[=-]{1,9}>|<[=-]{1,9}")
_SYMBOL: Final = re.compile(r"[&+=<>@%$#/|\\^{}~]|[^\w\s!-~]")
_DROPPED: Final = frozenset("/\\{}#•·")
_BLANKS: Final = re.compile(r"\s+")
_LOOSE_BLANK: Final = re.compile(r" (?=[,.;:!?…])")
_TIGHT_COMMA: Final = re.compile(r"(?<=[^\W\d]),(?=[^\W\d])")
_DOUBLE_MARK: Final = re.compile(r"(?:, ?)+(?=[,.;:!?])|(?<=[.;:!?]),")


def plainly(text: str, shown: int) -> SpokenText:
    """Words already found for `shown` characters, of which nobody knows any more which says what."""
    return SpokenText(text, (Span(0, len(text), 0, shown, verbatim=False),) if text else ())


@dataclass(frozen=True, slots=True)
class Reading:
    """Wishes of a session for how its texts are read."""

    dictionary: PronunciationDictionary = NO_ENTRIES
    names_emoji: bool = False
    marks: tuple[Mark, ...] = ()
    """Of SSML and of voices; places are of the piece of text that is read."""

    def within(self, start: int, end: int) -> "Reading":
        """For a piece of the text. Words marked by `say-as` are said so in all pieces, IPA in the first one.

        Marks come in order and do not overlap, also those of an imported session.
        """
        if not self.marks:
            return self
        marks: list[Mark] = []
        for mark in sorted(self.marks, key=lambda each: each.start):
            first, last = max(mark.start, start) - start, min(mark.end, end) - start
            cut_ipa = mark.kind == "phoneme" and mark.start < start
            after = not marks or first >= marks[-1].end
            if mark.kind in ("say-as", "phoneme") and first < last and after and not cut_ipa:
                marks.append(mark.model_copy(update={"start": first, "end": last}))
        return replace(self, marks=tuple(marks))


PLAIN: Final = Reading()


def to_spoken(text: str, language: str = "en", *, code: bool = False, reading: Reading = PLAIN) -> SpokenText:
    """Say `text` in words. `text == ""` in the result: there is nothing to say.

    Never raises, and takes time in proportion to the text. `code`: the text is (part of) a fenced
    code block; only the part with the opening fence is mentioned, none is read out. English and German are
    read whole; of languages that CLDR and num2words know, numbers, money, measures and dates; of others only
    the markup is taken out.
    """
    draft = Draft(text)
    known = language[:2].lower()
    phrase = _CODE.get(known, "")
    if code:
        opens = text.lstrip().startswith(("```", "~~~"))
        draft.replace([(0, len(text), phrase if opens else "")])
        return SpokenText(draft.text, draft.spans())
    pronounced = [(mark.start, mark.end, mark.value) for mark in reading.marks if mark.kind == "phoneme"]
    required = bool(pronounced)
    draft.replace(
        (mark.start, mark.end, said_as(mark.value, text[mark.start : mark.end], known))
        for mark in reading.marks
        if mark.kind == "say-as"
    )
    strip_blocks(draft, phrase, GERMAN.months if known == "de" else frozenset())
    strip_links(draft)
    if reading.dictionary.entries:
        pronounced = sorted([*pronounced, *_say_by(reading.dictionary, draft, language)])
    if reading.names_emoji:
        draft.replace(emoji_names(draft.text, known))
    draft.rewrite(_UNUSUAL, _without_pictures)
    if not draft.text.isascii():
        draft.rewrite(_OTHER_DIGIT, lambda found: _PLAIN.get(found[0]) or str(unicodedata.digit(found[0])))
    if (grammar := _GRAMMARS.get(known) or grammar_of(known)) is not None:
        draft.rewrite(_VULGAR, _vulgar)
        draft.replace(grammar.edits(draft.text))
    strip_emphasis(draft)
    if known in _GRAMMARS:
        _say_symbols(draft, known)
    _tidy(draft)
    if not any(map(str.isalnum, draft.text)):
        return SpokenText("", ())
    return SpokenText(draft.text, draft.spans(), _placed(pronounced, draft), required)


def _say_by(
    dictionary: PronunciationDictionary, draft: Draft, language: str
) -> Iterator[tuple[int, int, str]]:
    """Respells what the dictionary has respellings of; gives the shown places of other pronunciations."""
    places = dictionary.places(draft.text, language)
    for place in places:
        if place.entry.ipa is not None:
            yield *draft.origin(place.start, place.end), place.entry.ipa
    draft.replace(
        (place.start, place.end, place.entry.respelling)
        for place in places
        if place.entry.respelling is not None
    )


def _placed(pronounced: list[tuple[int, int, str]], draft: Draft) -> tuple[tuple[int, int, str], ...]:
    """Shown places as places of the spoken text; of two that overlap the first counts."""
    placed: list[tuple[int, int, str]] = []
    for start, end, ipa in pronounced:
        place = draft.place(start, end)
        if place is not None and (not placed or place[0] >= placed[-1][1]):
            placed.append((*place, ipa))
    return tuple(placed)


def _without_pictures(match: re.Match[str]) -> str | None:
    """Emoji, control characters and what has no meaning by itself are not said."""
    character = match[0]
    if (unit := _SIGN_OF_UNIT.fullmatch(character)) is not None:
        plain = unicodedata.normalize("NFKC", unit[0])
        return plain.translate(_RAISED) if plain[-1] in "23" else plain
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Co", "Cn", "Sk", "Me") or "\ufe00" <= character <= "\ufe0f":
        return ""
    return "" if category == "So" and character not in _KEPT_PICTURES else None


def _vulgar(match: re.Match[str]) -> str:
    over_under = unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    return f"{match[1]} {over_under}" if match[1] else over_under


def _say_symbols(draft: Draft, language: str) -> None:
    words = _WORDS[language]
    symbols = words.SYMBOLS

    def say(match: re.Match[str]) -> str | None:
        symbol = match[0]
        if symbol in symbols:
            return f" {symbols[symbol]} "
        if symbol == "|":
            return ", "
        kept = symbol not in _DROPPED and unicodedata.category(symbol)[0] in "PM"
        return None if kept else " "

    if not draft.text.isascii():
        draft.rewrite(GREEK, lambda letter: f" {GREEK_NAMES.get(letter[0], '')} ")
    draft.rewrite(SUPERSCRIPT, lambda found: power(found[0], _NUMERALS[language], words.POWERS))
    draft.rewrite(_DASH, lambda _: ", ")
    draft.rewrite(_ORNAMENT, lambda _: " ")
    draft.rewrite(_SYMBOL, say)


def _tidy(draft: Draft) -> None:
    """One blank between words, none at the ends, no mark twice."""
    draft.rewrite(_BLANKS, lambda run: None if run[0] == " " else ". " if _paragraph(run) else " ")
    draft.rewrite(_LOOSE_BLANK, lambda _: "")
    draft.rewrite(_TIGHT_COMMA, lambda _: ", ")
    draft.rewrite(_DOUBLE_MARK, lambda _: "")
    kept = draft.text.lstrip(" ,;:")
    start = len(draft.text) - len(kept)
    end = start + len(kept.rstrip())
    draft.replace([(0, start, ""), (end, len(draft.text), "")])


def _paragraph(run: re.Match[str]) -> bool:
    return (
        run[0].count("\n") > 1
        and run.string[run.start() - 1 : run.start()].isalnum()
        and run.end() < len(run.string)
    )
