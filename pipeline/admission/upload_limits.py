"""Files on their way into or out of one process: how many, and how large, of each principal and of all."""

import errno
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from schemas.errors import GatewayBusy
from schemas.errors.access_errors import UploadLimit
from schemas.settings.limit_settings import LimitSettings

_RETRY_S: Final = 5.0


class Arrival:
    """One file, from before its first byte until nobody needs it any more."""

    def __init__(self, arriving: "Arriving", principal: str) -> None:
        self._arriving = arriving
        self._principal = principal
        self.bytes = 0

    def grow(self, count: int) -> None:
        """So many bytes more are about to be kept. Raises GatewayBusy or UploadLimit."""
        self._arriving.reserve(self._principal, count)
        self.bytes += count


class Arriving:
    """Recordings, documents and bundles on their way into this process; another, exports on their way out.

    One thread only.
    """

    def __init__(self, limits: LimitSettings) -> None:
        self._limits = limits
        self._files: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    @contextmanager
    def file(self, principal: str) -> Iterator[Arrival]:
        """Room for one file. Raises GatewayBusy, also in the block where the disk is full, or UploadLimit."""
        limits = self._limits
        if self._files.total() >= limits.inputs:
            raise GatewayBusy(f"this replica takes {limits.inputs} files; try again shortly")
        most = (limits.principal if principal else limits.everybody).uploads
        if most is not None and self._files[principal] >= most:
            fault = f"at most {most} files may be on their way for one principal"
            raise UploadLimit(fault, retry_after_s=_RETRY_S)
        arrival = Arrival(self, principal)
        self._files[principal] += 1
        try:
            yield arrival
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise GatewayBusy("the disk for files on their way is full; try again later") from error
        finally:
            self._files -= Counter({principal: 1})  # principals without any are forgotten
            self._bytes -= Counter({principal: arrival.bytes})

    def reserve(self, principal: str, count: int) -> None:
        """Raises GatewayBusy or UploadLimit, and then nothing is reserved."""
        limits = self._limits
        if self._bytes.total() + count > limits.arriving_bytes:
            raise GatewayBusy("the files on their way fill the disk that is there for them; try again")
        most = (limits.principal if principal else limits.everybody).arriving_bytes
        if most is not None and self._bytes[principal] + count > most:
            raise UploadLimit(
                f"the files on their way for one principal may have {most} bytes", retry_after_s=_RETRY_S
            )
        self._bytes[principal] += count
