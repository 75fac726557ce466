"""A wrong bundle is refused, and nothing is left of it."""

import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.faces.native import transfer_routes
from pipeline.eventlog.tiered_log import TieredLog
from pipeline.transfer import bundle_reader
from pipeline.transfer.bundle_reader import ReadBundle
from schemas.errors import BundleTooLarge
from schemas.ids import Seq, SessionId
from tests.support.clients.native_client import Heard
from tests.support.eventlog.bundles import (
    EVENTS,
    LIMIT,
    MANIFEST,
    PACKETS,
    Files,
    exported,
    imported,
    unzip,
    with_events,
    with_manifest,
    with_sound,
    zipped,
)
from tests.support.running_app import RunningApp

pytestmark = pytest.mark.anyio


async def live_sessions(log: TieredLog) -> set[SessionId]:
    return {
        session
        async for page in log.archival.statuses()
        for session, standing in page
        if standing.state != "deleted"
    }


def rename(files: Files, name: str) -> Files:
    return files | {name: b"x"}


def twice(files: Files) -> bytes:
    out = io.BytesIO(zipped(files))
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(out, "a") as bundle:
        bundle.writestr(MANIFEST, files[MANIFEST])
    return out.getvalue()


def misplaced(files: Files) -> bytes:
    """Nine bytes of the first file are missing: all others are where they say, and it begins at -9."""
    bundle = bytearray(zipped(files))
    del bundle[60:69]
    return bytes(bundle)


def misnamed(files: Files) -> bytes:
    """The first name in the list of files is said to be UTF-8, and begins with a byte that is not."""
    bundle = bytearray(zipped(files))
    record = bundle.index(b"PK\x01\x02")
    bundle[record + 9] |= 0x08
    bundle[record + 46] = 0xFF
    return bytes(bundle)


def shouted(event: dict[str, Any]) -> None:
    event["data"]["text"] = "Louder!"


def first_delta(events: list[dict[str, Any]]) -> dict[str, Any]:
    return next(event for event in events if ".text.delta." in event["type"])


def moved(kind: str, at_ms: int) -> Callable[[list[dict[str, Any]]], None]:
    """The first such event says that it is elsewhere in the sound of its answer."""
    return lambda events: next(e for e in events if kind in e["type"])["data"].update(at_ms=at_ms)


def first_words(events: list[dict[str, Any]]) -> list[dict[str, int]]:
    words: list[dict[str, int]] = next(e for e in events if ".sentence.voiced." in e["type"])["data"]["words"]
    return words


def made(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Data of the first sentence that is complete."""
    data: dict[str, Any] = next(e for e in events if ".sentence.completed." in e["type"])["data"]
    return data


def repeated(events: list[dict[str, Any]]) -> None:
    """The second piece of a sentence says that it is the first."""
    second = next(event for event in events if ".audio.chunk." in event["type"] and event["data"]["chunk"])
    second["data"]["chunk"] = 0


def said_again(events: list[dict[str, Any]]) -> None:
    """The second sentence begins where the first one does."""
    first, second, *_ = [event["data"] for event in events if ".sentence.ready." in event["type"]]
    second["start"] = first["start"]


def unasked(events: list[dict[str, Any]]) -> None:
    """The first words of an answer are those of a turn that is not there."""
    first_delta(events)["subject"] = "turn/9999"


def going_on(events: list[dict[str, Any]]) -> None:
    """More is written of an answer that is over."""
    n = len(events) + 1
    delta = first_delta(events)
    events.append(delta | {"id": delta["id"].rpartition("/")[0] + f"/{n}", "sequence": f"{n:010}"})


def called_before(events: list[dict[str, Any]]) -> None:
    """A function is called before the first character of the answer."""
    call = {"call": "a", "name": "look", "arguments": "{}", "place": "client", "at": -1}
    first_delta(events).update(type="dev.rhapsode.tool.called.v1", data=call)


def first_sound(events: list[dict[str, Any]]) -> dict[str, Any]:
    return next(event for event in events if "audioref" in event)


def with_event(files: Files, kind: str, data: dict[str, Any]) -> Files:
    """An event of this type follows the last one."""

    def add(events: list[dict[str, Any]]) -> None:
        n = len(events) + 1
        where = {"id": events[0]["id"].rpartition("/")[0] + f"/{n}", "sequence": f"{n:010}"}
        events.append(events[0] | where | {"type": f"dev.rhapsode.{kind}.v1", "data": data})

    return with_events(files, add)


def waiting(events: list[dict[str, Any]]) -> None:
    """More turns than any session lets wait."""
    asked = next(event for event in events if ".turn.requested." in event["type"])
    for n in range(len(events) + 1, len(events) + 102):
        events.append(asked | {"id": asked["id"].rpartition("/")[0] + f"/{n}", "sequence": f"{n:010}"})


def swollen(files: Files, count: int, chars: int) -> Files:
    """One turn more, with so many pieces of text, each of one letter: the bundle stays small."""

    def swell(events: list[dict[str, Any]]) -> None:
        turn = len(events) + 1
        asked = next(event for event in events if ".turn.requested." in event["type"])
        said = first_delta(events) | {"subject": f"turn/{turn}", "data": {"at": 0, "text": "x" * chars}}
        said.pop("cause", None)
        for n, event in enumerate([asked, *[said] * count], turn):
            where = {"id": event["id"].rpartition("/")[0] + f"/{n}", "sequence": f"{n:010}"}
            events.append(event | where)

    return with_events(files, swell)


GOLDEN = Path(__file__).parents[2] / "golden"
ITEMS: dict[str, Any] = {
    "an item of no kind": {},
    "an item of another kind": {"type": "picture"},
    "an item of nobody": {"type": "message", "role": "cat", "content": []},
    "an item whose parts are none": {"type": "message", "role": "user", "content": ["Hello"]},
    "an item whose text is none": {"type": "message", "role": "user", "content": [{"text": 5}]},
    "a call of nothing": {"type": "function_call", "call_id": "a", "name": None, "arguments": "{}"},
    "a result without a call": {"type": "function_call_output", "output": "sunny"},
}
_CONFIG: dict[str, Any] = json.loads((GOLDEN / "realtime.configured.v1.json").read_text())["data"]["config"]
_HEARD: dict[str, Any] = _CONFIG["audio"]["input"]
_WAITS: dict[str, Any] = {
    "type": "server_vad",
    **dict.fromkeys(("create_response", "interrupt_response"), True),
    **dict.fromkeys(("threshold", "prefix_padding_ms", "silence_duration_ms"), 1),
    "idle_timeout_ms": "ever",
}
CONFIGS: dict[str, dict[str, Any]] = {
    "of nothing": {},
    "of no kind": _CONFIG | {"type": "picture"},
    "without sound": _CONFIG | {"audio": {}},
    "whose voice is none": _CONFIG | {"audio": _CONFIG["audio"] | {"output": {"voice": 5}}},
    "whose detection is none": _CONFIG
    | {"audio": _CONFIG["audio"] | {"input": _HEARD | {"turn_detection": {"type": "server_vad"}}}},
    "that waits for a word": _CONFIG
    | {"audio": _CONFIG["audio"] | {"input": _HEARD | {"turn_detection": _WAITS}}},
    "whose tools are none": _CONFIG | {"tools": [5]},
    "that answers with a number": _CONFIG | {"output_modalities": 5},
}
INVALID = "bundle.invalid"
HEARD: dict[str, Any] = {"input": "a", "at_ms": 0, "ms": 500, "codec": "opus", "bytes": 0, "sha256": ""}
PLACES: dict[str, dict[str, int]] = {
    "before its beginning": {"at_ms": -(10**6)},
    "that takes time away": {"ms": -(10**6)},
    "that is a day": {"ms": 86_400_000},
}


WRONG: dict[str, tuple[Callable[[Files], bytes], str]] = {
    "no zip": (lambda files: b"PK\x03\x04 and then nothing", "bundle.invalid"),
    "nothing": (lambda files: b"", "bundle.invalid"),
    "cut short": (lambda files: zipped(files)[:-30], "bundle.invalid"),
    "files before its beginning": (misplaced, "bundle.damaged"),
    "a name that is no text": (misnamed, "bundle.invalid"),
    "no manifest": (lambda files: zipped({EVENTS: files[EVENTS], PACKETS: b""}), "bundle.invalid"),
    "no events": (lambda files: zipped({MANIFEST: files[MANIFEST], PACKETS: b""}), "bundle.invalid"),
    "a path up": (lambda files: zipped(rename(files, "../../evil")), "bundle.invalid"),
    "an absolute path": (lambda files: zipped(rename(files, "/etc/passwd")), "bundle.invalid"),
    "a stranger": (lambda files: zipped(rename(files, "run.sh")), "bundle.invalid"),
    "a name twice": (twice, "bundle.invalid"),
    "another format": (lambda files: zipped(with_manifest(files, format="tar")), "bundle.invalid"),
    "a later version": (lambda files: zipped(with_manifest(files, version=2)), "bundle.version"),
    "a foreign id": (lambda files: zipped(with_manifest(files, session="../x")), "bundle.invalid"),
    "another hash": (lambda files: zipped(with_manifest(files, sha256="0" * 64)), "bundle.damaged"),
    "a changed text": (
        lambda files: zipped(files | {EVENTS: files[EVENTS].replace(b" sea", b" tea", 1)}),
        "bundle.damaged",
    ),
    "changed sound": (lambda files: zipped(files | {PACKETS: bytes(len(files[PACKETS]))}), "bundle.invalid"),
    "missing sound": (lambda files: zipped(files | {PACKETS: files[PACKETS][:-9]}), "bundle.damaged"),
    "more sound": (lambda files: zipped(files | {PACKETS: files[PACKETS] + b"!"}), "bundle.damaged"),
    "a gap": (lambda files: zipped(with_events(files, lambda e: e.pop(3))), "bundle.damaged"),
    "a repetition": (lambda files: zipped(with_events(files, lambda e: e.insert(3, e[3]))), "bundle.damaged"),
    "disorder": (lambda files: zipped(with_events(files, lambda e: e.reverse())), "bundle.damaged"),
    "moved sound": (
        lambda files: zipped(
            with_events(files, lambda e: first_sound(e).update(audioref=f"{PACKETS}#bytes=5-9"))
        ),
        "bundle.damaged",
    ),
    "sound elsewhere": (
        lambda files: zipped(
            with_events(files, lambda e: first_sound(e).update(audioref="https://example.com/#bytes=0-9"))
        ),
        "bundle.invalid",
    ),
    "an unknown event": (
        lambda files: zipped(with_events(files, lambda e: e[4].update(type="dev.rhapsode.cat.seen.v1"))),
        "bundle.version",
    ),
    "a later event": (
        lambda files: zipped(with_events(files, lambda e: e[4].update(type=e[4]["type"][:-1] + "9"))),
        "bundle.version",
    ),
    "a malformed event": (
        lambda files: zipped(with_events(files, lambda e: first_delta(e).update(data={"at": "here"}))),
        "bundle.invalid",
    ),
    "no time": (
        lambda files: zipped(with_events(files, lambda e: e[2].update(time="yesterday"))),
        "bundle.invalid",
    ),
    "a user's own session": (
        lambda files: zipped(with_events(files, lambda e: e[0]["data"].update(kind="user"))),
        "bundle.invalid",
    ),
    "a sentence that is not there": (
        lambda files: zipped(with_events(files, lambda e: first_sound(e)["data"].update(sentence=-99))),
        "bundle.invalid",
    ),
    "a word beyond all numbers": (
        lambda files: zipped(with_events(files, lambda e: first_words(e)[0].update(end=2**63))),
        "bundle.invalid",
    ),
    "packets that are longer than they say": (
        lambda files: zipped(with_sound(files, [bytes([3 << 3 | 1])] * 40)),
        "bundle.invalid",
    ),
    "packets that are no sound": (lambda files: zipped(with_sound(files, [b"\x03"] * 4)), "bundle.invalid"),
    "speech of no sentence": (
        lambda files: zipped(with_events(files, lambda e: first_sound(e)["data"].update(sentence=99))),
        "bundle.invalid",
    ),
    "text twice": (lambda files: zipped(with_events(files, said_again)), "bundle.invalid"),
    "a turn that nobody asked": (lambda files: zipped(with_events(files, unasked)), "bundle.invalid"),
    "a sentence of nothing": (
        lambda files: zipped(with_events(files, lambda e: made(e).update(sentence=99))),
        "bundle.invalid",
    ),
    "speech twice": (lambda files: zipped(with_events(files, repeated)), "bundle.invalid"),
    "speech before its beginning": (
        lambda files: zipped(with_events(files, lambda e: first_sound(e)["data"].update(chunk=-(10**18)))),
        "bundle.invalid",
    ),
    **{
        f"{kind} at {at_ms} ms": (
            lambda files, kind=kind, at_ms=at_ms: zipped(with_events(files, moved(kind, at_ms))),
            INVALID,
        )
        for kind in ("audio.chunk", "sentence.voiced")
        for at_ms in (-20, 10**9)
    },
    "a number that is none in sums": (
        lambda files: zipped(with_events(files, lambda e: made(e).update(made_ms=1e308))),
        "bundle.invalid",
    ),
    "a time to come": (
        lambda files: zipped(with_events(files, lambda e: e[-1].update(time="2999-01-01T00:00:00Z"))),
        "bundle.invalid",
    ),
    **{
        name: (lambda files, item=item: zipped(with_event(files, "item.added", {"item": item})), INVALID)
        for name, item in ITEMS.items()
    },
    **{
        f"a Realtime configuration {name}": (
            lambda files, config=config: zipped(with_event(files, "realtime.configured", {"config": config})),
            INVALID,
        )
        for name, config in CONFIGS.items()
    },
    **{
        f"sound of an input {name}": (
            lambda files, place=place: zipped(with_event(files, "input.audio", HEARD | place)),
            INVALID,
        )
        for name, place in PLACES.items()
    },
    **{
        f"an event of {count} values": (
            lambda files, count=count: zipped(
                with_event(files, "realtime.configured", {"config": _CONFIG | {"more": [[]] * count}})
            ),
            INVALID,
        )
        for count in (60_000, 200_000)
    },
    "an answer beyond its end": (lambda files: zipped(with_events(files, going_on)), INVALID),
    "a call before its answer": (lambda files: zipped(with_events(files, called_before)), INVALID),
    "a title that no face takes": (
        lambda files: zipped(with_events(files, lambda e: e[0]["data"].update(title="x" * 201))),
        INVALID,
    ),
    "turns without end": (lambda files: zipped(with_events(files, waiting)), "bundle.invalid"),
    "a bomb": (lambda files: zipped(files | {"audio/turn-9.ogg": bytes(5 * LIMIT)}), "bundle.too_large"),
    "too many bytes": (lambda files: bytes(LIMIT + 1), "bundle.too_large"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_faulty_bundle_is_refused_and_leaves_nothing(
    http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog, wrong: str
) -> None:
    make, code = WRONG[wrong]
    files = unzip(await exported(http, told[0]))
    before = await live_sessions(log)
    answer = await http.post("/v1/sessions/import", content=make(files))
    problem = answer.json()
    assert (problem["code"], answer.status_code) == (code, 413 if code == "bundle.too_large" else 422)
    assert await live_sessions(log) == before


def in_pieces(files: Files, pieces: int) -> Files:
    """The first turn alone, whose first sentence has so many pieces of speech."""

    def repeat(events: list[dict[str, Any]]) -> None:
        first = first_sound(events)
        events[:] = [event for event in events if event.get("subject") in (None, first["subject"])]
        at = events.index(first)
        events[at:at] = [first | {"data": dict(first["data"])} for _ in range(pieces - 1)]
        speech = [event["data"] for event in events if ".audio.chunk." in event["type"]]
        for chunk, data in enumerate(one for one in speech if one["sentence"] == first["data"]["sentence"]):
            data["chunk"] = chunk
        for seq, event in enumerate(events, 1):
            event |= {"id": event["id"].rpartition("/")[0] + f"/{seq}", "sequence": f"{seq:010}"}
            event.pop("cause", None)

    return with_events(files, repeat)


async def test_a_bundle_that_takes_long_to_fold_is_refused(
    http: httpx.AsyncClient, told: tuple[str, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one of 20,000 items, each of which is put before all others."""
    files = unzip(await exported(http, told[0]))
    await imported(http, zipped(files))
    monkeypatch.setattr(bundle_reader, "_FOLD_S", 0.0)
    monkeypatch.setattr(bundle_reader, "_EVENT_S", 0.0)
    answer = await http.post("/v1/sessions/import", content=zipped(files))
    assert (answer.status_code, answer.json()["code"]) == (422, "bundle.invalid")


async def test_an_answer_has_its_length(
    http: httpx.AsyncClient, told: tuple[str, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, heard = told
    bundle = await exported(http, session)
    longest = max(len(heard.text(turn)) for turn in {event["turn"] for event in heard.events} - {None})
    monkeypatch.setattr(bundle_reader, "_ANSWER_CHARS", longest)
    await imported(http, bundle)
    monkeypatch.setattr(bundle_reader, "_ANSWER_CHARS", longest - 1)
    answer = await http.post("/v1/sessions/import", content=bundle)
    assert (answer.json()["code"], answer.status_code) == ("bundle.too_large", 413)


@pytest.mark.parametrize(
    ("packets", "pieces", "reason"),
    [
        (1_000, 1, None),
        (1_001, 1, "longer than 20000 ms"),
        (1_000, 29, None),
        (1_000, 30, "a sentence is longer than 600000 ms"),
    ],
)
async def test_a_piece_of_speech_and_a_sentence_have_their_lengths(
    http: httpx.AsyncClient, told: tuple[str, Heard], packets: int, pieces: int, reason: str | None
) -> None:
    """Packets of one byte: whoever listens is sent two thousand times as much, a piece at a time."""
    files = unzip(await exported(http, told[0]))
    bundle = zipped(with_sound(in_pieces(files, pieces), [bytes([1 << 3])] * packets, pieces=pieces))
    if reason is None:
        await imported(http, bundle)
        return
    answer = await http.post("/v1/sessions/import", content=bundle)
    assert (answer.status_code, answer.json()["code"]) == (422, "bundle.invalid")
    assert reason in answer.json()["detail"]


async def test_an_import_that_fails_half_way_leaves_nothing(
    http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    files = unzip(await exported(http, told[0]))

    before = await live_sessions(log)
    answer = await http.post("/v1/sessions/import", content=zipped(swollen(files, 59, 8_000)))
    assert (answer.status_code, answer.json()["code"]) == (409, "session.quota")
    assert await live_sessions(log) == before


async def test_a_bundle_cannot_point_to_what_is_somebody_else_s(
    mover: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog
) -> None:
    files = unzip(await exported(http, told[0]))
    stranger = "019aa3c6-0000-7000-8f00-2b1d7a5c9e10"

    def link(events: list[dict[str, Any]]) -> None:
        n = len(events) + 1
        where = {"id": events[0]["id"][:-1] + str(n), "sequence": f"{n:010}", "subject": "turn/2"}
        kind = {"type": "dev.rhapsode.narration.requested.v1", "data": {"session": stranger, "by": "user"}}
        events.append(events[0] | where | kind)
        events[0]["data"] |= {"principal": "the boss", "parent": stranger, "parent_seq": 2}

    created = await imported(http, zipped(with_events(files, link)))
    log_events = await log.read(SessionId(created["session_id"]), created["head_seq"] - 1)
    assert log_events[-1].data["session"] == "00000000-0000-0000-0000-000000000000"
    [started] = await log.read(SessionId(created["session_id"]), 0, limit=1)  # type: ignore[arg-type]
    assert (started.data["principal"], started.data["parent"], started.data["parent_seq"]) == ("", None, None)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("any text\r\nat all: " + "x" * 9_000, ""),
        (f"01-{7:032x}-{9:016x}-ff-more", f"00-{7:032x}-{9:016x}-01"),
        (f"00-{7:032x}-{9:016x}-00", f"00-{7:032x}-{9:016x}-00"),
    ],
)
async def test_a_caller_s_trace_is_kept_in_our_form_only(
    http: httpx.AsyncClient, told: tuple[str, Heard], log: TieredLog, given: str, kept: str
) -> None:
    def trace(events: list[dict[str, Any]]) -> None:
        for event in events:
            if ".turn.requested." in event["type"]:
                event["data"]["traceparent"] = given

    files = unzip(await exported(http, told[0]))
    created = await imported(http, zipped(with_events(files, trace)))
    log_events = await log.read(SessionId(created["session_id"]), Seq(0))
    assert [
        log_event.data["traceparent"] for log_event in log_events if log_event.type == "turn.requested"
    ] == [kept, kept]


async def test_a_small_bundle_that_is_large_unpacked_costs_little(
    mover: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard]
) -> None:
    """It is refused when more was read than a session may have; what it adds up to is held until then."""
    bundle = zipped(swollen(unzip(await exported(http, told[0])), 40, 95_000))
    assert len(bundle) < 30_000
    tracemalloc.start()
    try:
        answer = await http.post("/v1/sessions/import", content=bundle)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (409, "session.quota")
    assert most < 4_000_000


async def test_a_list_of_files_is_not_read_when_it_is_too_long(http: httpx.AsyncClient) -> None:
    """It is not packed, and takes ten times its size in memory."""
    listed = [zipfile.ZipInfo(f"audio/turn-{n}.ogg").filename for n in range(3)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle:
        for name in listed:
            bundle.writestr(name, b"")
    data = bytearray(out.getvalue())
    at = data.rindex(b"PK\x05\x06")
    data[at + 12 : at + 16] = (9 << 20).to_bytes(4, "little")
    with pytest.raises(BundleTooLarge, match="too many files"):
        ReadBundle(io.BytesIO(bytes(data)), max_bytes=LIMIT, session_bytes=LIMIT)


async def test_one_bundle_is_imported_at_a_time(
    mover: RunningApp, http: httpx.AsyncClient, told: tuple[str, Heard], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mover.services is not None
    monkeypatch.setattr(transfer_routes, "_WAIT_S", 0.2)
    bundle = await exported(http, told[0])
    async with mover.services.importing.place("somebody else"):
        answer = await http.post("/v1/sessions/import", content=bundle)
        assert (answer.status_code, answer.json()["code"]) == (503, "gateway.busy")
        assert int(answer.headers["Retry-After"]) > 0
    await imported(http, bundle)
