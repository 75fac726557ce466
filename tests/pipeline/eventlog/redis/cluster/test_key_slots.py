"""A command's key decides its slot; some commands are sent again after an error."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.eventlog.redis.cluster.hash_slots import (
    SLOTS,
    SlotMap,
    completed,
    everyone_of,
    from_slot_on,
    slot_of,
    slot_of_command,
)
from pipeline.eventlog.redis.codec import Keys
from pipeline.eventlog.redis.failover import FailoverHold
from schemas.ids import Seq, new_session_id


def test_every_key_of_a_session_has_the_slot_of_its_partition() -> None:
    keys, session = Keys(64), new_session_id()
    names = (*keys.of(session), keys.lease(session), keys.beside(keys.partition(session), "limit:a:turns"))
    assert {slot_of(name) for name in names} == {slot_of(keys.triggers(keys.partition(session)))}


def test_the_key_is_found_wherever_a_command_has_it() -> None:
    slot = slot_of("k")
    for command in (
        ("HGET", "k", "f"),
        ("FCALL", "ev2_append", 1, "k", "x"),
        ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">"),
        ("XINFO", "GROUPS", "k"),
        ("PUBSUB", "SHARDNUMSUB", "k"),
    ):
        assert slot_of_command(command) == slot


@given(st.lists(st.integers(0, 3), max_size=20), st.data())
def test_every_command_after_trouble_in_its_slot_is_sent_again(slots: list[int], data: st.DataObject) -> None:
    troubled = data.draw(st.sets(st.sampled_from(range(len(slots))))) if slots else set()
    again = list(from_slot_on(slots, troubled))
    assert again == sorted(again)
    for place, slot in enumerate(slots):
        earlier = any(before <= place and slots[before] == slot for before in troubled)
        assert (place in again) == earlier


def test_a_server_without_a_name_is_the_one_that_was_asked() -> None:
    node, replica = [b"", 7001, b"id"], [b"10.0.0.2", 7002, b"id"]
    found = SlotMap.parse([[0, 99, node, replica]], "10.0.0.1:7001")
    assert (found.primaries[0], found.primaries[100], found.replicas) == (
        "10.0.0.1:7001",
        "",
        {"10.0.0.2:7002"},
    )
    assert found.with_slot(SLOTS - 1, "a:1").addresses == ["10.0.0.1:7001", "a:1"]
    assert completed(":7003", "10.0.0.1:7001") == "10.0.0.1:7003"


def test_after_a_failover_only_the_old_holder_takes_a_session_that_had_work() -> None:
    grace, busy, idle = FailoverHold(60), new_session_id(), new_session_id()
    grace.taken(busy, "a")
    grace.suspect({busy: Seq(4)})
    assert (grace.may_take(busy, "a"), grace.may_take(busy, "b"), grace.may_take(idle, "b")) == (
        True,
        False,
        True,
    )


def test_replicas_that_are_away_and_dead_primaries_are_servers_as_well() -> None:
    nodes = """\
a :7000@17000,one.example myself,master - 0 0 1 connected 0-16383
b 10.0.0.2:7001@17001,two.example slave,nofailover a 0 0 1 connected
c 10.0.0.3:7002@17002,three.example slave,fail a 0 0 1 disconnected
d 10.0.0.4:7003@17003 master,fail - 0 0 2 disconnected
e 10.0.0.5:7004@17004 handshake - 0 0 0 connected
"""
    slots = [[0, 16383, [b"one.example", 7000, b"a"], [b"two.example", 7001, b"b"]]]
    assert everyone_of(slots, nodes, "one.example:7000") == {
        "one.example:7000",
        "two.example:7001",
        "10.0.0.3:7002",
        "10.0.0.4:7003",
    }
