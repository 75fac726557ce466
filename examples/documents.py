"""Puts a folder of documents into a collection and asks a question that they answer, with the places."""

import os
import sys
import tempfile
from pathlib import Path

import httpx

from rhapsode import Rhapsode

MANUAL = "# Kestrel 300\n\n## Reset\n\nSwitch it off. Hold Steam and Cup for ten seconds. Both lamps blink.\n"


def main(folder: Path, question: str) -> None:
    """Uploads every file of `folder` and asks `question`."""
    key = os.environ.get("RHAPSODE_KEY")
    server = httpx.Client(
        base_url=os.environ.get("RHAPSODE_URL", "http://127.0.0.1:8000"),
        headers={"Authorization": f"Bearer {key}"} if key else {},
        timeout=60,
    )
    collection = server.post("/v1/collections", json={"name": folder.name}).raise_for_status().json()["id"]
    for file in sorted(folder.iterdir()):
        upload = {"file": (file.name, file.read_bytes())}
        server.post(f"/v1/collections/{collection}/documents", files=upload).raise_for_status()
    with Rhapsode() as client:
        session = client.create(title=question, collections=[collection], speak=False)
        turn = session.ask(question)
        for event in turn.events():
            if event.type == "passages.found":
                for passage in event.data["passages"]:
                    place = " > ".join(passage["headings"])
                    print(f"[{passage['number']}] {passage['title']}, {place}: {passage['text'][:60]!r}")
        print(turn.text())
    server.delete(f"/v1/collections/{collection}").raise_for_status()


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(Path(sys.argv[1]), sys.argv[2])
    else:
        with tempfile.TemporaryDirectory() as place:
            Path(place, "kestrel.md").write_text(MANUAL, encoding="utf-8")
            main(Path(place), "How do I reset the Kestrel 300?")
