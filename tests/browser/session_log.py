"""What the log says, read over HTTP: the measure for what a page shows."""

from dataclasses import dataclass
from typing import Any

import httpx
import orjson


@dataclass(frozen=True)
class Sentence:
    text: str
    at_ms: int
    ms: int


def turns(url: str, session: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/v1/sessions/{session}", timeout=30).raise_for_status().json()
    found: list[dict[str, Any]] = answer["turns"]
    return found


def events(url: str, session: str) -> list[dict[str, Any]]:
    body = httpx.get(f"{url}/v1/sessions/{session}/events?follow=false", timeout=30).raise_for_status().text
    lines = (line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: "))
    return [event for event in map(orjson.loads, lines) if "type" in event and "seq" in event]


def sentences(url: str, session: str, turn: int) -> list[Sentence]:
    """The turn's sentences that have sound, as far as they are completed."""
    mine = [event for event in events(url, session) if event["turn"] == turn]
    text = "".join(event["data"]["text"] for event in mine if event["type"] == "text.delta")
    ranges = {
        event["data"]["sentence"]: (event["data"]["start"], event["data"]["end"])
        for event in mine
        if event["type"] == "sentence.ready"
    }
    return [
        Sentence(text[slice(*ranges[data["sentence"]])].strip(), data["at_ms"], data["ms"])
        for data in (event["data"] for event in mine if event["type"] == "sentence.completed")
    ]
