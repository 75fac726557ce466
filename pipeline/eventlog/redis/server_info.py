"""What a server says of itself (INFO)."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.errors import LogError


def fields(info: object) -> Mapping[str, str]:
    """By name; nothing where it may not be asked."""
    if not isinstance(info, bytes):
        return {}
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon}


@dataclass(frozen=True, slots=True)
class Durability:
    """Settings of a log server that decide whether acknowledged events can be lost.

    Read from INFO (sections memory and persistence), so no right to use CONFIG is needed. What the server
    does not say is None, and is no reason for a warning.
    """

    eviction_policy: str | None = None
    """`maxmemory-policy`."""
    append_only: bool | None = None
    """`appendonly`."""

    @classmethod
    def read(cls, info: object) -> "Durability":
        """`info`: the reply to INFO as bytes, or as the mapping that redis-py makes of it."""
        said = info if isinstance(info, Mapping) else fields(info)
        append_only = said.get("aof_enabled")
        return cls(
            eviction_policy=said.get("maxmemory_policy") or None,
            append_only=None if append_only is None else str(append_only) == "1",
        )

    @property
    def evicts_events(self) -> bool:
        """The server drops events that are nowhere else when its memory is full.

        Only what was archived may expire, so the policies `volatile-*` and `noeviction` drop nothing else.
        """
        return (self.eviction_policy or "").startswith("allkeys")

    @property
    def forgets(self) -> bool:
        """Events are lost when the server ends."""
        return self.append_only is False

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each setting that loses events, with what to do about it."""
        found = []
        if self.evicts_events:
            found.append(
                "The log server drops events when its memory is full "
                f"(maxmemory-policy {self.eviction_policy}): set maxmemory-policy volatile-ttl."
            )
        if self.forgets:
            found.append(
                "The log server forgets all events when it ends (appendonly no): set appendonly yes."
            )
        return tuple(found)


def run_id(info: object) -> bytes:
    """Of INFO server: another one after every start of a server. b"" where it may not be asked."""
    return fields(info).get("run_id", "").encode()


def check_mode(info: object) -> None:
    """Raises LogError where the server is not of the kind that this log is for."""
    if isinstance(info, bytes):
        if b"mode:cluster" in info:
            raise LogError("The log server is a node of a Redis Cluster: set log.mode to cluster.")
        if b"mode:sentinel" in info:
            raise LogError("This is a sentinel, no log server: set log.mode to sentinel, and log.sentinels.")
