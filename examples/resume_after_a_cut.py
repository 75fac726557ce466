"""Breaks off in mid-answer and goes on after the last event that arrived: none is lost, none comes twice."""

from rhapsode import Rhapsode


def main() -> None:
    """Reads ten events on one connection and the rest on another."""
    with Rhapsode() as client:
        session = client.create(title="Resume")
        turn = session.ask("Tell me a story.")
        seen = []
        for event in session.events(turn=turn.number):
            seen.append(event.seq)
            if len(seen) == 10:
                break  # as if the network were gone; the library itself resumes when it really is
        print(f"Broke off after event {seen[-1]}.")
        seen += [event.seq for event in session.events(seen[-1], turn=turn.number)]
        assert seen == list(range(1, len(seen) + 1))
        print(f"Events 1 to {seen[-1]} arrived, each once.")


if __name__ == "__main__":
    main()
