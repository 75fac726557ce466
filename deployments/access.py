"""Who asks, and whether they may: the one place where a request gets its principal."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from schemas.principals import NOBODY, Principal


def principal_of(connection: HTTPConnection) -> Principal:
    """Raises Unauthenticated."""
    return NOBODY


Caller = Annotated[Principal, Depends(principal_of)]


def owns(caller: Principal, principal: str) -> bool:
    """Whether what belongs to `principal` is there for this caller."""
    return caller.admin or caller.name == principal
