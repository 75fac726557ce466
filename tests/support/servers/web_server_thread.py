"""A web application on a thread of this process, until the test is done with it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn


@contextmanager
def serving(
    app: Any, listener: socket.socket, what: str, *, stop_s: float = 10, **options: Any
) -> Iterator[None]:
    """Serve until the block ends; `options`: uvicorn's. Starting and stopping are waited for."""
    server = uvicorn.Server(uvicorn.Config(app, **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), f"{what} did not start"
            threading.Event().wait(0.005)
        yield
    finally:
        server.should_exit = True
        thread.join(stop_s)
        listener.close()
        assert not thread.is_alive(), f"{what} did not stop"


@contextmanager
def serving_somewhere(app: Any, what: str) -> Iterator[str]:
    """On a free port of the loopback interface; yields the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    options: dict[str, Any] = {"log_level": "critical", "lifespan": "off", "timeout_graceful_shutdown": 1}
    options["timeout_keep_alive"] = 600  # or it hangs up on a client that asks again at that very moment
    with serving(app, listener, what, **options):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
