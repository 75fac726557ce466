"""Where the time of an answer went, as the engines saw it: the same look at every system. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

Marks = Mapping[str, Sequence[tuple[float, float]]]
"""Engine (as in houses.KINDS) to pairs: when a request came, and when it had its first answer."""
STAGES: Final = (
    "speech at the ears",
    "text from the ears",
    "question at the model",
    "first word",
    "text at the voice",
    "first sound",
)


def stages(marks: Marks, asked_s: float) -> dict[str, float]:
    """Milliseconds since the question, of what led to the first sound. Empty: other engines were at work."""
    voice = min(marks["speech"], default=None)
    if voice is None:
        return {}
    found = {"text at the voice": voice[0], "first sound": voice[1]}
    model = max((mark for mark in marks["chat"] if mark[1] <= voice[0]), default=None)
    if model is not None:
        found |= {"question at the model": model[0], "first word": model[1]}
        ears = max((mark for mark in marks["ears"] if mark[1] <= model[0]), default=None)
        if ears is not None:
            found |= {"speech at the ears": ears[0], "text from the ears": ears[1]}
    return {stage: round((found[stage] - asked_s) * 1_000, 1) for stage in STAGES if stage in found}
