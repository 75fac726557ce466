"""Goes on from the middle of a conversation with another question; the first conversation stays as it is."""

from rhapsode import Rhapsode


def main() -> None:
    """Asks twice, then forks after the first answer."""
    with Rhapsode() as client:
        session = client.create(title="A conversation", speak=False)
        first = session.ask("What is a lighthouse?")
        print("1:", first.text())
        end = max(event.seq for event in session.events(turn=first.number))
        print("2:", session.ask("Who lives there?").text())
        other = session.fork(at=end)
        print("2, in the fork:", other.ask("How high is it?").text())
        assert session.view()["turns"][0]["text"] == other.view()["turns"][0]["text"]
        print(f"{session.id} and {other.id} share events 1 to {end}.")


if __name__ == "__main__":
    main()
