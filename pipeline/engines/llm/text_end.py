"""The end of a turn in its text: the packaged language model says how likely the text ends where it does."""

import math
from pathlib import Path
from typing import Any, Final

from pipeline.engines.llm.llama_cpp import load
from pipeline.engines.model_files import language_model_file
from pipeline.engines.own_thread import OwnThread
from pipeline.engines.slots import Slots
from pipeline.engines.weights.prepared_folders import UnusableWeights
from schemas.errors import EngineFailed
from schemas.settings import LanguageModelSettings

_WAITING: Final = 2
"""An answer that comes later than this many others would come after the silence is over."""
_WORDS: Final = 24
"""So many of the last words are read; each costs 4 ms of one core and more."""
_CHARS: Final = 400
_BEGINNING: Final = "<|im_start|>user\n"
_ENDS: Final = (".", "?", "!")
_LIKELIEST: Final = 200
"""So many tokens are looked at; the others hold less than a hundredth."""
_SETTINGS: Final = LanguageModelSettings(slots=1, context_tokens=512, threads=1)


class TextEnd:
    """One question at a time, one core at most: some 60 to 180 ms of it for each (docs/measurements.md).

    LiveKit's turn detector asks a fine-tuned model for the probability of the token that ends a message; this
    one asks an untuned one, and counts the full stop, the question mark and the line's end, too.
    """

    def __init__(self, cache: Path) -> None:
        """`cache`: of the prepared weights. The model is loaded, in some seconds, when it is first asked."""
        self._cache = cache
        self._slots = Slots(1, waiting=_WAITING)
        self._thread = OwnThread("text-end")
        self._model: Any = None
        self._broken: EngineFailed | None = None

    async def end_of_text(self, text: str) -> float:
        async with self._slots.take():
            return await self._thread.do(self._answer, text)

    def _answer(self, text: str) -> float:
        if self._broken is not None:
            raise self._broken
        plain = text[-_CHARS:].encode("utf-8", "replace").decode().replace("<|", " ")
        words = plain.rstrip(" .?!,;:…").split()[-_WORDS:]
        if not words:
            return 0.0
        try:
            if self._model is None:
                self._model = load(language_model_file(_SETTINGS, self._cache), _SETTINGS)
            said = " ".join(words)
            return _probability(self._model, said[0].upper() + said[1:])
        except UnusableWeights as error:  # each pause of each speaker would try again
            self._broken = EngineFailed(str(error))
            raise self._broken from error

    async def aclose(self) -> None:
        await self._thread.aclose()
        self._model = None


def _probability(model: Any, text: str) -> float:
    """Sum of the probabilities of the tokens that end a sentence or a message. Raises EngineFailed."""
    answers: list[Any] = []

    def keep(answer: Any) -> bool:
        answers.append(answer)
        return False  # True would stop it

    request = {"prompt": _BEGINNING + text, "n_predict": 1, "n_probs": _LIKELIEST, "temperature": 0.0}
    try:
        model.handle_completions(request, keep)
        tokens = answers[-1]["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return min(1.0, sum(math.exp(each["logprob"]) for each in tokens if _ends(each["token"])))
    except (KeyError, IndexError, TypeError, RuntimeError) as error:
        raise EngineFailed(f"The model of the end of a text failed: {type(error).__name__}") from error


def _ends(token: str) -> bool:
    return not token or token.startswith("<|") or "\n" in token or token.strip().startswith(_ENDS)
