"""What a cluster's map says of its servers, also when it is out of date. No I/O."""

from redis.asyncio.connection import ConnectionPool

from pipeline.log.shards import Shards
from pipeline.log.slots import SLOTS, SlotMap

A, B, C = "a:1", "b:1", "c:1"


def mapped(first: str, second: str, *replicas: str) -> SlotMap:
    half = SLOTS // 2
    return SlotMap((first,) * half + (second,) * half, frozenset(replicas))


def known(shards: Shards) -> set[str]:
    return {address for address in (A, B, C) if shards.node(address).known}


def opened(found: SlotMap) -> Shards:
    """A cluster of which everybody has been greeted."""
    shards = Shards([A], lambda _: ConnectionPool())
    shards._adopt(found)
    for address in (A, B, C):
        shards.node(address).greeted(shards.node(address).state)
    return shards


def test_a_new_primary_is_promoted_also_where_nobody_knew_it_as_a_replica() -> None:
    for replicas in ((), (C,)):
        shards = opened(mapped(A, B, *replicas))
        shards._adopt(mapped(A, C))
        assert (known(shards), shards.node(C).promotions) == ({A, B}, 1)
        shards._adopt(mapped(A, C))
        assert shards.node(C).promotions == 1


def test_a_redirection_promotes_at_once_and_again_when_all_slots_are_known() -> None:
    shards = opened(mapped(A, B))
    shards._adopt(mapped(A, B))  # whom we asked has not heard of it
    shards.move({SLOTS - 1: C})
    assert (known(shards), shards.node(C).promotions) == ({A, B}, 1)
    shards.node(C).greeted(shards.node(C).state)
    shards.move({SLOTS - 2: C})
    assert known(shards) == {A, B, C}
    shards._adopt(mapped(A, C))
    assert (known(shards), shards.node(C).promotions) == ({A, B}, 2)


def test_what_happens_during_a_greeting_calls_for_another_one() -> None:
    shards = opened(mapped(A, B))
    node = shards.node(C)
    begun = node.state
    shards._adopt(mapped(A, C))
    node.greeted(begun)
    assert not node.known
    begun = node.state
    node.server.breaks += 1
    node.greeted(begun)
    assert not node.known
    node.greeted(node.state)
    assert node.known
