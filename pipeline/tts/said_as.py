"""Reads characters and digits one by one, numbers by their kind, and emoji by name."""

from collections.abc import Iterator

from pipeline.tts.normalisation.cldr import has_number_words, in_words

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
