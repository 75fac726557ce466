"""Declined ordinals of dates, centuries and rulers, and hours of a clock, by language."""

from collections.abc import Mapping
from typing import Final

from pipeline.tts.normalisation.inflected import polish, russian, turkish
from pipeline.tts.normalisation.inflected.inflection import Inflection

__all__ = ["INFLECTIONS", "Inflection"]

INFLECTIONS: Final[Mapping[str, Inflection]] = {
    "pl": polish.INFLECTION,
    "ru": russian.INFLECTION,
    "tr": turkish.INFLECTION,
}
