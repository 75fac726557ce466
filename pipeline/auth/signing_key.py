"""The secret that signs our tokens, for all processes of one home: made once, by whoever comes first."""

import os
import secrets
from pathlib import Path
from typing import Final

_BYTES: Final = 48


def own_secret(home: Path) -> str:
    """The secret of this home. It appears whole or not at all, so that all processes see the same."""
    place = home / "secret"
    if not place.exists():
        _make(place)
    return place.read_text(encoding="ascii")


def _make(place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = place.with_name(f"{place.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(secrets.token_urlsafe(_BYTES))
        os.link(fresh, place)
    except FileExistsError:
        return  # somebody was quicker: theirs it is
    finally:
        fresh.unlink()
