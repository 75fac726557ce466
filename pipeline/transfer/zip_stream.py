"""A ZIP file made while it is being sent: bounded memory, the same bytes for the same content."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final, cast

_WHEN: Final = (1980, 1, 1, 0, 0, 0)
"""ZIP's zero: a bundle does not say when it was made."""


class _Sink:
    """Takes what zipfile writes. It cannot seek, so the sizes of each file follow its data."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ZipStream:
    """Write files one after another, and take what is ready in between."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w", allowZip64=True)

    @contextmanager
    def file(self, name: str, *, packed: bool) -> Iterator[IO[bytes]]:
        """`packed`: worth compressing."""
        info = zipfile.ZipInfo(name, _WHEN)
        info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        info.external_attr = 0o600 << 16
        with self._zip.open(info, "w", force_zip64=True) as out:
            yield out

    def put(self, name: str, data: bytes) -> None:
        """A small file."""
        with self.file(name, packed=True) as out:
            out.write(data)

    def take(self) -> bytes:
        """The bytes that nobody has taken yet."""
        return self._sink.take()

    def finish(self) -> bytes:
        """The directory at the end."""
        self._zip.close()
        return self._sink.take()
