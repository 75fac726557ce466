"""Slots of a cluster's keys: the argument of a command that is its key, and the server of that key's slot."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from pipeline.eventlog.redis.server import Command

SLOTS: Final = REDIS_CLUSTER_HASH_SLOTS
ANYWHERE: Final = -1
"""The slot of commands without a key."""
_KEY_AT: Final = {"FCALL": 3, "FCALL_RO": 3, "XINFO": 2, "PUBSUB": 2, "ZUNION": 2}


def slot_of(key: str | bytes) -> int:
    return int(key_slot(key.encode() if isinstance(key, str) else key))


def slot_of_command(command: Command) -> int:
    """All of a command's keys have one slot: the first tells."""
    name = str(command[0])
    if name == "PING":
        return ANYWHERE
    if name == "TIME":
        return 0  # one clock for all who ask
    if name in ("XREAD", "XREADGROUP"):
        return slot_of(_text(command[command.index("STREAMS") + 1]))
    return slot_of(_text(command[_KEY_AT.get(name, 1)]))


def _text(argument: object) -> str | bytes:
    return argument if isinstance(argument, bytes) else str(argument)


@dataclass(frozen=True, slots=True)
class SlotMap:
    """The primary of each slot as "host:port"; "" where there is none."""

    primaries: tuple[str, ...]
    replicas: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, reply: Sequence[Sequence[Any]], asked: str) -> "SlotMap":
        """The reply of CLUSTER SLOTS; a server that does not know its own name is the one `asked`."""
        primaries = [""] * SLOTS
        replicas = set()
        for first, last, primary, *others in reply:
            primaries[first : last + 1] = [_address(primary, asked)] * (last + 1 - first)
            replicas |= {_address(other, asked) for other in others}
        return cls(tuple(primaries), frozenset(replicas))

    def with_slot(self, slot: int, address: str) -> "SlotMap":
        return SlotMap((*self.primaries[:slot], address, *self.primaries[slot + 1 :]), self.replicas)

    @property
    def addresses(self) -> list[str]:
        return sorted({address for address in self.primaries if address})

    @property
    def whole(self) -> bool:
        return "" not in self.primaries


def _address(node: Sequence[Any], asked: str) -> str:
    host = (node[0] or b"").decode()
    if host in ("", "?"):
        host = asked.rpartition(":")[0]
    return f"{host}:{node[1]}"


def everyone_of(slots: Sequence[Sequence[Any]], nodes: str, asked: str) -> set[str]:
    """The addresses of all servers, by the replies of CLUSTER SLOTS and CLUSTER NODES of the one `asked`.

    The first has the names that clients shall use, but not those of replicas that are away or new.
    """
    lines = [line.split() for line in nodes.splitlines() if line]
    found = {
        word[0]: completed(word[1].partition("@")[0], asked) for word in lines if "handshake" not in word[2]
    }
    for _, _, *servers in slots:
        found |= {server[2].decode(): _address(server, asked) for server in servers}
    return set(found.values())


def completed(address: str, asked: str) -> str:
    """The address in a redirection; without a host it means the server that was `asked`."""
    host, _, port = address.rpartition(":")
    return address if host else f"{asked.rpartition(':')[0]}:{port}"


def from_slot_on(slots: Sequence[int], troubled: Iterable[int]) -> Iterator[int]:
    """The places to be sent again: those in trouble, and whatever came after one of them in its slot."""
    bad = set(troubled)
    slots_in_trouble: set[int] = set()
    for place, slot in enumerate(slots):
        if place in bad or slot in slots_in_trouble:
            slots_in_trouble.add(slot)
            yield place
