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


def facts(url: str, session: str) -> list[dict[str, Any]]:
    body = httpx.get(f"{url}/v1/sessions/{session}/events?follow=false", timeout=30).raise_for_status().text
    lines = (line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: "))
    return [fact for fact in map(orjson.loads, lines) if "type" in fact and "seq" in fact]


def sentences(url: str, session: str, turn: int) -> list[Sentence]:
    """The turn's sentences that have sound, as far as they are completed."""
    mine = [fact for fact in facts(url, session) if fact["turn"] == turn]
    text = "".join(fact["data"]["text"] for fact in mine if fact["type"] == "text.delta")
    ranges = {
        fact["data"]["sentence"]: (fact["data"]["start"], fact["data"]["end"])
        for fact in mine
        if fact["type"] == "sentence.ready"
    }
    return [
        Sentence(text[slice(*ranges[data["sentence"]])].strip(), data["at_ms"], data["ms"])
        for data in (fact["data"] for fact in mine if fact["type"] == "sentence.completed")
    ]
