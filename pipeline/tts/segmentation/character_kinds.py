"""Which characters belong together, and which ones are pictures."""

import re
import unicodedata
from typing import Final

EMOJI: Final = (
    "\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u25a0-\u25ff"
    "\ufe0f\u200d\u20e3\U000e0020-\U000e007f"
)
"""The inside of a regex character class."""

_ONLY_EMOJI: Final = re.compile(f"[{EMOJI}]+")
_JOINER: Final = "\u200d"
_MODIFIERS: Final = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_HANGUL: Final = re.compile("[\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff]{2}")
_HANGUL_LEAD: Final = re.compile("[\u1100-\u115f\ua960-\ua97f]")
_LOOK_BACK: Final = 64


def only_emoji(word: str) -> bool:
    return _ONLY_EMOJI.fullmatch(word) is not None


def may_cut(text: str, at: int) -> bool:
    """False where a cut before text[at] would split what a reader sees as one character.

    Follows the grapheme clusters of UAX 29; Hangul jamo and joined emoji are kept together
    rather too often than too seldom.
    """
    if not 0 < at < len(text):
        return True
    before, after = text[at - 1], text[at]
    if after < "\u0300":
        return not (before == "\r" and after == "\n") and before != _JOINER and not _prepends(before)
    if unicodedata.category(before) in ("Cc", "Zl", "Zp"):
        return True
    return not (_extends(after) or before == _JOINER or _one_flag_or_syllable(text, at) or _prepends(before))


def _extends(character: str) -> bool:
    return (
        character == _JOINER
        or character in _MODIFIERS
        or unicodedata.category(character) in ("Mn", "Me", "Mc")
        or "\U000e0020" <= character <= "\U000e007f"
        or character in "\u200c\u0e33\u0eb3\uff9e\uff9f"
    )


def _prepends(character: str) -> bool:
    """Signs that belong to the character after them: a virama (it joins consonants), Arabic number signs."""
    return character >= "\u0600" and (
        unicodedata.combining(character) == 9
        or (unicodedata.category(character) == "Cf" and unicodedata.bidirectional(character) in ("AN", "AL"))
    )


def _one_flag_or_syllable(text: str, at: int) -> bool:
    if _HANGUL.fullmatch(text, at - 1, at + 1):
        whole_syllable = "\uac00" <= text[at] <= "\ud7a3"
        return not whole_syllable or _HANGUL_LEAD.match(text[at - 1]) is not None
    if not _is_flag_letter(text[at]):
        return False
    letters = 0
    while letters < at and _is_flag_letter(text[at - 1 - letters]):
        letters += 1
    return letters % 2 == 1


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def last_cut(text: str, start: int, end: int) -> int:
    """The last place in (start, end] where text may be cut; `end` itself where there is none nearby."""
    piece = text[start : end + 1]
    size = end - start
    for at in range(size, max(0, size - _LOOK_BACK), -1):
        if may_cut(piece, at):
            return start + at
    return end
