"""Asks one question, prints the answer while it is written, and saves its sound: answer.wav."""

import sys

from rhapsode import Rhapsode


def main(prompt: str) -> None:
    """Asks `prompt` in a new session."""
    with Rhapsode() as client:
        session = client.create(title=prompt[:80])
        turn = session.ask(prompt)
        for delta in turn.deltas():
            print(delta, end="", flush=True)
        print()
        size = session.save_audio("answer.wav", turn=turn.number)
        print(f"answer.wav: {size:,} bytes. Events: GET /v1/sessions/{session.id}/events")


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "Tell me about the sea.")
