"""The events' types for TypeScript, from their schema."""

import json
from collections.abc import Mapping
from typing import Any, Final

from schemas.events import EVENT

_HEAD: Final = """// Events of a session, by type (docs/protocol.md). Written by "make schemas"; do not edit.

export type SessionEvent = {
  [T in keyof EventData]: {
    /** Counts from 1 without gaps, and is the cursor. */
    seq: number;
    /** The `seq` of the request that the event belongs to. */
    turn: number | null;
    /** Unix time in milliseconds. */
    ts: number;
    type: T;
    data: EventData[T];
    /** The sound of an `audio.chunk`. */
    audio: Uint8Array | null;
  };
}[keyof EventData];
"""
_PRIMITIVES: Final = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def declarations() -> str:
    """The text of a declaration file, from the schema of the union of all events."""
    schema = EVENT.json_schema(mode="serialization")
    mapping = schema["discriminator"]["mapping"]
    events = {reference.rpartition("/")[2] for reference in mapping.values()}
    data = "".join(f'  "{name}": {mapping[name].rpartition("/")[2]};\n' for name in sorted(mapping))
    parts = [_HEAD, f"export interface EventData {{\n{data}}}\n"]
    for name, one in sorted(schema["$defs"].items()):
        left_out = {"type", "v"} if name in events else set()  # they are the event's, not its data's
        properties = {key: value for key, value in one.get("properties", {}).items() if key not in left_out}
        shape = _type({**one, "properties": properties} if "properties" in one else one)
        parts.append(f"export type {name} = {shape};\n")
    return "\n".join(parts)


def _type(schema: Mapping[str, Any]) -> str:
    """The TypeScript type of what the schema describes; bounds have no counterpart."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if branches := schema.get("anyOf") or schema.get("oneOf"):
        return " | ".join(dict.fromkeys(_type(branch) for branch in branches))
    match schema.get("type"):
        case "array":
            return f"Array<{_type(schema.get('items', {}))}>"
        case "object":
            return _object(schema)
        case kind:
            return _PRIMITIVES.get(str(kind), "unknown")


def _object(schema: Mapping[str, Any]) -> str:
    properties: Mapping[str, Any] = schema.get("properties", {})
    if not properties:
        extra = schema.get("additionalProperties")
        return f"Record<string, {_type(extra) if isinstance(extra, dict) else 'unknown'}>"
    return "{ " + " ".join(f"{json.dumps(name)}: {_type(one)};" for name, one in properties.items()) + " }"
