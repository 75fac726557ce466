"""What a caller hears: chunks played one after the other, in real time, as the page plays them. Pure."""


class Loudspeaker:
    """Plays one turn at a time. Every call says what time it is (seconds, never backwards)."""

    def __init__(self) -> None:
        self.turn: int | None = None
        self._heard_ms = 0.0
        self._have_ms = 0.0
        self._held = False
        self._at_s = 0.0

    def push(self, turn: int, ms: int, now_s: float) -> None:
        """A chunk came; of a new turn: the one before is left."""
        self._advance(now_s)
        if turn != self.turn:
            self.turn, self._heard_ms, self._have_ms = turn, 0.0, 0.0
        self._have_ms += ms

    def hold(self, now_s: float, *, held: bool) -> None:
        self._advance(now_s)
        self._held = held

    def flush(self, now_s: float) -> None:
        """Nothing more of this turn is played."""
        self._advance(now_s)
        self._have_ms = self._heard_ms

    def heard_ms(self, now_s: float) -> float:
        """So much of the turn has come out."""
        self._advance(now_s)
        return self._heard_ms

    def remaining_s(self, now_s: float) -> float:
        """Of what came, so much has not been played yet."""
        self._advance(now_s)
        return (self._have_ms - self._heard_ms) / 1_000

    def _advance(self, now_s: float) -> None:
        if not self._held:
            self._heard_ms = min(self._have_ms, self._heard_ms + (now_s - self._at_s) * 1_000)
        self._at_s = now_s
