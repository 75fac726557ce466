"""Asking one after the other, until somebody does it."""

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

from schemas.errors import EngineError

_logger = logging.getLogger(__name__)
Item = TypeVar("Item")
Verdict = Callable[[str, EngineError, Sequence[str]], EngineError]
"""(who failed last, how, what all of them said) to the error that comes out."""


async def in_order(
    names: Sequence[str], ask: Callable[[str], AsyncGenerator[Item, None]], verdict: Verdict
) -> AsyncGenerator[Item, None]:
    """What the first of `names` gives that gives anything: the next is asked only while nothing came."""
    reasons: list[str] = []
    for name in names:
        heard = False
        try:
            async with aclosing(ask(name)) as items:
                async for item in items:
                    heard = True
                    yield item
        except EngineError as error:
            reasons.append(str(error))
            if heard or name == names[-1]:
                raise verdict(name, error, reasons) from error
            _logger.warning("%s", error)
        else:
            return
