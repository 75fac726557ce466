"""Bundles to send: taken apart, changed, and put together again."""

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import httpx

from pipeline.audio.opus import frame

Files = dict[str, bytes]
LIMIT = 1_000_000
"""Bytes of a bundle, for the application that the tests move sessions into."""
EVENTS, MANIFEST, PACKETS = "events.jsonl", "manifest.json", "audio/packets.bin"


def unzip(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as bundle:
        assert bundle.testzip() is None
        return {name: bundle.read(name) for name in bundle.namelist()}


def zipped(files: Files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return out.getvalue()


def events_of(files: Files) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[EVENTS].splitlines()]


def with_events(files: Files, change: Callable[[list[dict[str, Any]]], object]) -> Files:
    """The events changed, and a manifest that fits them: only their meaning can be wrong."""
    events = events_of(files)
    change(events)
    lines = b"".join(json.dumps(event).encode() + b"\n" for event in events)
    told = json.loads(files[MANIFEST])
    told |= {"n": len(events), "last": len(events), "sha256": sha256(lines).hexdigest()}
    return files | {EVENTS: lines, MANIFEST: json.dumps(told).encode()}


def with_sound(files: Files, packets: list[bytes], *, ms: int | None = None, pieces: int = 1) -> Files:
    """The first `pieces` of speech are these packets each; all else fits, so that only they can be wrong."""
    sound, moved = b"", frame(packets)

    def change(events: list[dict[str, Any]]) -> None:
        nonlocal sound
        heard = [event for event in events if "audioref" in event]
        first = [event for event in heard if ".audio.chunk." in event["type"]][:pieces]
        assert len(first) == pieces
        for event in first:
            event["data"] |= {"bytes": len(moved), "ms": 20 * len(packets) if ms is None else ms}
        for event in heard:
            start, _, end = event["audioref"].rpartition("=")[2].partition("-")
            part = moved if event in first else files[PACKETS][int(start) : int(end) + 1]
            event["audioref"] = f"{PACKETS}#bytes={len(sound)}-{len(sound) + len(part) - 1}"
            sound += part
        _place(events)

    changed = with_events(files, change) | {PACKETS: b""}
    told = {"packets_sha256": sha256(sound).hexdigest(), "packets_bytes": len(sound)}
    return with_manifest(changed | {PACKETS: sound}, **told)


def _place(events: list[dict[str, Any]]) -> None:
    """Each piece of speech is behind the one before it."""
    ends = Counter[str]()
    for event in events:
        if ".sentence.voiced." in event["type"] or ".audio.chunk." in event["type"]:
            event["data"]["at_ms"] = ends[event["subject"]]
            ends[event["subject"]] += event["data"].get("ms", 0)


def with_manifest(files: Files, **changes: Any) -> Files:
    return files | {MANIFEST: json.dumps(json.loads(files[MANIFEST]) | changes).encode()}


async def exported(http: httpx.AsyncClient, session: str) -> bytes:
    answer = await http.get(f"/v1/sessions/{session}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return answer.content


async def imported(http: httpx.AsyncClient, bundle: bytes) -> dict[str, Any]:
    answer = await http.post("/v1/sessions/import", content=bundle)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())
