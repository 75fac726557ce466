"""The archive's storage: folders of sessions on anything that fsspec knows. Never on the event loop."""

import errno
import os
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import fsspec
from fsspec.core import url_to_fs

from pipeline.core.private_files import make_folder, opener
from pipeline.eventlog.archive.segments import TAIL_BYTES as TAIL
from pipeline.eventlog.archive.segments import Footer, Kind, SegmentName, footer_size, parse_footer
from schemas.errors import ArchiveUnavailable, RhapsodeError
from schemas.ids import SessionId, created_ms, parse_session_id
from schemas.settings import ArchiveSettings

THREADS: Final = 8
"""Files that one process reads or writes at a time; one more waits."""
_PART: Final = ".part-"
_ERASURES: Final = 20
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_WITH_FOLDERS: Final = frozenset({"sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs", "webdav"})
"""Elsewhere a folder that is missing would be a bucket, and making one is not ours to do."""
T = TypeVar("T")


def folder_of(session: SessionId) -> str:
    """Path of a session's files below the root; it follows from the date in the session's id."""
    day = datetime.fromtimestamp(created_ms(session) / 1_000, UTC)
    return f"date={day:%Y-%m-%d}/{session}"


class ArchiveStore:
    """Files of sessions. A file is whole or not there; FileNotFoundError says that it is not.

    Everything else that goes wrong is ArchiveUnavailable.
    """

    def __init__(self, settings: ArchiveSettings, home: Path) -> None:
        self.url = settings.url or f"file://{(home / 'archive').expanduser().absolute()}"
        self._options: Mapping[str, Any] = settings.options
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._opened: tuple[Any, str] | None = None

    async def segments(self, session: SessionId) -> list[SegmentName]:
        """The session's segments, in order."""
        found = await self._do(self._files, session)
        return sorted(name for file in found if (name := SegmentName.parse(file)))

    async def files(self, session: SessionId) -> list[str]:
        """Names of all files in the session's folder, unfinished ones too."""
        return await self._do(self._files, session)

    async def footer(self, session: SessionId, name: SegmentName, kind: Kind) -> Footer:
        """The header of a segment."""
        tail = await self._do(self._tail, self._path(session, name.file(kind)))
        return parse_footer(tail)

    async def read(
        self, session: SessionId, file: str, start: int | None = None, end: int | None = None
    ) -> bytes:
        return await self._do(self._read, self._path(session, file), start, end)

    async def write(self, session: SessionId, file: str, data: bytes, until_s: float = inf) -> None:
        """The file is on disk, under its name and with all of its bytes, when this returns.

        Raises ArchiveUnavailable, and writes nothing, where it is later than `until_s` (`now_s`).
        """
        await self.put_note(self._path(session, file), data, until_s)

    async def remove(self, session: SessionId, *files: str, until_s: float = inf) -> bool:
        """Some may be gone already. False: not all are, since it is later than `until_s` (`now_s`)."""
        return await self._do(self._remove, [self._path(session, file) for file in files], until_s)

    async def erase(self, session: SessionId) -> int:
        """Remove the session's folder with all that is in it; the number of files that were there."""
        return await self._do(self._erase, session)

    async def put_note(self, path: str, data: bytes, until_s: float = inf) -> None:
        """A file about no session, `path` below the root. `until_s`: as `write`."""
        try:
            await self._do(self._write, path, data, until_s)
        except FileNotFoundError as error:
            raise ArchiveUnavailable(f"there is no place for the archive: {error}") from error

    async def sessions(self) -> AsyncGenerator[SessionId, None]:
        """Every session that has a folder, day by day. For audits: on large archives this takes its time."""
        for day in await self._do(self._list, ""):
            if day.startswith("date="):
                for name in await self._do(self._list, day):
                    if session := parse_session_id(name):
                        yield session

    def _path(self, session: SessionId, file: str) -> str:
        return f"{folder_of(session)}/{file}"

    async def _do(self, work: Callable[..., T], *args: Any) -> T:
        """`work` in a thread. A write under way is not abandoned: its outcome must be known."""
        try:
            return await anyio.to_thread.run_sync(partial(work, *args), limiter=self._limiter)
        except (FileNotFoundError, RhapsodeError):
            raise
        except Exception as error:  # every driver has exceptions of its own
            raise ArchiveUnavailable(f"the archive does not answer: {error}") from error

    # ------------------------------------------------------------ in a thread

    def _open(self, path: str = "") -> tuple[Any, str]:
        """The driver, imported and connected on first use, and the full name of `path`."""
        if self._opened is None:
            self._opened = url_to_fs(self.url, **self._options)
        fs, root = self._opened
        return fs, f"{root.rstrip('/')}/{path}".rstrip("/")

    def _list(self, path: str) -> list[str]:
        fs, full = self._open(path)
        fs.invalidate_cache(full)
        try:
            return sorted(str(entry).rstrip("/").rpartition("/")[2] for entry in fs.ls(full, detail=False))
        except FileNotFoundError:
            return []

    def _files(self, session: SessionId) -> list[str]:
        return self._list(folder_of(session))

    def _read(self, path: str, start: int | None, end: int | None) -> bytes:
        fs, full = self._open(path)
        data: bytes = fs.cat_file(full, start=start, end=end)
        return data

    def _tail(self, path: str) -> bytes:
        fs, full = self._open(path)
        fs.invalidate_cache(full)
        size = fs.size(full)
        tail = self._read(path, max(0, size - TAIL), size)
        if (needed := footer_size(tail)) > TAIL:
            tail = self._read(path, max(0, size - needed), size)
        return tail

    def _write(self, path: str, data: bytes, until_s: float) -> None:
        fs, full = self._open(path)
        if isinstance(fs, fsspec.get_filesystem_class("file")):
            _write_file(Path(full), data, until_s)
            return
        # Object stores show an object when it is whole, and never before.
        if self.url.partition(":")[0] in _WITH_FOLDERS:
            fs.makedirs(full.rpartition("/")[0], exist_ok=True)
        _check_time(until_s)
        fs.pipe_file(full, data)

    def _remove(self, paths: list[str], until_s: float) -> bool:
        for path in paths:
            fs, full = self._open(path)
            if now_s() > until_s:
                return False
            try:
                fs.rm_file(full)
            except FileNotFoundError:
                continue
        return True

    def _erase(self, session: SessionId) -> int:
        found = self._files(session)
        fs, full = self._open(folder_of(session))
        for _ in range(_ERASURES):
            try:
                if self._files(session) or fs.exists(full):
                    fs.rm(full, recursive=True)
            except OSError as error:  # an archiver adds files and takes some away
                if not isinstance(error, FileNotFoundError) and error.errno != errno.ENOTEMPTY:
                    raise
            else:
                return len(found)
        raise ArchiveUnavailable("another process keeps writing where a session is to be erased")


def now_s() -> float:
    """Seconds that go on while the process is frozen or the machine sleeps."""
    return time.clock_gettime(_CLOCK)


def is_part(file: str) -> bool:
    """A file that nobody finished, or somebody is writing now."""
    return file.startswith(_PART)


def _check_time(until_s: float) -> None:
    """A process that was frozen must not write what is not its own to write any more."""
    if now_s() > until_s:
        raise ArchiveUnavailable("it is too late to write this file: its lease has ended")


def _write_file(path: Path, data: bytes, until_s: float) -> None:
    """Written aside, forced to disk, then given its name; the name is forced to disk as well."""
    _check_time(until_s)
    make_folder(path.parent)
    part = path.with_name(f"{_PART}{secrets.token_hex(6)}")
    try:
        with open(part, "xb", opener=opener) as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        _check_time(until_s)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    for folder in _up_to_root(path):
        _sync_folder(folder)


def _up_to_root(path: Path) -> Iterator[Path]:
    """The folders whose entries may be new: the session's, the day's and the root."""
    yield from list(path.parents)[:3]


def _sync_folder(folder: Path) -> None:
    entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)
