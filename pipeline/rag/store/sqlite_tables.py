"""The tables of the embedded store, and its connections."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Final

from pipeline.core.private_files import make_file, make_folder
from pipeline.rag.store.passage_store import unusable
from schemas.errors.retrieval_errors import RetrievalUnavailable

VERSION: Final = 1
FORGETS_WORDS: Final = sqlite3.sqlite_version_info >= (3, 42)
"""Whether FTS5 can take a deleted row's words out of its index; else it only notes that they are gone."""
_TABLES: Final = """
CREATE TABLE collections (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    embedding TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE documents (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collections ON DELETE CASCADE,
    id TEXT NOT NULL,
    view TEXT NOT NULL,
    text TEXT NOT NULL,
    judge TEXT NOT NULL,
    UNIQUE (collection, id)
) STRICT;
CREATE TABLE chunks (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    "start" INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    page INTEGER,
    headings TEXT NOT NULL,
    text TEXT NOT NULL,
    vector BLOB NOT NULL,
    judged BLOB
) STRICT;
CREATE INDEX chunks_of_document ON chunks (document);
CREATE VIRTUAL TABLE words USING fts5 (terms, tokenize = "unicode61 remove_diacritics 0");
"""

_INSTANCES: Final = "CREATE VIRTUAL TABLE temp.instances USING fts5vocab('main', 'words', 'instance')"
"""Which words are in which passages; a view of `words` that each connection has for itself."""


class Connections:
    """A few open connections to one file, lent to one thread at a time."""

    def __init__(self, path: Path, most: int, busy_s: float) -> None:
        self._path = path
        self._busy_s = busy_s
        self._most = most
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue(most)
        self._prepared = threading.Lock()
        self._ready = False

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the store for the whole block, whatever others write."""
        with self._lent() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All of the block, or nothing; one writer at a time, also among processes."""
        with self._lent() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def scrub(self, *, words: bool) -> bool:
        """Empty the write-ahead log, which still has what was deleted. False: somebody was reading too long.

        `words`: write the index of words anew, too, where this SQLite leaves deleted words in it.
        """
        with self._lent() as connection:
            if words and not FORGETS_WORDS:
                connection.execute("INSERT INTO words (words) VALUES ('optimize')")
            with closing(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")) as cursor:
                busy, *_ = cursor.fetchone()
        return not busy

    def close(self) -> None:
        """SQLite empties the write-ahead log when the last connection of all processes closes."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    @contextmanager
    def _lent(self) -> Iterator[sqlite3.Connection]:
        try:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                connection = self._open()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            if self._idle.full():
                connection.close()
            else:
                self._idle.put_nowait(connection)
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            raise unusable(error) from error

    def _open(self) -> sqlite3.Connection:
        with self._prepared:
            if not self._ready:
                self._make_file()
            connection = sqlite3.connect(
                self._path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA secure_delete = ON")  # deleted rows are overwritten
                if not self._ready:
                    _make_tables(connection)
                    self._ready = True
                connection.execute(_INSTANCES)
            except BaseException:
                connection.close()
                raise
            return connection

    def _make_file(self) -> None:
        """SQLite gives the files beside it the same mode."""
        try:
            make_folder(self._path.parent)
            make_file(self._path)
        except OSError as error:
            raise unusable(error) from error


def _check(version: int) -> None:
    if version not in (0, VERSION):
        raise RetrievalUnavailable(
            f"The documents' store is of version {version}, this server's is {VERSION}."
        )


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # Several processes may come first at the same time.
    try:
        with closing(connection.execute("PRAGMA user_version")) as cursor:
            (version,) = cursor.fetchone()
        _check(version)
        if version == 0:
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
        if FORGETS_WORDS:
            connection.execute("INSERT INTO words (words, rank) VALUES ('secure-delete', 1)")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
