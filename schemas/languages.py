"""Languages as BCP 47 tags."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Final

from langcodes import standardize_tag, tag_is_valid
from pydantic import AfterValidator, Field

UNDETERMINED: Final = "und"
AUTO: Final = "auto"
ANY: Final = "*"
"""In a list of languages: every language."""
LANGUAGE_NAMES: Final[Mapping[str, str]] = {
    **{"en": "english", "de": "german", "fr": "french", "es": "spanish", "it": "italian", "pt": "portuguese"},
    **{"nl": "dutch", "pl": "polish", "ru": "russian", "uk": "ukrainian", "tr": "turkish", "sv": "swedish"},
    **{"da": "danish", "no": "norwegian", "fi": "finnish", "cs": "czech", "el": "greek", "hu": "hungarian"},
    **{"ja": "japanese", "zh": "chinese", "ko": "korean", "ar": "arabic", "hi": "hindi", "he": "hebrew"},
}
"""As Whisper calls them; others by their code."""
_ALIASES: Final = {"nb": "no", "nn": "no", "cmn": "zh", "fil": "tl", "arb": "ar", "pes": "fa", "swh": "sw"}
"""Languages that speech models name by either tag."""


_NO_LANGUAGES: Final = frozenset((UNDETERMINED, "mul", "mis", "zxx", "x", "root"))


def is_language(tag: str) -> bool:
    """Whether a text is a tag of BCP 47 for a language, with registered subtags."""
    return primary(tag) not in _NO_LANGUAGES and tag_is_valid(tag)


def _registered(tag: str) -> str:
    if not is_language(tag):
        raise ValueError("is no language: give a tag of BCP 47, as en, pt-BR or zh-Hant")
    return standardize_tag(tag)


LanguageTag = Annotated[str, Field(min_length=2, max_length=35), AfterValidator(_registered)]
"""As "en" or "pt-BR": its subtags are registered, and it is written in the usual way."""


def _registered_or_auto(tag: str) -> str:
    return tag if tag == AUTO else _registered(tag)


LanguageChoice = Annotated[str, Field(min_length=2, max_length=35), AfterValidator(_registered_or_auto)]
"""`auto`: it is found out, of a question by its text or by speech to text."""


def language_tag(name: str) -> str:
    """The tag of a language as a speech model names it, "en-US" for "en_us", "zh" for "cmn-latn-pinyin"."""
    return standardize_tag(name) if tag_is_valid(name) else primary(name)


def primary(tag: str) -> str:
    """The language that a tag is about, whatever its script and region: "pt" of "pt-BR"."""
    language = tag.replace("_", "-").partition("-")[0].lower()
    return _ALIASES.get(language, language)


def speaks(languages: Iterable[str], language: str) -> bool:
    """Whether one of these tags is about `language`; `ANY` is about every one."""
    wanted = primary(language)
    return any(known == ANY or primary(known) == wanted for known in languages)


def language_name(tag: str) -> str:
    """For a sentence: "Chinese (zh)", or the tag alone."""
    if tag == UNDETERMINED:
        return "the language of this sentence"
    name = LANGUAGE_NAMES.get(primary(tag))
    return f"{name.title()} ({tag})" if name else f'the language "{tag}"'
