"""What a request wishes for in vLLM's words, and what vLLM raises in ours. Imports vLLM."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from vllm.exceptions import VLLMClientError, VLLMError
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.v1.engine.exceptions import EngineDeadError

from pipeline.engines.ports import ChatRequest
from schemas.errors import EngineDead, EngineFailed, SchemaInvalid

_log: Final = logging.getLogger(__name__)
_SCHEMA: Final = re.compile("schema|grammar|structured", re.IGNORECASE)
_OURS: Final = ("temperature", "max_tokens")
"""Every request says these; the rest is as the model's makers advise, unless the request says otherwise."""


class Sampling:
    """How tokens are chosen."""

    def __init__(self, advised: Mapping[str, Any]) -> None:
        """`advised`: by the model's generation_config.json."""
        self._advised = {name: value for name, value in advised.items() if name not in _OURS}

    def of(self, request: ChatRequest, room: int, *, special: bool) -> SamplingParams:
        """`special`: tokens that are no text are written out, as some families mark calls with them.

        Raises EngineFailed.
        """
        wished = {
            "top_p": request.top_p,
            "presence_penalty": request.presence_penalty,
            "frequency_penalty": request.frequency_penalty,
            "seed": request.seed,
        }
        with in_our_words(held=request.json_schema is not None):
            return SamplingParams(
                **self._advised | {name: value for name, value in wished.items() if value is not None},
                temperature=request.temperature,
                max_tokens=min(request.max_tokens, room),
                stop=list(request.stop),
                output_kind=RequestOutputKind.DELTA,
                skip_special_tokens=not special,
                structured_outputs=None
                if request.json_schema is None
                else StructuredOutputsParams(json=dict(request.json_schema)),
            )


@contextmanager
def in_our_words(*, held: bool = False) -> Iterator[None]:
    """Around calls of vLLM. `held`: the answer is held to a schema, which may be what is refused."""
    try:
        yield
    except EngineDeadError as error:
        raise EngineDead("vLLM has stopped.") from error
    except (VLLMClientError, ValueError) as error:
        if held and _SCHEMA.search(str(error)):
            raise SchemaInvalid(f"vLLM refused: {error}") from error
        raise EngineFailed(f"vLLM refused: {error}") from error
    except VLLMError as error:
        _log.warning("vLLM failed", exc_info=True)
        raise EngineFailed(f"vLLM failed: {error or type(error).__name__}") from error
