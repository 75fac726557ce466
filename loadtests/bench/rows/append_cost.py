"""Cost of an append for the log server: ev_append with its push, beside the cheapest way to store as much.

The measure is server CPU per event (`used_cpu_*` of INFO), and the ratio of the two within one round: a busy
machine slows both alike.
"""

import itertools
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from redis import Redis

from pipeline.eventlog.event_log import Batch
from pipeline.eventlog.redis.codec import Keys, append_arguments, encode
from pipeline.eventlog.redis.embedded import embedded_server
from pipeline.eventlog.redis.redis_log import LIBRARY
from schemas.events import SessionStarted, TextDelta
from schemas.events.recorded import NewEvent
from schemas.ids import SessionId, TurnId, new_session_id
from schemas.settings import LogSettings, SessionSettings

BATCH: Final = 4
PIPELINE: Final = 16
EVENTS: Final = 6_400
"""Per way and round."""
_GROUPS: Final = EVENTS // (BATCH * PIPELINE)
SESSIONS: Final = 16
KEYS: Final = Keys(16)
BUDGET: Final = 2.5
EVENT: Final = NewEvent(TextDelta(at=1_234, text=" the old lighthouse"), 1_795_234_444_369, TurnId(2))


def measure(rounds: int) -> list[tuple[float, float]]:
    """Microseconds of server CPU per event, round by round: of plain XADD, and ours."""
    with tempfile.TemporaryDirectory(prefix="rhapsode-cost-") as folder:
        home = Path(folder)
        server = embedded_server.ensure(home, LogSettings())
        try:
            with Redis(unix_socket_path=str(server.socket_path), protocol=2) as redis:
                return _measure(redis, rounds)
        finally:
            embedded_server.stop(home)


def _measure(redis: Redis, count: int) -> list[tuple[float, float]]:
    redis.function_load(LIBRARY)
    sessions = [new_session_id() for _ in range(SESSIONS)]
    for session in sessions:
        _append(redis, [_creation(session)])
    numbers = itertools.count(1)

    def plain() -> None:
        _plain(redis, sessions)

    def ours() -> None:
        for number in itertools.islice(numbers, _GROUPS):
            _append(redis, [Batch(one, "owner", number, [EVENT] * BATCH, epoch=1) for one in sessions])

    plain()  # both once to warm up
    ours()
    with _Listening(redis, sessions):
        return [(_cpu_per_event(redis, plain), _cpu_per_event(redis, ours)) for _ in range(count)]


def _plain(redis: Redis, sessions: Sequence[SessionId]) -> None:
    """XADD * of the same fields, pipelined as widely as our events are."""
    kind, v, ts, turn, _, data, _, _ = encode(EVENT)
    fields: dict[Any, Any] = {"t": kind, "v": v, "ts": ts, "n": turn, "d": data}
    for group in range(_GROUPS):
        with redis.pipeline(transaction=False) as pipe:
            for event in range(BATCH * PIPELINE):
                pipe.xadd(f"plain:{sessions[(group + event // BATCH) % SESSIONS]}", fields)
            pipe.execute()


def _creation(session: SessionId) -> Batch:
    started = NewEvent(SessionStarted(settings=SessionSettings()), EVENT.ts_ms)
    return Batch(session, "creator", 1, [started], mode="create")


def _append(redis: Redis, batches: Sequence[Batch]) -> None:
    with redis.pipeline(transaction=False) as pipe:
        for batch in batches:
            pipe.fcall("ev2_append", 6, *KEYS.of(batch.session), *append_arguments(batch, 1 << 40))
        verdicts = {reply[0] for reply in pipe.execute()}
    if verdicts != {b"OK"}:
        raise RuntimeError(f"the log answered {verdicts}")


class _Listening:
    """One gateway's push subscription: subscribed to every session, and reading."""

    def __init__(self, redis: Redis, sessions: Sequence[SessionId]) -> None:
        self._pubsub = redis.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._channels = [KEYS.meta(session) for session in sessions]
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._stop = threading.Event()

    def _read(self) -> None:
        while not self._stop.is_set():
            self._pubsub.get_message(timeout=0.05)

    def __enter__(self) -> None:
        self._pubsub.ssubscribe(*self._channels)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._pubsub.close()


def _cpu_per_event(redis: Redis, work: Callable[[], None]) -> float:
    before = _cpu_s(redis)
    work()
    return (_cpu_s(redis) - before) / EVENTS * 1e6


def _cpu_s(redis: Redis) -> float:
    info: Any = redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
